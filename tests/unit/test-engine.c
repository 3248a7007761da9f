/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "guardd/capture-engine.h"

#include <gio/gio.h>

#define REFUSED                                                                                              \
  {                                                                                                          \
    PROBE_REFUSED, "libvirt says no"                                                                         \
  }
#define WORKS                                                                                                \
  {                                                                                                          \
    PROBE_WORKS, NULL                                                                                        \
  }

/* The literals are not freed: the facts are borrowed. */
static void
chooses (EngineFacts facts, Engine engine, const char *reason)
{
  g_autoptr (GError) error = NULL;
  EngineVerdict verdict = { 0 };
  g_assert_true (engine_choose (&facts, &verdict, &error));
  g_assert_no_error (error);
  g_assert_cmpstr (engine_name (verdict.engine), ==, engine_name (engine));
  g_assert_nonnull (strstr (verdict.reason, reason));
  engine_verdict_clear (&verdict);
}

static void
auto_takes_the_fastest_that_works (void)
{
  EngineFacts all = { ENGINE_CHOICE_AUTO, WORKS, WORKS };
  EngineFacts no_clones = { ENGINE_CHOICE_AUTO, WORKS, REFUSED };
  EngineFacts neither = { ENGINE_CHOICE_AUTO, REFUSED, REFUSED };
  EngineFacts unknown = { ENGINE_CHOICE_AUTO };
  chooses (all, ENGINE_NATIVE, "clones");
  chooses (no_clones, ENGINE_QMP, "monitor answers");
  chooses (neither, ENGINE_LIBVIRT, "libvirt says no");
  chooses (unknown, ENGINE_LIBVIRT, "could not be tried");
}

static void
what_the_policy_asks_for_is_taken (void)
{
  EngineFacts libvirt = { ENGINE_CHOICE_LIBVIRT, WORKS, WORKS };
  EngineFacts qmp = { ENGINE_CHOICE_QMP, WORKS, WORKS };
  EngineFacts native = { ENGINE_CHOICE_NATIVE, WORKS, WORKS };
  chooses (libvirt, ENGINE_LIBVIRT, "policy");
  chooses (qmp, ENGINE_QMP, "policy");
  chooses (native, ENGINE_NATIVE, "policy");
}

static void
an_engine_that_cannot_be_used_is_refused_with_the_reason (void)
{
  EngineFacts facts[] = { { ENGINE_CHOICE_QMP, REFUSED, WORKS }, { ENGINE_CHOICE_NATIVE, WORKS, REFUSED } };
  for (guint i = 0; i < G_N_ELEMENTS (facts); i++) {
    g_autoptr (GError) error = NULL;
    EngineVerdict verdict = { 0 };
    g_assert_false (engine_choose (&facts[i], &verdict, &error));
    g_assert_nonnull (strstr (error->message, "libvirt says no"));
    g_assert_null (verdict.reason);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/engine/auto-takes-the-fastest-that-works", auto_takes_the_fastest_that_works);
  g_test_add_func ("/engine/what-the-policy-asks-for-is-taken", what_the_policy_asks_for_is_taken);
  g_test_add_func ("/engine/an-engine-that-cannot-be-used-is-refused",
                   an_engine_that_cannot_be_used_is_refused_with_the_reason);
  return g_test_run ();
}
