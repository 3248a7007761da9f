/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The guest under a rollback.  libvirt is asked at every step: minutes lie between them, in which an
 * operator, a cluster manager or libvirtd's end may have moved it, and what the roster says may be old by
 * then.
 */
#define G_LOG_DOMAIN "guardd"
#include "rollback-private.h"

#include <libvirt/virterror.h>

virDomainPtr
rollback_domain (Job *job, GError **error)
{
  virDomainPtr domain = roster_lookup (job->daemon->roster, job->guest->uuid, error);
  if (domain == NULL)
    g_prefix_error (error, "rollback of %s: ", job->guest->name);
  return domain;
}

bool
rollback_libvirt_fail (const Job *job, const char *what, GError **error)
{
  const virError *last = virGetLastError ();
  bool gone = last && last->code == VIR_ERR_NO_DOMAIN;
  g_set_error (error, G_IO_ERROR, gone ? G_IO_ERROR_NOT_FOUND : G_IO_ERROR_FAILED,
               "rollback of %s: cannot %s: %s", job->guest->name, what,
               last && last->message ? last->message : "libvirt gave no reason");
  return false;
}

/* VIR_DOMAIN_*; -1: libvirt does not say. */
static int
guest_state (const Job *job, virDomainPtr domain, GError **error)
{
  int state = VIR_DOMAIN_NOSTATE, reason = 0;
  if (virDomainGetState (domain, &state, &reason, 0) == 0)
    return state;
  rollback_libvirt_fail (job, "see whether it runs", error);
  return -1;
}

static bool
state_runs (int state)
{
  return state == VIR_DOMAIN_RUNNING || state == VIR_DOMAIN_BLOCKED;
}

bool
rollback_describe (Job *job, GError **error)
{
  virDomainPtr domain = rollback_domain (job, error);
  g_autoptr (Domain) now = domain ? roster_describe (domain, error) : NULL;
  if (domain)
    virDomainFree (domain);
  if (now == NULL)
    return false;
  const ConfigProtect *protect = config_protect (job->daemon->config, now->name);
  g_clear_pointer (&job->domain, domain_unref);
  job->domain = domain_skip_disks (now, protect ? protect->skip_disks : NULL);
  return true;
}

/* --- before its end --- */

bool
rollback_watch (Job *job, virDomainPtr domain, GError **error)
{
  RollbackData *data = job->data;
  data->still = guest_state (job, domain, error);
  g_atomic_int_set (&job->reads_off, !domain_is_active (job->domain));
  if (!state_runs (data->still))
    return data->still >= 0;
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_BUSY,
               "rollback of %s: it runs, although it was told to stand still; try again", job->guest->name);
  return false;
}

/* Its disks are read in another way when it is off. */
static bool
is_as_described (const Job *job, int state, GError **error)
{
  bool off = state == VIR_DOMAIN_SHUTOFF || state == VIR_DOMAIN_CRASHED;
  if (off != domain_is_active (job->domain))
    return true;
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_BUSY,
               "rollback of %s: somebody has just started or ended it; try again", job->guest->name);
  return false;
}

bool
rollback_suspend (Job *job, GError **error)
{
  RollbackData *data = job->data;
  RollbackJournal *journal = data->journal;
  virDomainPtr domain = rollback_domain (job, error);
  int state = domain ? guest_state (job, domain, error) : -1;
  bool ok = state >= 0 && is_as_described (job, state, error);
  journal->was_active = domain_is_active (job->domain);
  journal->was_running = state_runs (state) || (data->left_paused && state == VIR_DOMAIN_PAUSED);
  ok = ok && rollback_enter (job, STEP_SUSPEND, error, "suspending the guest");
  if (ok && state_runs (state) && virDomainSuspend (domain) < 0)
    ok = rollback_libvirt_fail (job, "suspend it", error);
  ok = ok && rollback_watch (job, domain, error);
  if (domain)
    virDomainFree (domain);
  return ok;
}

/* Nothing may have moved it since its evidence was begun. */
static bool
is_still (const Job *job, virDomainPtr domain, GError **error)
{
  const RollbackData *data = job->data;
  int state = guest_state (job, domain, error);
  if (state == data->still)
    return true;
  if (state >= 0)
    g_set_error (
        error, G_IO_ERROR, G_IO_ERROR_BUSY,
        "rollback of %s: somebody %s it meanwhile, so the evidence is not its last state; it is left "
        "alone, and nothing was written: roll it back again",
        job->guest->name, domain_is_active (job->domain) ? "resumed or ended" : "started");
  return false;
}

