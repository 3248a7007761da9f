/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "describe.h"

#include "base/json.h"
#include "base/units.h"

static void
add_time (json_object *object, gint64 time_us)
{
  g_autofree char *text = time_format (time_us);
  json_add_string (object, "time", text);
}

static json_object *
describe_disk (const ManifestDisk *disk)
{
  json_object *object = json_object_new_object ();
  json_add_string (object, "target", disk->target);
  json_add_string (object, "source", disk->source);
  json_add_string (object, "format", disk->format);
  json_add_u64 (object, "size_bytes", disk->size);
  if (disk->parent)
    json_add_u64 (object, "parent", disk->parent);
  else
    json_object_object_add (object, "parent", NULL);
  json_add_u64 (object, "read_bytes", disk->read_bytes);
  json_add_u64 (object, "changed_bytes", disk->changed_bytes);
  json_add_u64 (object, "stored_bytes", disk->stored_bytes);
  json_add_string (object, "full_reason", disk->full_reason);
  return object;
}

static guint64
manifest_read_bytes (const Manifest *manifest)
{
  guint64 sum = 0;
  for (guint i = 0; i < manifest->disks->len; i++)
    sum += ((const ManifestDisk *)manifest->disks->pdata[i])->read_bytes;
  return sum;
}

json_object *
describe_snapshot (const Snapshot *snapshot)
{
  const Manifest *manifest = snapshot->manifest;
  const SnapshotState *state = snapshot->state;
  json_object *object = json_object_new_object (), *disks = json_object_new_array ();
  json_add_string (object, "domain", manifest->domain_name);
  json_add_string (object, "uuid", manifest->domain_uuid);
  json_add_u64 (object, "number", manifest->number);
  json_add_string (object, "id", manifest->id);
  add_time (object, manifest->time_us);
  json_add_string (object, "engine", manifest->engine);
  json_add_string (object, "engine_reason", manifest->engine_reason);
  json_add_string (object, "origin", manifest->origin);
  json_add_string (object, "description", manifest->description);
  json_add_bool (object, "guest_active", manifest->guest_active);
  json_add_u64 (object, "stall_us", manifest->stall_us);
  json_add_u64 (object, "duration_ms", manifest->duration_us / 1000);
  json_add_u64 (object, "changed_bytes", manifest_changed_bytes (manifest));
  json_add_u64 (object, "stored_bytes", manifest_stored_bytes (manifest));
  json_add_u64 (object, "read_bytes", manifest_read_bytes (manifest));
  json_add_string (object, "held", state->hold);
  json_add_bool (object, "evidence", state->evidence);
  json_add_string (object, "verdict", state->verdict);
  json_add_bool (object, "has_nvram", manifest->has_nvram);
  json_add_bool (object, "has_tpm", manifest->has_tpm);
  for (guint i = 0; i < manifest->disks->len; i++)
    json_object_array_add (disks, describe_disk (manifest->disks->pdata[i]));
  json_object_object_add (object, "disks", disks);
  return object;
}

static json_object *
describe_latest (const Guest *guest)
{
  g_autoptr (Snapshot) latest = guest->pool ? pool_latest (guest->pool, guest->uuid) : NULL;
  if (latest == NULL)
    return NULL;
  json_object *object = json_object_new_object ();
  json_add_u64 (object, "number", latest->manifest->number);
  add_time (object, latest->manifest->time_us);
  return object;
}

static json_object *
describe_incident (const Incident *incident)
{
  json_object *object = json_object_new_object ();
  json_add_string (object, "id", incident->id);
  json_add_string (object, "level", level_name (incident->level));
  json_add_u64 (object, "snapshot_bad", incident->first_bad);
  if (incident->good)
    json_add_u64 (object, "snapshot_good", incident->good);
  else
    json_object_object_add (object, "snapshot_good", NULL);
  return object;
}

json_object *
describe_domain (Daemon *daemon, const Guest *guest)
{
  json_object *object = json_object_new_object ();
  json_add_string (object, "name", guest->name);
  json_add_string (object, "uuid", guest->uuid);
  json_add_string (object, "state", guest_state_name (daemon, guest));
  json_add_bool (object, "busy", guest->busy != NULL);
  json_add_bool (object, "protected", guest->policy != NULL);
  json_add_string (object, "policy", guest->policy ? guest->policy->name : NULL);
  json_add_string (object, "protected_by",
                   !guest->policy                    ? NULL
                   : guest->choice == CHOICE_PROTECT ? "command"
                                                     : "configuration");
  if (guest->policy)
    json_add_u64 (object, "interval_ms", guest->policy->interval_us / 1000);
  else
    json_object_object_add (object, "interval_ms", NULL);
  json_add_string (object, "pool", guest->pool ? pool_name (guest->pool) : NULL);
  json_add_u64 (object, "snapshots", guest_snapshots (guest));
  json_object_object_add (object, "latest", describe_latest (guest));
  if (guest->due)
    json_add_u64 (object, "next_in_ms", (guint64)MAX (0, guest->due - g_get_monotonic_time ()) / 1000);
  else
    json_object_object_add (object, "next_in_ms", NULL);
  json_add_u64 (object, "missed_intervals", guest->missed);
  json_add_u64 (object, "unchanged_intervals", guest->unchanged);
  json_add_u64 (object, "failures", guest->failures);
  json_add_string (object, "last_error", guest->last_error);
  json_add_string (object, "level", level_name (guest->level));
  json_object_object_add (object, "incident", guest->incident ? describe_incident (guest->incident) : NULL);
  return object;
}

