/* SPDX-License-Identifier: GPL-2.0-or-later */
#define G_LOG_DOMAIN "guardd"
#include "detectors.h"

#include "plugin-load.h"

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

static bool
detector_open (Detector *detector, const char *plugin_dir, const char *name, GError **error)
{
  if (!plugin_load (&detector->plugin, plugin_dir, GUARDD_PLUGIN_DETECTOR, name,
                    sizeof (struct guardd_detector_ops), error))
    return false;
  const struct guardd_detector_ops *ops = detector->plugin.plugin->ops;
  g_autofree char *why = NULL;
  struct guardd_call call = { sizeof call, &why, call_error, NULL };
  if (ops->open (&call, NULL, 0, &detector->instance) == 0) {
    detector->ops = ops;
    return true;
  }
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_FAILED, "detector %s: %s", name, why ? why : "gave no reason");
  plugin_unload (&detector->plugin);
  return false;
}

Detectors *
detectors_open (const char *plugin_dir)
{
  Detectors *detectors = g_new0 (Detectors, 1);
  g_auto (GStrv) names = plugin_names (plugin_dir, GUARDD_PLUGIN_DETECTOR);
  detectors->all = g_array_new (false, true, sizeof (Detector));
  g_array_set_clear_func (detectors->all, detector_clear);
  for (guint i = 0; names[i]; i++) {
    Detector detector = { 0 };
    g_autoptr (GError) error = NULL;
    if (detector_open (&detector, plugin_dir, names[i], &error))
      g_array_append_val (detectors->all, detector);
    else
      g_warning ("%s; going on without it", error->message);
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
  finding->slow = from->slow != 0;
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
