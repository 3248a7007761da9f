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
                    sizeof (struct guardd_detector_ops), error)) {
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

Detectors *
detectors_open (const char *plugin_dir, const GPtrArray *settings, GError **error)
{
  g_auto (GStrv) names = plugin_names (plugin_dir, GUARDD_PLUGIN_DETECTOR);
  if (!check_names (settings, plugin_dir, names, error))
    return NULL;
  Detectors *detectors = g_new0 (Detectors, 1);
  detectors->all = g_array_new (false, true, sizeof (Detector));
  g_array_set_clear_func (detectors->all, detector_clear);
  for (guint i = 0; names[i]; i++) {
    Detector detector = { 0 };
    const ConfigDetector *one = find_settings (settings, names[i]);
    g_autoptr (GError) failure = NULL;
    if (one && !one->enabled) {
      g_message ("detector %s is switched off by guardd.conf", names[i]);
    } else if (detector_open (&detector, plugin_dir, names[i], one, &failure)) {
      g_array_append_val (detectors->all, detector);
    } else if (one) {
      g_propagate_error (error, g_steal_pointer (&failure));
      detectors_close (detectors);
      return NULL;
    } else {
      g_warning ("%s; going on without it", failure->message);
    }
  }
  return detectors;
}

void
detectors_close (Detectors *detectors)
{
  if (detectors == NULL)
    return;
  g_array_unref (detectors->all);
  g_free (detectors);
}

guint
detectors_count (const Detectors *detectors)
{
  return detectors->all->len;
}

typedef struct {
  const struct guardd_judge_input *input;
  GPtrArray *findings;
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

static void
take_finding (void *opaque, const struct guardd_finding *from)
{
  Report *report = opaque;
  if (from->size_of < sizeof *from || from->level == GUARDD_LEVEL_OK || report->n++ >= FINDINGS_PER_DISK)
    return;
  Finding *finding = g_new0 (Finding, 1);
  finding->level = level_from_detector (from->level);
  finding->rule = clean (from->rule);
  finding->disk = g_strdup (report->input->disk);
  finding->structure = clean (from->structure);
  finding->text = clean (from->text);
  finding->lasting = from->lasting != 0;
  finding->slow = from->slow;
  finding->seen = from->seen;
  finding->expected = from->expected;
  finding->unit = from->unit ? clean (from->unit) : NULL;
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
