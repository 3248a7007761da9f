/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Between snapshots QEMU is asked what its guest writes and discards; a burst is captured at once. */
#define G_LOG_DOMAIN "guardd"
#include "job.h"

#include "qmp/qmp-block.h"

/* A QEMU that does not answer is not waited for: others are to be asked. */
#define CALL_MS 500u
/* A guest whose snapshots come as often needs none in between. */
#define WORTH 2u

typedef struct {
  char *uuid;
  bool by_libvirt, known;
  gint64 time_us;
  guint64 written, discarded;
} Sample;

static void
sample_clear (gpointer data)
{
  g_free (((Sample *)data)->uuid);
}

static bool
ask_qemu (virDomainPtr domain, Sample *sample)
{
  QmpLimits limits = { .call_ms = CALL_MS };
  g_autoptr (QmpClient) client = qmp_client_new_libvirt (domain, &limits, NULL);
  g_autoptr (GPtrArray) stats = client ? qmp_query_blockstats (client, NULL) : NULL;
  for (guint i = 0; stats && i < stats->len; i++) {
    const QmpBlockStats *disk = stats->pdata[i];
    sample->written += disk->wr_bytes;
    sample->discarded += disk->unmap_bytes;
  }
  return stats != NULL;
}

static bool
stats_call (virDomainPtr domain, gpointer data, GError **error)
{
  virDomainBlockStatsStruct *all = data;
  return virDomainBlockStats (domain, "", all, sizeof *all) == 0 || libvirt_call_fail (error, "statistics");
}

/* Where the monitor is left alone: libvirt does not count discards. */
static bool
ask_libvirt (LibvirtCalls *calls, virDomainPtr domain, Sample *sample)
{
  const LibvirtCall call = { .func = stats_call, .timeout_ms = CALL_MS };
  virDomainBlockStatsStruct *all = g_atomic_rc_box_new0 (virDomainBlockStatsStruct);
  bool ok = libvirt_call (calls, domain, &call, all, NULL, NULL);
  if (ok)
    sample->written = (guint64)MAX (all->wr_bytes, 0);
  g_atomic_rc_box_release (all);
  return ok;
}

static bool
ask (Daemon *daemon, Sample *sample)
{
  virDomainPtr domain = roster_lookup (daemon->roster, sample->uuid, NULL);
  if (domain == NULL)
    return false;
  bool ok
      = sample->by_libvirt ? ask_libvirt (daemon->libvirt_calls, domain, sample) : ask_qemu (domain, sample);
  sample->time_us = g_get_monotonic_time ();
  virDomainFree (domain);
  return ok;
}

static bool
sample_run (Job *job, GError **error)
{
  GArray *samples = job->data;
  for (guint i = 0; i < samples->len && !g_cancellable_is_cancelled (job->cancellable); i++) {
    Sample *sample = &g_array_index (samples, Sample, i);
    sample->known = ask (job->daemon, sample);
  }
  return true;
}

static void
sample_done (Job *job, const GError *error)
{
  Daemon *daemon = job->daemon;
  const GArray *samples = job->data;
  daemon->sampling = false;
  for (guint i = 0; i < samples->len; i++) {
    const Sample *sample = &g_array_index (samples, Sample, i);
    Guest *guest = g_hash_table_lookup (daemon->guests, sample->uuid);
    if (guest == NULL || !sample->known)
      continue;
    g_autofree char *unusual = burst_add (&guest->burst, sample->time_us, sample->written, sample->discarded);
    if (unusual == NULL || guest->due == 0)
      continue;
    g_message ("%s: %s: a snapshot is taken now", guest->name, unusual);
    guest->due = MIN (guest->due, g_get_monotonic_time ());
  }
}

static bool
is_sampled (const Daemon *daemon, const Guest *guest)
{
  return guest->due && guest->policy && guest->domain && domain_is_active (guest->domain)
         && daemon_guest_interval (guest) > WORTH * daemon->config->sample_every_us;
}

static bool
avoids_monitor (const Guest *guest)
{
  return guest->policy->engine == ENGINE_CHOICE_LIBVIRT
         || (guest->engine.reason && guest->engine.engine == ENGINE_LIBVIRT);
}

void
job_sample (Daemon *daemon)
{
  GHashTableIter iter;
  Guest *guest;
  if (daemon->sampling || daemon->stopping || !daemon->libvirt_connected)
    return;
  GArray *samples = g_array_new (FALSE, FALSE, sizeof (Sample));
  g_array_set_clear_func (samples, sample_clear);
  g_hash_table_iter_init (&iter, daemon->guests);
  while (g_hash_table_iter_next (&iter, NULL, (gpointer *)&guest))
    if (is_sampled (daemon, guest)) {
      Sample sample = { .uuid = g_strdup (guest->uuid), .by_libvirt = avoids_monitor (guest) };
      g_array_append_val (samples, sample);
    }
  if (samples->len == 0) {
    g_array_unref (samples);
    return;
  }
  daemon->sampling = true;
  Job *job = job_new (daemon, NULL, NULL);
  job->data = samples;
  job->data_free = (GDestroyNotify)g_array_unref;
  job->run = sample_run;
  job->done = sample_done;
  job_start (job);
}
