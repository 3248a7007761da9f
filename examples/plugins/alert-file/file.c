/* SPDX-License-Identifier: MIT */
/* An example of an alert plugin: appends each alert's JSON to a file, one line each.  "path =
 * /var/log/alerts" */
#define _GNU_SOURCE
#include <guardd/alert.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

static int
fail (const struct guardd_call *call, const char *path, int error, const char *what)
{
  char message[512];
  snprintf (message, sizeof message, "%s: %s", path, what);
  call->error (call->opaque, error, message);
  return -1;
}

static int
file_open (const struct guardd_call *call, const struct guardd_param *params, size_t n_params,
           void **instance)
{
  if (n_params != 1 || strcmp (params[0].key, "path") != 0 || params[0].value[0] != '/')
    return fail (call, "file", EINVAL, "needs path = an absolute path, and nothing else");
  *instance = strdup (params[0].value);
  return 0;
}

static int
file_deliver (void *instance, const struct guardd_call *call, const struct guardd_alert *alert)
{
  const char *path = instance;
  size_t length = strlen (alert->json);
  struct iovec parts[] = { { (void *)alert->json, length }, { (void *)"\n", 1 } };
  int fd = open (path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0)
    return fail (call, path, errno, strerror (errno));
  int failed = writev (fd, parts, 2) != (ssize_t)length + 1 || fsync (fd);
  int error = errno;
  close (fd);
  return failed ? fail (call, path, error, strerror (error)) : 0;
}

static const struct guardd_alert_ops ops = {
  .size = sizeof ops,
  .open = file_open,
  .close = free,
  .deliver = file_deliver,
};

static const struct guardd_plugin plugin = {
  .size = sizeof plugin,
  .api = GUARDD_PLUGIN_API,
  .kind = GUARDD_PLUGIN_ALERT,
  .name = "file",
  .version = "1",
  .description = "an example: appends alerts to a file",
  .ops = &ops,
};

__attribute__ ((visibility ("default"))) const struct guardd_plugin *
guardd_plugin_entry (void)
{
  return &plugin;
}