Snapshot *
rollback_evidence (Job *job, GError **error)
{
  const RollbackData *data = job->data;
  g_autofree char *why
      = g_strdup_printf ("before the rollback to %" G_GUINT64_FORMAT, data->journal->snapshot);
  g_autoptr (GError) failure = NULL, moved = NULL;
  Snapshot *evidence = job_capture_now (job, "evidence", why, true, NULL, &failure);
  if (evidence)
    return evidence;
  /* If it was moved, that is why, whatever the capture says. */
  virDomainPtr domain = rollback_domain (job, NULL);
  bool left
      = domain && !is_still (job, domain, &moved) && g_error_matches (moved, G_IO_ERROR, G_IO_ERROR_BUSY);
  g_propagate_error (error, left ? g_steal_pointer (&moved) : g_steal_pointer (&failure));
  if (domain)
    virDomainFree (domain);
  return NULL;
}

bool
rollback_destroy (Job *job, GError **error)
{
  RollbackData *data = job->data;
  virDomainPtr domain = rollback_domain (job, error);
  if (domain == NULL)
    return false;
  /* A saved memory image would meet disks that it does not know. */
  int saved = virDomainHasManagedSaveImage (domain, 0);
  bool ok = is_still (job, domain, error);
  if (ok && (saved < 0 || (saved && virDomainManagedSaveRemove (domain, 0) < 0)))
    ok = rollback_libvirt_fail (job, "remove its managed save image", error);
  data->down_since = g_get_monotonic_time ();
  if (ok && virDomainIsActive (domain) == 1 && virDomainDestroy (domain) < 0) {
    g_autoptr (GError) failure = NULL;
    rollback_libvirt_fail (job, "end the guest's process", &failure);
    ok = rollback_is_off (job, NULL);
    if (!ok)
      g_propagate_error (error, g_steal_pointer (&failure));
  }
  if (ok)
    session_reset (job->guest->session); /* what it knows is of a QEMU that is gone */
  virDomainFree (domain);
  return ok;
}

bool
rollback_is_off (Job *job, GError **error)
{
  g_autoptr (GError) failure = NULL;
  virDomainPtr domain = rollback_domain (job, &failure);
  int active = domain ? virDomainIsActive (domain) : -1;
  if (domain && active < 0)
    rollback_libvirt_fail (job, "see whether it runs", &failure);
  if (domain)
    virDomainFree (domain);
  /* A transient domain is gone with its process. */
  if (active == 0 || g_error_matches (failure, G_IO_ERROR, G_IO_ERROR_NOT_FOUND))
    return true;
  if (failure)
    g_propagate_error (error, g_steal_pointer (&failure));
  else
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_BUSY, "rollback of %s: somebody started it again at once",
                 job->guest->name);
  return false;
}

bool
rollback_answers (Job *job)
{
  g_autoptr (GError) failure = NULL;
  virDomainPtr domain = rollback_domain (job, &failure);
  bool answers = domain ? guest_state (job, domain, &failure) >= 0
                        : g_error_matches (failure, G_IO_ERROR, G_IO_ERROR_NOT_FOUND);
  if (domain)
    virDomainFree (domain);
  return answers;
}

/* --- undone --- */

/* False: it may stand still on our account. */
static bool
guest_resume (Job *job, GError **error)
{
  const RollbackData *data = job->data;
  g_autoptr (GError) failure = NULL;
  virDomainPtr domain = rollback_domain (job, &failure);
  int state = domain ? guest_state (job, domain, &failure) : -1;
  if (state == VIR_DOMAIN_PAUSED && data->journal->was_running) {
    state = virDomainResume (domain) == 0 ? VIR_DOMAIN_RUNNING : -1;
    if (state < 0)
      rollback_libvirt_fail (job, "resume it", &failure);
  }
  if (state == VIR_DOMAIN_SHUTOFF && data->journal->was_active && !data->journal->half_written)
    g_warning (
        "rollback of %s: undone, but the guest has been ended; nothing was written, so \"virsh start\" "
        "is safe",
        data->journal->name);
  if (domain)
    virDomainFree (domain);
  /* One that is gone needs nothing. */
  if (state >= 0 || g_error_matches (failure, G_IO_ERROR, G_IO_ERROR_NOT_FOUND))
    return true;
  g_propagate_error (error, g_steal_pointer (&failure));
  return false;
}

bool
rollback_undo (Job *job, GError **error)
{
  RollbackData *data = job->data;
  RollbackJournal *journal = data->journal;
  const char *state_dir = job->daemon->config->state_dir;
  session_reset (job->guest->session); /* what failed may have broken it */
  if (!guest_resume (job, error)) {
    data->stuck = true;
    return false;
  }
  if (!journal->half_written)
    return rollback_journal_remove (journal, state_dir, error);
  g_warning ("rollback of %s: its disks are still half written by an earlier one: roll it back again",
             journal->name);
  journal->step = STEP_SUSPEND;
  journal->evidence = 0;
  journal->was_running = false;
  return rollback_journal_save (journal, state_dir, error);
}
