/* SPDX-License-Identifier: GPL-2.0-or-later */
#define G_LOG_DOMAIN "guardd"
#include "alert-channel.h"
#include "daemon.h"

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define DESCRIPTORS_WANTED 65536u /* a reader holds one per overlay of a chain, and there are many guests */

static int
usage (FILE *out)
{
  fprintf (out, "usage: guardd -c FILE\n"
                "Takes snapshots of all protected domains until it is told to end (SIGTERM).\n"
                "  -c FILE    configuration; see guardd.conf(5)\n"
                "  -t         check the configuration and end\n"
                "  -V         print the version\n");
  return out == stdout ? 0 : 2;
}

static void
raise_limits (void)
{
  struct rlimit limit;
  if (getrlimit (RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < DESCRIPTORS_WANTED) {
    limit.rlim_cur = MIN (limit.rlim_max, DESCRIPTORS_WANTED);
    setrlimit (RLIMIT_NOFILE, &limit);
  }
}

static bool
check_alerts (const Config *config)
{
  bool ok = true;
  for (guint i = 0; i < config->alerts->len; i++) {
    const ConfigAlert *alert = config->alerts->pdata[i];
    g_autoptr (GError) error = NULL;
    g_autoptr (AlertChannel) channel = alert_channel_open (alert, config->plugin_dir, &error);
    ok = ok && channel;
    if (channel == NULL)
      fprintf (stderr, "guardd: [alert %s]: %s\n", alert->name, error->message);
  }
  return ok;
}

static int
check_config (const char *path)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (Config) config = config_load (path, &error);
  if (config == NULL) {
    fprintf (stderr, "guardd: %s\n", error->message);
    return 1;
  }
  Detectors *detectors = detectors_open (config->plugin_dir, config->detectors, &error);
  if (detectors == NULL) {
    fprintf (stderr, "guardd: %s\n", error->message);
    return 1;
  }
  detectors_close (detectors);
  if (!check_alerts (config))
    return 1;
  printf ("%s: fine\n", path);
  return 0;
}

static int
run (const char *path)
{
  g_autoptr (GError) error = NULL;
  Daemon *daemon = daemon_new (path, &error);
  if (daemon == NULL) {
    fprintf (stderr, "guardd: %s\n", error->message);
    return 1;
  }
  bool whole = daemon_run (daemon);
  if (whole)
    daemon_free (daemon);
  /* libvirt's event loop cannot be stopped: exit() would run the libraries' destructors under its thread. */
  fflush (NULL);
  _exit (whole ? 0 : 1);
}

/* Captures run in ever other threads.  With glibc's default of eight arenas a processor, each of which keeps
 * what it once had, memory grew for hours although nothing was lost. */
static void
bound_memory (void)
{
  mallopt (M_ARENA_MAX, 2);
  mallopt (M_MMAP_THRESHOLD, 128 * 1024);
}

int
main (int argc, char **argv)
{
  const char *path = NULL;
  bool check = false;
  int option;
  while ((option = getopt (argc, argv, "c:tVh")) != -1)
    switch (option) {
    case 'c':
      path = optarg;
      break;
    case 't':
      check = true;
      break;
    case 'V':
      puts ("guardd " GUARDD_VERSION);
      return 0;
    case 'h':
      return usage (stdout);
    default:
      return usage (stderr);
    }
  if (path == NULL || optind < argc)
    return usage (stderr);
  umask (0077);
  signal (SIGPIPE, SIG_IGN);
  raise_limits ();
  bound_memory ();
  return check ? check_config (path) : run (path);
}
