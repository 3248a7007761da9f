/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "signs.h"

#include <string.h>

#define EXTENSION_MAX 16u /* bytes; what is longer is no extension */

const char *
base_name (const char *path)
{
  const char *slash = strrchr (path, '/');
  return slash ? slash + 1 : path;
}

const char *
extension (const char *path)
{
  const char *name = base_name (path), *dot = strrchr (name, '.');
  return dot && dot != name && dot[1] && strlen (dot) <= EXTENSION_MAX ? dot : "";
}

/* Files whose loss says more than their size; lower case, since not every filesystem tells. */
static const char *const watched_places[]
    = { "/etc/passwd",          "/etc/shadow",       "/etc/fstab",
        "/boot/vmlinuz",        "/boot/initrd",      "/boot/grub/",
        "/boot/efi/",           "/var/log/",         "/var/lib/mysql/",
        "/var/lib/postgresql/", "/var/lib/mongodb/", "/var/lib/redis/",
        "/var/lib/dpkg/status", "/var/lib/rpm/",     "/root/.bash_history",
        "/windows/system32/",   "/bootmgr" };
static const char *const watched_extensions[]
    = { ".ibd", ".frm", ".myd", ".mdf",  ".ldf",  ".sqlite", ".sqlite3",
        ".db",  ".dbf", ".edb", ".vmdk", ".vhdx", ".qcow2" };
static const char *const note_words[] = { "decrypt", "recover", "restore", "ransom", "unlock",
                                          "read_me", "readme",  "how_to",  "how-to", "help_" };

bool
is_watched (const char *path)
{
  g_autofree char *low = g_ascii_strdown (path, -1);
  for (guint i = 0; i < G_N_ELEMENTS (watched_places); i++)
    if (g_str_has_prefix (low, watched_places[i]))
      return true;
  for (guint i = 0; i < G_N_ELEMENTS (watched_extensions); i++)
    if (strcmp (extension (low), watched_extensions[i]) == 0)
      return true;
  return false;
}

bool
is_record (const char *path)
{
  static const char *const names[]
      = { "wtmp",          "btmp",          "lastlog",    "auth.log",  "secure",
          "syslog",        "messages",      "kern.log",   "audit.log", "system.journal",
          ".bash_history", "security.evtx", "system.evtx" };
  g_autofree char *low = g_ascii_strdown (base_name (path), -1);
  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    if (strcmp (low, names[i]) == 0)
      return true;
  return false;
}

bool
is_note (const char *name)
{
  g_autofree char *low = g_ascii_strdown (name, -1);
  for (guint i = 0; i < G_N_ELEMENTS (note_words); i++)
    if (strstr (low, note_words[i]))
      return true;
  return false;
}
