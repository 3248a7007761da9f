/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The exec alert plugin: runs a program for each alert.  The alert's JSON is its standard input; GUARDD_ID,
 * GUARDD_LEVEL, GUARDD_DOMAIN, GUARDD_SUMMARY and GUARDD_ROLLBACK are in its environment; nothing of it is in
 * its arguments, and no shell is started.  Exit status 0: delivered.
 */
#include <guardd/alert.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define DEADLINE_MS 20000

static int
fail (const struct guardd_call *call, int errno_value, const char *program, const char *what)
{
  char message[512];
  snprintf (message, sizeof message, "%s: %s", program, what);
  call->error (call->opaque, errno_value, message);
  return -1;
}

static int
refuse_key (const struct guardd_call *call, const char *key)
{
  char message[256];
  snprintf (message, sizeof message, "alert exec has no parameter \"%.40s\"; accepted: command", key);
  call->error (call->opaque, EINVAL, message);
  return -1;
}

static int
exec_open (const struct guardd_call *call, const struct guardd_param *params, size_t n_params,
           void **instance)
{
  for (size_t i = 0; i < n_params; i++)
    if (strcmp (params[i].key, "command") != 0)
      return refuse_key (call, params[i].key);
  if (n_params == 0 || params[0].value[0] != '/' || access (params[0].value, X_OK) != 0)
    return fail (call, EINVAL, "command", "must be the absolute path of a program");
  *instance = strdup (params[0].value);
  return *instance ? 0 : -1;
}

/* The JSON as a file that can be read from its beginning. */
static int
make_input (const struct guardd_alert *alert)
{
  size_t length = strlen (alert->json);
  int fd = memfd_create ("guardd-alert", MFD_CLOEXEC);
  if (fd >= 0 && (write (fd, alert->json, length) != (ssize_t)length || lseek (fd, 0, SEEK_SET) != 0)) {
    close (fd);
    return -1;
  }
  return fd;
}

static char *
variable (const char *name, const char *value)
{
  char *text = NULL;
  return asprintf (&text, "%s=%s", name, value) < 0 ? NULL : text;
}

/* A group of its own, and the signals as a program expects them, which guardd's are not. */
static void
fill_attributes (posix_spawnattr_t *attributes)
{
  sigset_t all, none;
  sigfillset (&all);
  sigemptyset (&none);
  posix_spawnattr_init (attributes);
  posix_spawnattr_setpgroup (attributes, 0);
  posix_spawnattr_setsigdefault (attributes, &all);
  posix_spawnattr_setsigmask (attributes, &none);
  posix_spawnattr_setflags (attributes,
                            POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
}

static int
start (const char *program, const struct guardd_alert *alert, int input, pid_t *pid)
{
  char *argv[] = { (char *)program, NULL };
  char *environment[] = { strdup ("PATH=/usr/sbin:/usr/bin:/sbin:/bin"),
                          strdup ("LC_ALL=C.UTF-8"),
                          variable ("GUARDD_ID", alert->id),
                          variable ("GUARDD_LEVEL", alert->level),
                          variable ("GUARDD_DOMAIN", alert->domain),
                          variable ("GUARDD_SUMMARY", alert->summary),
                          variable ("GUARDD_ROLLBACK", alert->rollback),
                          NULL };
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  fill_attributes (&attributes);
  posix_spawn_file_actions_init (&actions);
  posix_spawn_file_actions_adddup2 (&actions, input, 0);
  posix_spawn_file_actions_addopen (&actions, 1, "/dev/null", O_WRONLY, 0);
  int failed = posix_spawn (pid, program, &actions, &attributes, argv, environment);
  posix_spawn_file_actions_destroy (&actions);
  posix_spawnattr_destroy (&attributes);
  for (size_t i = 0; environment[i]; i++)
    free (environment[i]);
  return failed;
}

static int
exec_deliver (void *instance, const struct guardd_call *call, const struct guardd_alert *alert)
{
  const char *program = instance;
  pid_t pid = 0, ended = 0;
  int status = 0, input = make_input (alert);
  if (input < 0)
    return fail (call, errno, program, "no memory for its input");
  int failed = start (program, alert, input, &pid);
  close (input);
  if (failed)
    return fail (call, failed, program, strerror (failed));
  for (int waited = 0; (ended = waitpid (pid, &status, WNOHANG)) == 0; waited += 50) {
    nanosleep (&(struct timespec){ .tv_nsec = 50000000 }, NULL);
    if (waited < DEADLINE_MS && !(call->progress && call->progress (call->opaque, 0, 0)))
      continue;
    kill (-pid, SIGKILL); /* what it has started, too */
    waitpid (pid, &status, 0);
    return fail (call, ETIMEDOUT, program, "did not end in time and was killed");
  }
  if (ended < 0)
    return fail (call, errno, program, "how it ended is not known");
  return WIFEXITED (status) && WEXITSTATUS (status) == 0
             ? 0
             : fail (call, EIO, program, "did not end with status 0");
}

static const struct guardd_alert_ops ops = {
  .size = sizeof ops,
  .open = exec_open,
  .close = free,
  .deliver = exec_deliver,
};

static const struct guardd_plugin plugin = {
  .size = sizeof plugin,
  .api = GUARDD_PLUGIN_API,
  .kind = GUARDD_PLUGIN_ALERT,
  .name = "exec",
  .version = GUARDD_VERSION,
  .description = "runs a program for each alert",
  .ops = &ops,
};

__attribute__ ((visibility ("default"))) const struct guardd_plugin *
guardd_plugin_entry (void)
{
  return &plugin;
}
