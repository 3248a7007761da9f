/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The least that libguestfs needs for the names of all files of a filesystem: the inspector's measure.
 * find0 IMAGE APPLIANCE kvm|tcg */
#include <guestfs.h>
#include <stdbool.h>
#include <string.h>

int
main (int argc, char **argv)
{
  guestfs_h *g = guestfs_create ();
  if (argc != 4 || g == NULL)
    return 2;
  bool ok
      = guestfs_set_backend (g, "direct") == 0 && guestfs_set_path (g, argv[2]) == 0
        && guestfs_set_backend_setting (g, strcmp (argv[3], "kvm") == 0 ? "force_kvm" : "force_tcg", "1") == 0
        && guestfs_add_drive_opts (g, argv[1], GUESTFS_ADD_DRIVE_OPTS_READONLY, 1,
                                   GUESTFS_ADD_DRIVE_OPTS_FORMAT, "raw", -1)
               == 0
        && guestfs_launch (g) == 0 && guestfs_mount_ro (g, "/dev/sda", "/") == 0
        && guestfs_find0 (g, "/", "/dev/null") == 0;
  guestfs_close (g);
  return ok ? 0 : 1;
}
