/* SPDX-License-Identifier: GPL-2.0-or-later */
#define G_LOG_DOMAIN "guardd"
#include "detectors.h"

#include "plugin-load.h"

#include <string.h>

#define TEXT_MAX 500
#define FINDINGS_PER_DISK 64

typedef struct {
  Plugin plugin;
  const struct guardd_detector_ops *ops;
  void *instance;
} Detector;

struct Detectors {
  GArray *all; /* Detector */
  char **off;  /* names of those that guardd.conf switches off */
};

static void
detector_clear (gpointer data)
{
  Detector *detector = data;
  if (detector->ops)
    detector->ops->close (detector->instance);
  plugin_unload (&detector->plugin);
}

static void
call_error (void *opaque, int errno_value, const char *message)
{
  char **text = opaque;
  g_free (*text);
  *text = g_utf8_make_valid (message, -1);
}

/* With the first n parameters; *why: the plugin's words. */
static bool
try_open (const struct guardd_detector_ops *ops, const ConfigDetector *settings, guint n, void **instance,
          char **why)
{
  struct guardd_call call = { sizeof call, why, call_error, NULL };
  const struct guardd_param *params
      = settings ? (const struct guardd_param *)(void *)settings->params->data : NULL;
  g_clear_pointer (why, g_free);
  return ops->open (&call, params, n, instance) == 0;
}

/* The place of what a plugin refuses: the first parameter that it does not take after those before it. */
static const char *
find_refused (const struct guardd_detector_ops *ops, const ConfigDetector *settings, char **why)
{
  for (guint n = 0; n <= settings->params->len; n++) {
    void *instance = NULL;
    if (!try_open (ops, settings, n, &instance, why))
      return n ? settings->places->pdata[n - 1] : settings->place;
    ops->close (instance);
  }
  return settings->place;
}

static bool
detector_open (Detector *detector, const char *plugin_dir, const char *name, const ConfigDetector *settings,
               GError **error)
{
  g_autofree char *why = NULL;
  if (!plugin_load (&detector->plugin, plugin_dir, GUARDD_PLUGIN_DETECTOR, name,
                    offsetof (struct guardd_detector_ops, blind), error)) {
    if (settings)
      g_prefix_error (error, "%s: ", settings->place);
    return false;
  }
  const struct guardd_detector_ops *ops = detector->plugin.plugin->ops;
  if (try_open (ops, settings, settings ? settings->params->len : 0, &detector->instance, &why)) {
    detector->ops = ops;
    return true;
  }
  const char *place = settings ? find_refused (ops, settings, &why) : NULL;
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT, "%s%s: %s", place ? place : "detector ",
               place ? "" : name, why ? why : "the plugin gave no reason");
  plugin_unload (&detector->plugin);
  return false;
}

static const ConfigDetector *
find_settings (const GPtrArray *settings, const char *name)
{
  for (guint i = 0; settings && i < settings->len; i++) {
    const ConfigDetector *one = settings->pdata[i];
    if (strcmp (one->name, name) == 0)
      return one;
  }
  return NULL;
}

/* A section of a detector that is not there: a mistyped name must not leave defaults in force. */
static bool
check_names (const GPtrArray *settings, const char *plugin_dir, char **names, GError **error)
{
  for (guint i = 0; settings && i < settings->len; i++) {
    const ConfigDetector *one = settings->pdata[i];
    if (g_strv_contains ((const char *const *)names, one->name))
      continue;
    g_autofree char *accepted = g_strjoinv (", ", names);
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND,
                 "%s: there is no detector plugin \"%s\" in %s; accepted: %s", one->place, one->name,
                 plugin_dir, *accepted ? accepted : "(there is none)");
    return false;
  }
  return true;
}

/* False: what its section says cannot be. */
static bool
add_detector (Detectors *detectors, const char *plugin_dir, const char *name, const ConfigDetector *settings,
              GError **error)
{
  Detector detector = { 0 };
  g_autoptr (GError) failure = NULL;
  if (detector_open (&detector, plugin_dir, name, settings, &failure)) {
    g_array_append_val (detectors->all, detector);
    return true;
  }
  if (settings) {
    g_propagate_error (error, g_steal_pointer (&failure));
    return false;
  }
  g_warning ("%s; going on without it", failure->message);
  return true;
}

Detectors *
detectors_open (const char *plugin_dir, const GPtrArray *settings, GError **error)
{
  g_auto (GStrv) names = plugin_names (plugin_dir, GUARDD_PLUGIN_DETECTOR);
  g_autoptr (GStrvBuilder) off = g_strv_builder_new ();
  if (!check_names (settings, plugin_dir, names, error))
    return NULL;
  Detectors *detectors = g_new0 (Detectors, 1);
  bool ok = true;
  detectors->all = g_array_new (false, true, sizeof (Detector));
  g_array_set_clear_func (detectors->all, detector_clear);
  for (guint i = 0; ok && names[i]; i++) {
    const ConfigDetector *one = find_settings (settings, names[i]);
    if (one && !one->enabled)
      g_strv_builder_add (off, names[i]);
    else
      ok = add_detector (detectors, plugin_dir, names[i], one, error);
  }
  detectors->off = g_strv_builder_end (off);
  if (!ok)
    g_clear_pointer (&detectors, detectors_close);
  return detectors;
}

