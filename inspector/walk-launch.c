/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "walk-private.h"

#define MEMORY_MB 768
/* Even on one processor of the host, the emulated machine starts and answers faster. */
#define PROCESSORS 2

bool
walk_launch (guestfs_h *g, const struct walk_request *request)
{
  guestfs_set_error_handler (g, NULL, NULL);
  if (guestfs_set_backend (g, "direct") < 0 || guestfs_set_path (g, request->appliance) < 0
      || guestfs_set_tmpdir (g, request->tmp) < 0 || guestfs_set_cachedir (g, request->tmp) < 0
      || guestfs_set_memsize (g, MEMORY_MB) < 0 || guestfs_set_smp (g, PROCESSORS) < 0
      || guestfs_set_autosync (g, 0) < 0
      || guestfs_set_backend_setting (g, request->kvm ? "force_kvm" : "force_tcg", "1") < 0)
    return false;
  for (int i = 0; i < request->n_servers; i++) {
    char *server[] = { (char *)request->servers[i], NULL };
    struct guestfs_add_drive_opts_argv options
        = { .bitmask = GUESTFS_ADD_DRIVE_OPTS_READONLY_BITMASK | GUESTFS_ADD_DRIVE_OPTS_FORMAT_BITMASK
                       | GUESTFS_ADD_DRIVE_OPTS_PROTOCOL_BITMASK | GUESTFS_ADD_DRIVE_OPTS_SERVER_BITMASK,
            .readonly = 1,
            .format = "raw",
            .protocol = "nbd",
            .server = server };
    /* Without a name of an export libguestfs 1.48 crashes; guardd serves whatever is asked for. */
    if (guestfs_add_drive_opts_argv (g, "disk", &options) < 0)
      return false;
  }
  return guestfs_launch (g) == 0;
}
