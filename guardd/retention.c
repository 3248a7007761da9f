/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "retention.h"

#include "base/units.h"

#include <gio/gio.h>
#include <string.h>

#define STEPS_MAX 16
#define COUNT_MAX 1000000

typedef struct {
  guint64 count;
  gint64 period_us;
  char *period; /* as written */
} RetentionStep;

struct Retention {
  GArray *steps;
};

static void
step_clear (void *pointer)
{
  g_free (((RetentionStep *)pointer)->period);
}

static bool
step_parse (const char *word, RetentionStep *step, GError **error)
{
  char *end = NULL;
  guint64 period_us = 0;
  step->count = g_ascii_isdigit (*word) ? g_ascii_strtoull (word, &end, 10) : 0;
  if (end == NULL || *end != 'x' || step->count == 0 || step->count > COUNT_MAX) {
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                 "\"%s\": a step is COUNTxPERIOD with a count of 1 to %d, for example 24x1h", word,
                 COUNT_MAX);
    return false;
  }
  if (!duration_parse (end + 1, &period_us, error)) {
    g_prefix_error (error, "\"%s\": ", word);
    return false;
  }
  if (period_us == 0 || period_us > G_MAXINT64 / 2) {
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT, "\"%s\": this period cannot be used", word);
    return false;
  }
  step->period_us = (gint64)period_us;
  step->period = g_strdup (end + 1);
  return true;
}

Retention *
retention_parse (const char *text, GError **error)
{
  g_autoptr (Retention) retention = g_new0 (Retention, 1);
  retention->steps = g_array_new (FALSE, TRUE, sizeof (RetentionStep));
  g_array_set_clear_func (retention->steps, step_clear);
  g_auto (GStrv) words = g_strsplit_set (text, " \t,", -1);
  for (char **word = words; *word; word++) {
    RetentionStep step = { 0 };
    if (**word == '\0')
      continue;
    if (!step_parse (*word, &step, error))
      return NULL;
    g_array_append_val (retention->steps, step);
  }
  if (retention->steps->len == 0 || retention->steps->len > STEPS_MAX) {
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                 "%u steps, but 1 to %d are needed, for example \"60x1min 24x1h 14x1d 8x1w\"",
                 retention->steps->len, STEPS_MAX);
    return NULL;
  }
  return g_steal_pointer (&retention);
}

void
retention_free (Retention *retention)
{
  if (retention == NULL)
    return;
  g_array_unref (retention->steps);
  g_free (retention);
}

char *
retention_to_string (const Retention *retention)
{
  g_autoptr (GString) text = g_string_new (NULL);
  for (guint i = 0; i < retention->steps->len; i++) {
    const RetentionStep *step = &g_array_index (retention->steps, RetentionStep, i);
    g_string_append_printf (text, "%s%" G_GUINT64_FORMAT "x%s", i ? " " : "", step->count, step->period);
  }
  return g_string_free (g_steal_pointer (&text), FALSE);
}

static int
item_compare_newest_first (const void *a, const void *b)
{
  const RetentionItem *x = *(RetentionItem *const *)a, *y = *(RetentionItem *const *)b;
  if (x->number != y->number)
    return x->number < y->number ? 1 : -1;
  return (x->time_us < y->time_us) - (x->time_us > y->time_us);
}

static gint64
period_of (gint64 time_us, gint64 period_us)
{
  gint64 quotient = time_us / period_us;
  return time_us % period_us < 0 ? quotient - 1 : quotient;
}

/*
 * Newest first by number, a new period begins wherever the clock's period differs from that of the item
 * before.  Numbers, not times, give the order, so a clock that was far in the future for a while uses up the
 * periods that it produced and no more, and one that fell back to 1970 does not make years of snapshots fall
 * into one period.
 */
static void
step_apply (const RetentionStep *step, RetentionItem *const *newest_first, size_t n)
{
  guint64 used = 0;
  gint64 current = 0;
  for (size_t i = 0; i < n; i++) {
    RetentionItem *item = newest_first[i];
    if (item->pinned)
      continue;
    gint64 period = period_of (item->time_us, step->period_us);
    if (used > 0 && period == current)
      continue;
    if (used++ == step->count)
      return;
    current = period;
    item->keep = true;
  }
}

void
retention_apply (const Retention *retention, RetentionItem *items, size_t n)
{
  if (n == 0)
    return;
  g_autofree RetentionItem **newest_first = g_new (RetentionItem *, n);
  for (size_t i = 0; i < n; i++) {
    items[i].keep = items[i].pinned;
    newest_first[i] = &items[i];
  }
  qsort (newest_first, n, sizeof *newest_first, item_compare_newest_first);
  newest_first[0]->keep = true;
  for (guint s = 0; s < retention->steps->len; s++)
    step_apply (&g_array_index (retention->steps, RetentionStep, s), newest_first, n);
}
