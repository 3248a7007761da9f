/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "guardd/config.h"

#include <gio/gio.h>
#include <glib/gstdio.h>
#include <string.h>

#define POOL "[pool main]\npath = /p\n"

static Config *
parse (const char *text)
{
  g_autoptr (GError) error = NULL;
  Config *config = config_parse ("guardd.conf", text, &error);
  g_assert_no_error (error);
  g_assert_nonnull (config);
  return config;
}

static void
refuse (const char *text, const char *expected)
{
  g_autoptr (GError) error = NULL;
  g_assert_null (config_parse ("guardd.conf", text, &error));
  g_assert_true (error && error->domain == G_KEY_FILE_ERROR);
  g_assert_cmpstr (error->message, ==, expected);
}

static void
test_defaults (void)
{
  g_autoptr (Config) config = parse (POOL "[policy p]\n");
  g_assert_cmpstr (config->uri, ==, "qemu:///system");
  g_assert_cmpstr (config->run_dir, ==, "/run/guardd");
  g_assert_cmpstr (config->state_dir, ==, "/var/lib/guardd");
  g_assert_cmpstr (config->plugin_dir, ==, GUARDD_PLUGIN_DIR);
  g_assert_null (config->scratch_dir);
  g_assert_null (config->control_group);
  g_assert_cmpuint (config->scratch_memory, ==, 512u << 20);
  g_assert_cmpuint (config->scratch_disk, ==, (guint64)16 << 30);
  g_assert_cmpuint (config->parallel, ==, 4);
  g_assert_cmpuint (config->capture_timeout_us, ==, 60 * G_USEC_PER_SEC);
  const ConfigPolicy *policy = config_policy (config, "p");
  g_autofree char *keep = retention_to_string (policy->keep);
  g_assert_cmpuint (policy->interval_us, ==, 60 * G_USEC_PER_SEC);
  g_assert_cmpstr (keep, ==, "60x1min 24x1h 14x1d 8x1w");
  g_assert_cmpstr (policy->pool, ==, "main");
  g_assert_cmpint (policy->engine, ==, ENGINE_CHOICE_AUTO);
}

static void
test_every_key (void)
{
  g_autoptr (Config) config = parse (
      "# a comment\n; another\n\n[daemon]\r\nuri=test:///default\n run_dir =  /r \nstate_dir = /s//x/../y\n"
      "plugin_dir = /g\nscratch_dir = /t\nscratch_memory = 64M\nscratch_disk = 2G\nparallel = 64\n"
      "capture_timeout = 5min\ncontrol_group = operators\n" POOL
      "[policy quick]\ninterval = 1s\nkeep = 10x1s\npool = main\nengine = qmp\n"
      "[protect web 0?]\npolicy = quick\nskip_disks = vdb, vdc\n");
  g_assert_cmpstr (config->uri, ==, "test:///default");
  g_assert_cmpstr (config->run_dir, ==, "/r");
  g_assert_cmpstr (config->state_dir, ==, "/s/y");
  g_assert_cmpstr (config->scratch_dir, ==, "/t");
  g_assert_cmpuint (config->scratch_memory, ==, 64u << 20);
  g_assert_cmpuint (config->scratch_disk, ==, (guint64)2 << 30);
  g_assert_cmpuint (config->parallel, ==, 64);
  g_assert_cmpuint (config->capture_timeout_us, ==, 300 * (guint64)G_USEC_PER_SEC);
  g_assert_cmpstr (config->control_group, ==, "operators");
  g_assert_cmpstr (config_pool (config, "main")->path, ==, "/p");
  g_assert_cmpuint (config_policy (config, "quick")->interval_us, ==, G_USEC_PER_SEC);
  g_assert_cmpint (config_policy (config, "quick")->engine, ==, ENGINE_CHOICE_QMP);
  const ConfigProtect *protect = config_protect (config, "web 07");
  g_assert_cmpstr (protect->policy, ==, "quick");
  g_assert_cmpuint (g_strv_length (protect->skip_disks), ==, 2);
  g_assert_cmpstr (protect->skip_disks[1], ==, "vdc");
}

static void
test_first_matching_glob_decides (void)
{
  g_autoptr (Config) config
      = parse (POOL "[policy a]\n[policy b]\n[protect web-test*]\npolicy=none\n[protect web*]\npolicy=a\n"
                    "[protect db[12]]\npolicy=b\n");
  g_assert_cmpstr (config_protect (config, "web-test3")->policy, ==, "none");
  g_assert_cmpstr (config_protect (config, "web3")->policy, ==, "a");
  g_assert_cmpstr (config_protect (config, "db2")->policy, ==, "b");
  g_assert_null (config_protect (config, "db3"));
}

static void
test_only_policy_is_taken (void)
{
  g_autoptr (Config) config = parse (POOL "[policy only]\n[protect *]\n");
  g_assert_cmpstr (config_protect (config, "web")->policy, ==, "only");
}

static void
test_errors_name_line_and_accepted (void)
{
  refuse ("\n" POOL "[policy hourly]\ninterval = 1h\n\nintervall = 1h\n",
          "guardd.conf:7: [policy hourly] intervall: unknown key; accepted: interval, keep, pool, engine, "
          "inspect, inspect_every, on_critical");
  refuse (POOL "[polici x]\n", "guardd.conf:3: [polici]: unknown section; accepted: [daemon], [pool NAME], "
                               "[policy NAME], [protect GLOB], [alert NAME], [detector NAME]");
  refuse (POOL "[policy p]\ninterval = 60\n",
          "guardd.conf:4: [policy p] interval: \"60\" cannot be used; accepted: a duration from 1s to 365d, "
          "such as 60s or 15min");
  refuse (POOL "[policy p]\ninterval = 500ms\n",
          "guardd.conf:4: [policy p] interval: \"500ms\" cannot be used; accepted: a duration from 1s to "
          "365d, such as 60s or 15min");
  refuse (POOL "[policy p]\nengine = magic\n",
          "guardd.conf:4: [policy p] engine: \"magic\" cannot be used; accepted: auto, qmp, libvirt, "
          "native");
  refuse ("[pool main]\npath = pool\n",
          "guardd.conf:2: [pool main] path: \"pool\" cannot be used; accepted: an absolute path");
  refuse (POOL "[daemon]\nparallel = 0\n",
          "guardd.conf:4: [daemon] parallel: \"0\" cannot be used; accepted: a number from 1 to 64");
}

