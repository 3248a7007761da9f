/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A Baseline as a part of STATE_DIR/watch/UUID.json.  Packed values are in the host's byte order: a file of
 * another machine means nothing here anyway. */
#include "baseline-private.h"

#include "base/hex.h"
#include "base/json.h"

#include <math.h>
#include <string.h>

#define AMOUNT_MAX 1e18

static void
add_packed (json_object *array, const guint16 *values, size_t n)
{
  g_autofree char *text = hex_format ((const guint8 *)values, n * sizeof *values);
  json_object_array_add (array, json_object_new_string (text));
}

static json_object *
amounts (const double *values, guint n)
{
  json_object *array = json_object_new_array ();
  for (guint i = 0; i < n; i++)
    json_object_array_add (array, json_object_new_double (values[i]));
  return array;
}

json_object *
baseline_to_json (const Baseline *baseline)
{
  json_object *object = json_object_new_object (), *kept = json_object_new_array ();
  const double content[] = { baseline->sampled, baseline->high, baseline->mapped, baseline->unmapped };
  json_add_u64 (object, "first_us", (guint64)baseline->first_us);
  json_add_u64 (object, "last_us", (guint64)baseline->last_us);
  json_add_u64 (object, "window", (guint64)baseline->window);
  json_add_u64 (object, "day", (guint64)baseline->day);
  json_add_u64 (object, "n_lost", baseline->n_lost);
  json_object_object_add (object, "sums", amounts (baseline->sums, GUARDD_FEATURES));
  json_object_object_add (object, "hour_most", amounts (baseline->hour_most, GUARDD_FEATURES));
  json_object_object_add (object, "edge", amounts (baseline->edge, GUARDD_FEATURES));
  json_object_object_add (object, "content", amounts (content, G_N_ELEMENTS (content)));
  for (guint i = 0; i < GUARDD_FEATURES; i++)
    add_packed (kept, baseline->kept[i][0], BASELINE_BINS * BASELINE_KEPT);
  add_packed (kept, baseline->lost, GUARDD_HISTORY_WINDOWS);
  json_object_object_add (object, "kept", kept);
  return object;
}

static bool
get_amounts (json_object *object, const char *key, double *values, guint n)
{
  json_object *array;
  if (!json_get_array (object, key, &array, NULL) || json_object_array_length (array) != n)
    return false;
  for (guint i = 0; i < n; i++) {
    values[i] = json_object_get_double (json_object_array_get_idx (array, i));
    if (!isfinite (values[i]) || fabs (values[i]) > AMOUNT_MAX)
      return false;
  }
  return true;
}

static bool
get_packed (json_object *array, guint index, guint16 *values, size_t n)
{
  const char *text = json_object_get_string (json_object_array_get_idx (array, index));
  return text && hex_parse (text, (guint8 *)values, n * sizeof *values);
}

static bool
take_up (Baseline *baseline, json_object *json)
{
  json_object *kept;
  guint64 n_lost;
  double content[4];
  if (!json_get_i64 (json, "first_us", &baseline->first_us, NULL)
      || !json_get_i64 (json, "last_us", &baseline->last_us, NULL)
      || !json_get_i64 (json, "window", &baseline->window, NULL)
      || !json_get_i64 (json, "day", &baseline->day, NULL) || !json_get_u64 (json, "n_lost", &n_lost, NULL)
      || !get_amounts (json, "sums", baseline->sums, GUARDD_FEATURES)
      || !get_amounts (json, "hour_most", baseline->hour_most, GUARDD_FEATURES)
      || !get_amounts (json, "edge", baseline->edge, GUARDD_FEATURES)
      || !get_amounts (json, "content", content, G_N_ELEMENTS (content))
      || !json_get_array (json, "kept", &kept, NULL) || n_lost > GUARDD_HISTORY_WINDOWS)
    return false;
  if (baseline->first_us < 0 || baseline->last_us < baseline->first_us || baseline->window < 0
      || baseline->window > baseline->last_us / BASELINE_WINDOW_US)
    return false;
  for (guint i = 0; i < G_N_ELEMENTS (content); i++)
    if (content[i] < 0)
      return false;
  baseline->n_lost = (guint)n_lost;
  baseline->sampled = content[0], baseline->high = content[1];
  baseline->mapped = content[2], baseline->unmapped = content[3];
  for (guint i = 0; i < GUARDD_FEATURES; i++)
    if (!get_packed (kept, i, baseline->kept[i][0], BASELINE_BINS * BASELINE_KEPT))
      return false;
  return get_packed (kept, GUARDD_FEATURES, baseline->lost, GUARDD_HISTORY_WINDOWS);
}

Baseline *
baseline_from_json (json_object *json)
{
  Baseline *baseline = baseline_new ();
  if (json_object_is_type (json, json_type_object) && take_up (baseline, json)) {
    baseline_summarize (baseline);
    return baseline;
  }
  baseline_free (baseline);
  return baseline_new ();
}
