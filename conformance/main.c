/* SPDX-License-Identifier: GPL-2.0-or-later */
/* guardd-plugin-check: does a plugin keep the promises of its kind's contract? */
#include "check.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

static int
usage (void)
{
  fputs (
      "usage: guardd-plugin-check FILE.so [--source PATH ...] [KEY=VALUE ...]\n"
      "Checks a plugin against the contract of its kind (guardd-plugin(3)); KEY=VALUE are the parameters "
      "that\n"
      "guardd.conf would give it. A storage plugin gets a temporary directory (in TMPDIR), and may be given\n"
      "disks to clone, which are overwritten; an alert plugin really tells its alerts, twice.\n",
      stderr);
  return 2;
}

static const struct guardd_plugin *
load (const char *path)
{
  void *handle = dlopen (path, RTLD_NOW | RTLD_LOCAL);
  if (!check (handle != NULL, "loads with RTLD_NOW%s%s", handle ? "" : ": ", handle ? "" : dlerror ()))
    return NULL;
  void *symbol = dlsym (handle, "guardd_plugin_entry");
  guardd_plugin_entry_fn entry = NULL;
  memcpy (&entry, &symbol, sizeof entry);
  return entry ? entry () : NULL;
}

static bool
check_identity (const char *path, const struct guardd_plugin *plugin)
{
  static const char *const kinds[] = { NULL, "storage", "detector", "alert" };
  if (!check (plugin->api == GUARDD_PLUGIN_API, "is of API %u, which is %u", plugin->api, GUARDD_PLUGIN_API)
      || !check (plugin->size >= sizeof *plugin, "says its size")
      || !check (plugin->kind >= GUARDD_PLUGIN_STORAGE && plugin->kind <= GUARDD_PLUGIN_ALERT,
                 "is of a known kind"))
    return false;
  bool named = plugin->name && plugin->name[0]
               && strspn (plugin->name, G_CSET_a_2_z G_CSET_DIGITS "-") == strlen (plugin->name);
  check (named, "its name is [a-z0-9-]+: %s", plugin->name ? plugin->name : "");
  check (is_text (plugin->version) && is_text (plugin->description),
         "says its version and what it is, in a line each");
  g_autofree char *base = g_path_get_basename (path);
  g_autofree char *expected = g_strdup_printf ("%s-%s.so", kinds[plugin->kind], plugin->name);
  check (strcmp (base, expected) == 0, "its file is called %s", expected);
  return check (plugin->ops != NULL, "has operations");
}

int
main (int argc, char **argv)
{
  if (argc < 2 || argv[1][0] == '-')
    return usage ();
  g_autofree struct guardd_param *params = g_new0 (struct guardd_param, (gsize)argc);
  g_autofree const char **sources = g_new0 (const char *, (gsize)argc);
  size_t n = 0, n_sources = 0;
  for (int i = 2; i < argc; i++) {
    char *equals = strchr (argv[i], '=');
    if (strcmp (argv[i], "--source") == 0 && argv[i + 1]) {
      sources[n_sources++] = argv[++i];
    } else if (equals) {
      *equals = '\0';
      params[n++] = (struct guardd_param){ argv[i], equals + 1 };
    } else
      return usage ();
  }
  /* With a slash, or dlopen() would look elsewhere. */
  g_autofree char *path = g_canonicalize_filename (argv[1], NULL);
  check_symbols (path);
  const struct guardd_plugin *plugin = load (path);
  check (plugin != NULL, "its entry answers");
  if (plugin != NULL && check_identity (path, plugin)) {
    if (plugin->kind == GUARDD_PLUGIN_STORAGE)
      check_storage (plugin, params, n, sources);
    else if (plugin->kind == GUARDD_PLUGIN_DETECTOR)
      check_detector (plugin, params, n);
    else
      check_alert (plugin, params, n);
  }
  printf ("%u promises, %u broken\n", checks_made (), checks_failed ());
  return checks_failed () ? 1 : 0;
}
