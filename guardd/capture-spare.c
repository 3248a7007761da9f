/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "capture-spare.h"

/* Disks of one guest that are captured at a time are few. */
#define SPARES_MAX 64

typedef struct {
  Scratch *scratch;
  gint64 fdset;
} Spare;

struct CaptureSpares {
  GArray *spares; /* Spare */
};

static void
spare_clear (gpointer data)
{
  Spare *spare = data;
  scratch_free (spare->scratch);
}

CaptureSpares *
capture_spares_new (void)
{
  CaptureSpares *spares = g_new0 (CaptureSpares, 1);
  spares->spares = g_array_new (false, false, sizeof (Spare));
  g_array_set_clear_func (spares->spares, spare_clear);
  return spares;
}

void
capture_spares_free (CaptureSpares *spares)
{
  if (spares == NULL)
    return;
  g_array_unref (spares->spares);
  g_free (spares);
}

Scratch *
capture_spares_take (CaptureSpares *spares, guint64 size, guint64 limit, gint64 *fdset)
{
  if (spares == NULL || spares->spares->len == 0)
    return NULL;
  Spare *last = &g_array_index (spares->spares, Spare, spares->spares->len - 1);
  if (!scratch_reset (last->scratch, size, limit))
    return NULL;
  Scratch *scratch = g_steal_pointer (&last->scratch);
  *fdset = last->fdset;
  g_array_set_size (spares->spares, (gint)spares->spares->len - 1);
  return scratch;
}

void
capture_spares_put (CaptureSpares *spares, Scratch *scratch, gint64 fdset)
{
  Spare spare = { scratch, fdset };
  if (spares->spares->len < SPARES_MAX && scratch_reset (scratch, 0, 0))
    g_array_append_val (spares->spares, spare);
  else
    scratch_free (scratch);
}

bool
capture_spares_any (const CaptureSpares *spares)
{
  return spares && spares->spares->len > 0;
}

bool
capture_spares_drop (CaptureSpares *spares, QmpClient *client, GError **error)
{
  g_autoptr (GError) first = NULL;
  for (guint i = 0; i < spares->spares->len; i++)
    qmp_remove_fd (client, g_array_index (spares->spares, Spare, i).fdset, first ? NULL : &first);
  g_array_set_size (spares->spares, 0);
  if (first == NULL)
    return true;
  g_propagate_error (error, g_steal_pointer (&first));
  return false;
}
