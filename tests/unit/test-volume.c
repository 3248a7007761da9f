/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A btrfs subvolume has one name, whichever disk the appliance's kernel has found first. */
#include "inspector/volume.h"

#include <glib.h>
#include <stdlib.h>

static void
assert_name (const char *listed, const char *whole, const char *expected)
{
  char *name = volume_name (listed, whole);
  g_assert_cmpstr (name, ==, expected);
  free (name);
}

static void
test_disks (void)
{
  assert_name ("btrfsvol:/dev/sdb/home", "/dev/sda", "btrfsvol:/dev/sda/home");
  assert_name ("btrfsvol:/dev/sda/home", "/dev/sda", "btrfsvol:/dev/sda/home");
  assert_name ("btrfsvol:/dev/sdc2/@/var lib/x", "/dev/sdaa2", "btrfsvol:/dev/sdaa2/@/var lib/x");
}

/* A guest's root names its volume groups as he likes. */
static void
test_others (void)
{
  static const char *const same[]
      = { "btrfsvol:/dev/sdata/root/home", "btrfsvol:/dev/vg/root/home", "btrfsvol:/dev/mapper/x/home",
          "btrfsvol:/dev/md127/home",      "btrfsvol:/dev/sd/x/home",    "btrfsvol:" };
  static const char *const wholes[]
      = { "/dev/sdata/root", "/dev/vg/root", "/dev/mapper/x", "/dev/md127", "/dev/sd/x", "" };
  for (guint i = 0; i < G_N_ELEMENTS (same); i++)
    assert_name (same[i], wholes[i], same[i]);
  assert_name ("btrfsvol:/dev/sdb/home", "", "btrfsvol:/dev/sdb/home"); /* behind nothing */
  assert_name ("/dev/sda", "/dev/sdb", "/dev/sda");
  assert_name ("", "", "");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/volume/of-the-disk-that-it-is-on", test_disks);
  g_test_add_func ("/volume/not-what-is-named-by-the-guest", test_others);
  return g_test_run ();
}