/* NULL: nobody has looked since guardd started. */
static json_object *
describe_blind (const Guest *guest, const char *disk)
{
  return guest->blind_spots ? blind_spots_to_json (guest->blind_spots, disk) : NULL;
}

static json_object *
describe_domain_disk (const Guest *guest, const DomainDisk *disk, const Snapshot *latest)
{
  json_object *object = json_object_new_object ();
  const ManifestDisk *known = latest ? manifest_find_disk (latest->manifest, disk->target) : NULL;
  json_add_string (object, "target", disk->target);
  json_add_string (object, "source", disk->source);
  json_add_string (object, "format", disk->format);
  json_add_string (object, "source_type", disk->source_type);
  if (known)
    json_add_u64 (object, "size_bytes", known->size);
  else
    json_object_object_add (object, "size_bytes", NULL);
  json_add_bool (object, "captured", disk->skip_reason == NULL);
  json_add_string (object, "reason", disk->skip_reason);
  json_object_object_add (object, "blind", describe_blind (guest, disk->target));
  return object;
}

void
describe_domain_disks (const Guest *guest, json_object *object)
{
  json_object *disks = json_object_new_array ();
  const Domain *domain = guest->domain;
  g_autoptr (Snapshot) latest = guest->pool ? pool_latest (guest->pool, guest->uuid) : NULL;
  for (guint i = 0; domain && i < domain->disks->len; i++)
    json_object_array_add (disks, describe_domain_disk (guest, domain->disks->pdata[i], latest));
  json_object_object_add (object, "disks", disks);
  json_object_object_add (object, "reliefs", guest->reliefs ? reliefs_to_json (guest->reliefs) : NULL);
  bool active = domain && domain_is_active (domain);
  bool chosen = domain && guest->engine.reason;
  json_add_string (object, "engine",
                   chosen                     ? engine_name (guest->engine.engine)
                   : domain == NULL || active ? NULL
                                              : engine_name (ENGINE_OFFLINE));
  json_add_string (object, "engine_reason",
                   domain == NULL ? "it is not defined in libvirt"
                   : chosen       ? guest->engine.reason
                   : active       ? "not chosen yet: the next snapshot does"
                                  : "it is off: its images are read directly, once per change");
}

json_object *
describe_pool (Pool *pool, GError **error)
{
  PoolInfo info;
  if (!pool_info (pool, &info, error))
    return NULL;
  json_object *object = json_object_new_object ();
  json_add_string (object, "name", pool_name (pool));
  json_add_string (object, "path", pool_path (pool));
  json_add_string (object, "id", pool_id (pool));
  json_add_string (object, "storage", pool_plugin (pool)->name);
  json_add_u64 (object, "size_bytes", info.size_bytes);
  json_add_u64 (object, "free_bytes", info.free_bytes);
  json_add_u64 (object, "stored_bytes", info.stored_bytes);
  json_add_u64 (object, "domains", info.domains);
  json_add_u64 (object, "snapshots", info.snapshots);
  json_add_bool (object, "reflinks", info.reflinks);
  return object;
}

json_object *
describe_guest_event (const Guest *guest)
{
  json_object *object = json_object_new_object ();
  json_add_string (object, "domain", guest->name);
  json_add_string (object, "uuid", guest->uuid);
  return object;
}

static void
add_number (json_object *object, const char *key, guint64 number)
{
  if (number)
    json_add_u64 (object, key, number);
  else
    json_object_object_add (object, key, NULL);
}

json_object *
describe_alarm (const Alert *alert, const GPtrArray *blind, const Incident *incident, json_object *losses)
{
  json_object *object = json_object_new_object ();
  json_add_string (object, "id", alert->id);
  json_add_string (object, "incident", alert->incident);
  add_time (object, alert->time_us);
  json_add_string (object, "host", g_get_host_name ());
  json_add_string (object, "domain", alert->domain);
  json_add_string (object, "uuid", alert->uuid);
  json_add_string (object, "level", alert->level);
  json_add_string (object, "summary", alert->summary);
  json_add_string (object, "rollback", alert->rollback[0] ? alert->rollback : NULL);
  json_object_object_add (object, "losses", losses ? json_object_get (losses) : NULL);
  json_object_object_add (object, "blind", blind ? blind_spots_to_json (blind, NULL) : NULL);
  add_number (object, "snapshot_bad", incident ? incident->first_bad : 0);
  add_number (object, "snapshot_good", incident ? incident->good : 0);
  json_object_object_add (object, "findings",
                          incident ? findings_to_json (incident->findings) : json_object_new_array ());
  return object;
}