static void
test_errors_of_form (void)
{
  refuse ("path = /p\n", "guardd.conf:1: a key before the first [section]");
  refuse ("[pool main\n", "guardd.conf:1: a section header ends in ]");
  refuse (POOL "what\n", "guardd.conf:3: neither [section] nor key = value; a comment begins with #");
  refuse (POOL "# fine\n[policy \xff]\n", "guardd.conf:4: not UTF-8 text");
  refuse ("[pool]\npath=/p\n", "guardd.conf:1: [pool] needs a name: [pool NAME]");
  refuse ("[daemon x]\n", "guardd.conf:1: [daemon] has no name");
  refuse ("[pool a/b]\n", "guardd.conf:1: [pool a/b]: a name is made of letters, digits and _ . -");
  refuse (POOL "[pool main]\n", "guardd.conf:3: [pool main] stands in line 1 already");
  refuse (POOL "path = /q\n", "guardd.conf:3: [pool main] path: stands in line 2 already");
  refuse ("[daemon]\n[daemon]\n", "guardd.conf:2: [daemon] stands in line 1 already");
}

static void
test_errors_of_reference (void)
{
  refuse ("[pool main]\n", "guardd.conf:1: [pool main] path: is missing; accepted: an absolute path");
  refuse (POOL "[policy p]\npool = mian\n",
          "guardd.conf:4: [policy p] pool: there is no [pool mian]; accepted: main");
  refuse (POOL "[pool b]\npath=/q\n[policy p]\n",
          "guardd.conf:5: [policy p] pool: is missing, and there are several pools; accepted: main, b");
  refuse (
      POOL "[pool b]\npath=/p/\n",
      "guardd.conf:4: [pool b] path: /p belongs to [pool main] too; each pool needs a directory of its own");
  refuse (POOL "[policy p]\n[protect *]\npolicy = q\n",
          "guardd.conf:5: [protect *] policy: there is no [policy q]; accepted: p, or none");
  refuse (POOL "[policy p]\n[policy q]\n[protect *]\n",
          "guardd.conf:5: [protect *] policy: is missing; accepted: p, q, or none");
  refuse (POOL "[policy none]\n",
          "guardd.conf:3: [policy none]: \"none\" is what a [protect] says to leave a guest out");
  refuse ("", "guardd.conf: no [pool NAME] section: snapshots need a place; make one with \"guardsh "
              "pool-create PATH\" and name it here with path = PATH");
}

static void
test_load_names_what_it_cannot_read (void)
{
  g_autoptr (GError) error = NULL;
  g_assert_null (config_load ("/nonexistent/guardd.conf", &error));
  g_assert_nonnull (strstr (error->message, "/nonexistent/guardd.conf"));
  g_clear_error (&error);
  g_assert_null (config_load ("/dev/zero", &error));
  g_assert_nonnull (strstr (error->message, "/dev/zero"));
}

/* Whatever the bytes, the parser ends, and says something when it refuses. */
static void
test_damaged_text (void)
{
  static const char text[]
      = "[daemon]\nparallel = 2\n" POOL "[policy p]\ninterval = 5s\nkeep = 3x1h\n[protect *]\n";
  for (int i = 0; i < 5000; i++) {
    g_autoptr (GError) error = NULL;
    char damaged[sizeof text];
    memcpy (damaged, text, sizeof text);
    for (int n = g_test_rand_int_range (1, 4); n > 0; n--)
      damaged[g_test_rand_int_range (0, sizeof text - 1)] = (char)g_test_rand_int_range (1, 256);
    g_autoptr (Config) config = config_parse ("x", damaged, &error);
    g_assert_true ((config == NULL) == (error != NULL));
  }
}

static void
test_examples_load (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GDir) directory = g_dir_open ("examples", 0, &error);
  g_assert_no_error (error);
  guint loaded = 0;
  for (const char *name; (name = g_dir_read_name (directory)) != NULL;) {
    if (!g_str_has_suffix (name, ".conf"))
      continue;
    g_autofree char *path = g_build_filename ("examples", name, NULL);
    g_autoptr (Config) config = config_load (path, &error);
    g_assert_no_error (error);
    loaded++;
  }
  g_assert_cmpuint (loaded, >=, 2);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/config/defaults", test_defaults);
  g_test_add_func ("/config/every-key", test_every_key);
  g_test_add_func ("/config/first-matching-glob-decides", test_first_matching_glob_decides);
  g_test_add_func ("/config/only-policy-is-taken", test_only_policy_is_taken);
  g_test_add_func ("/config/errors/line-and-accepted", test_errors_name_line_and_accepted);
  g_test_add_func ("/config/errors/form", test_errors_of_form);
  g_test_add_func ("/config/errors/reference", test_errors_of_reference);
  g_test_add_func ("/config/load-names-what-it-cannot-read", test_load_names_what_it_cannot_read);
  g_test_add_func ("/config/damaged-text", test_damaged_text);
  g_test_add_func ("/config/examples-load", test_examples_load);
  return g_test_run ();
}
