/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * guardd-workers: how many threads of libvirtd are busy.
 *
 * A program of its own because libvirt.so and libvirt-admin.so cannot be used in one process (libvirt 9.0:
 * both register the same GObject types, and the second aborts).  For each byte on stdin one line on stdout:
 * threads, idle threads, calls that wait for a thread.  Ends with stdin, or when libvirtd goes away.
 */
#include <libvirt/libvirt-admin.h>
#include <libvirt/virterror.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* As libvirt's own client chooses: the one daemon for everything where it is, else the one for QEMU. */
static const char *
daemon_name (void)
{
  return access ("/run/libvirt/libvirt-sock", F_OK) == 0 ? "libvirtd" : "virtqemud";
}

static int
fail (const char *what)
{
  const virError *last = virGetLastError ();
  fprintf (stderr, "%s: %s\n", what, last && last->message ? last->message : "no reason given");
  return EXIT_FAILURE;
}

static void
quiet (void *opaque, virErrorPtr error)
{
}

static unsigned int
find_count (virTypedParameterPtr params, int n, const char *name)
{
  for (int i = 0; i < n; i++)
    if (strcmp (params[i].field, name) == 0 && params[i].type == VIR_TYPED_PARAM_UINT)
      return params[i].value.ui;
  return 0;
}

static int
tell (virAdmServerPtr server)
{
  virTypedParameterPtr params = NULL;
  int n = 0;
  if (virAdmServerGetThreadPoolParameters (server, &params, &n, 0) < 0)
    return fail ("threads of libvirtd");
  printf ("%u %u %u\n", find_count (params, n, VIR_THREADPOOL_WORKERS_CURRENT),
          find_count (params, n, VIR_THREADPOOL_WORKERS_FREE),
          find_count (params, n, VIR_THREADPOOL_JOB_QUEUE_DEPTH));
  virTypedParamsFree (params, n);
  return fflush (stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int
main (void)
{
  char uri[64];
  snprintf (uri, sizeof uri, "%s:///system", daemon_name ());
  virSetErrorFunc (NULL, quiet);
  virAdmConnectPtr connection = virAdmConnectOpen (uri, 0);
  virAdmServerPtr server = connection ? virAdmConnectLookupServer (connection, daemon_name (), 0) : NULL;
  if (server == NULL)
    return fail (uri);
  char byte;
  int status = EXIT_SUCCESS;
  while (status == EXIT_SUCCESS && read (STDIN_FILENO, &byte, 1) == 1)
    status = tell (server);
  virAdmServerFree (server);
  virAdmConnectClose (connection);
  return status;
}