void
detectors_close (Detectors *detectors)
{
  if (detectors == NULL)
    return;
  g_array_unref (detectors->all);
  g_strfreev (detectors->off);
  g_free (detectors);
}

guint
detectors_count (const Detectors *detectors)
{
  return detectors->all->len;
}

typedef struct {
  const struct guardd_judge_input *input;
  GPtrArray *findings; /* or BlindSpot */
  guint n;
} Report;

/* One line of text for people and logs, whatever a plugin puts in it. */
static char *
clean (const char *text)
{
  char *valid = g_utf8_make_valid (text ? text : "", TEXT_MAX < strlen (text ? text : "") ? TEXT_MAX : -1);
  for (char *at = valid; *at; at++)
    if ((guchar)*at < ' ' || *at == 127)
      *at = ' ';
  return valid;
}

static char **
clean_all (const struct guardd_finding *from)
{
  g_autoptr (GStrvBuilder) builder = g_strv_builder_new ();
  for (guint i = 0; i < MIN (from->n_considered, FINDING_CONSIDERED_MAX); i++) {
    g_autofree char *text = clean (from->considered[i]);
    g_strv_builder_add (builder, text);
  }
  return from->n_considered ? g_strv_builder_end (builder) : NULL;
}

static void
take_finding (void *opaque, const struct guardd_finding *given)
{
  Report *report = opaque;
  struct guardd_finding from = { 0 };
  /* One that was built before the contract had more is taken as it is. */
  if (given->size_of < offsetof (struct guardd_finding, soft) || given->level == GUARDD_LEVEL_OK
      || report->n++ >= FINDINGS_PER_DISK)
    return;
  memcpy (&from, given, MIN (given->size_of, sizeof from));
  Finding *finding = g_new0 (Finding, 1);
  *finding = (Finding){ .level = level_from_detector (from.level),
                        .rule = clean (from.rule),
                        .disk = g_strdup (report->input->disk),
                        .structure = clean (from.structure),
                        .text = clean (from.text),
                        .lasting = from.lasting != 0,
                        .slow = from.slow,
                        .seen = from.seen,
                        .expected = from.expected,
                        .unit = from.unit ? clean (from.unit) : NULL,
                        .soft = from.soft != 0,
                        .horizon = from.horizon ? clean (from.horizon) : NULL,
                        .considered = clean_all (&from) };
  g_ptr_array_add (report->findings, finding);
}

static void
add_blind (GPtrArray *findings, const char *disk, const char *name, const char *why)
{
  Finding *finding = g_new0 (Finding, 1);
  finding->level = LEVEL_BLIND;
  finding->rule = g_strdup ("blind");
  finding->disk = g_strdup (disk);
  finding->structure = g_strdup ("");
  finding->text = g_strdup_printf ("detector %s failed: %s", name, why ? why : "it gave no reason");
  g_ptr_array_add (findings, finding);
}

void
detectors_judge (const Detectors *detectors, const struct guardd_judge_input *input, GPtrArray *findings)
{
  for (guint i = 0; i < detectors->all->len; i++) {
    const Detector *detector = &g_array_index (detectors->all, Detector, i);
    g_autofree char *why = NULL;
    struct guardd_call call = { sizeof call, &why, call_error, NULL };
    Report report = { input, findings, 0 };
    if (detector->ops->judge (detector->instance, &call, input, take_finding, &report) != 0)
      add_blind (findings, input->disk, detector->plugin.plugin->name, why);
  }
}

/* --- what they do not see --- */

static void
take_blind (void *opaque, const struct guardd_blind *from)
{
  Report *report = opaque;
  if (from->size_of < sizeof *from || report->n++ >= FINDINGS_PER_DISK)
    return;
  g_autofree char *rules = clean (from->rules), *structure = clean (from->structure),
                  *why = clean (from->why);
  blind_spots_add (report->findings, report->input->disk, structure, rules, from->late != 0, why);
}

static void
add_switched_off (const Detectors *detectors, const char *disk, GPtrArray *spots)
{
  for (char **name = detectors->off; *name; name++) {
    g_autofree char *why = g_strdup_printf ("detector %s is switched off by guardd.conf", *name);
    blind_spots_add (spots, disk, "", "", false, why);
  }
}

void
detectors_find_blind (const Detectors *detectors, const struct guardd_judge_input *input, GPtrArray *spots)
{
  add_switched_off (detectors, input->disk, spots);
  for (guint i = 0; i < detectors->all->len; i++) {
    const Detector *detector = &g_array_index (detectors->all, Detector, i);
    g_autofree char *why = NULL;
    struct guardd_call call = { sizeof call, &why, call_error, NULL };
    Report report = { input, spots, 0 };
    if (detector->ops->size < sizeof *detector->ops || detector->ops->blind == NULL)
      continue;
    if (detector->ops->blind (detector->instance, &call, input, take_blind, &report) != 0) {
      g_autofree char *text
          = g_strdup_printf ("detector %s cannot say what it sees: %s", detector->plugin.plugin->name,
                             why ? why : "it gave no reason");
      blind_spots_add (spots, input->disk, "", "", false, text);
    }
  }
}
