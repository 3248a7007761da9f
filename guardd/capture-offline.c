/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The offline engine: images of a guest that is off, read without locking them. */
#include "capture-draft.h"
#include "capture-files.h"
#include "image-size.h"
#include "nbd-socket.h"
#include "pull.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Where a snapshot keeps what its images looked like: the same again means that nothing has changed. */
#define FINGERPRINT_FILE "offline"

static void
fingerprint_add (GString *text, const DomainDisk *disk)
{
  struct stat st;
  if (stat (disk->source, &st) < 0)
    g_string_append_printf (text, "%s missing\n", disk->target);
  else if (S_ISBLK (st.st_mode)) /* says nothing of its content: see is_unchanged() */
    g_string_append_printf (text, "%s device %ju\n", disk->target, (uintmax_t)st.st_rdev);
  else
    g_string_append_printf (text, "%s %ju %ju %jd %jd.%09ld %jd.%09ld\n", disk->target, (uintmax_t)st.st_dev,
                            (uintmax_t)st.st_ino, (intmax_t)st.st_size, (intmax_t)st.st_mtim.tv_sec,
                            st.st_mtim.tv_nsec, (intmax_t)st.st_ctim.tv_sec, st.st_ctim.tv_nsec);
}

static char *
fingerprint_make (const CapturePlan *plan)
{
  GString *text = g_string_new (NULL);
  for (guint i = 0; i < plan->disks->len; i++)
    fingerprint_add (text, ((const PlanDisk *)plan->disks->pdata[i])->disk);
  return g_string_free (text, FALSE);
}

/* Only a schedule asks "anything new?"; a person or a shutdown wants a snapshot of what there is. */
static bool
is_unchanged (const CapturePlan *plan, const char *fingerprint)
{
  const CaptureRequest *request = plan->request;
  if (plan->latest == NULL || strcmp (request->origin, "schedule") != 0)
    return false;
  g_autoptr (GBytes) last = pool_snapshot_file (request->pool, request->domain->uuid,
                                                plan->latest->manifest->number, FINGERPRINT_FILE, NULL);
  return last && g_bytes_get_size (last) == strlen (fingerprint)
         && memcmp (g_bytes_get_data (last, NULL), fingerprint, strlen (fingerprint)) == 0;
}

static bool
measure (CapturePlan *plan, GError **error)
{
  for (guint i = 0; i < plan->disks->len; i++) {
    PlanDisk *disk = plan->disks->pdata[i];
    if (!image_size (disk->disk->source, disk->disk->format, &disk->size, error)) {
      g_prefix_error (error, "disk %s of %s: ", disk->disk->target, plan->request->domain->name);
      return false;
    }
    capture_plan_base (plan, disk, NULL);
  }
  return true;
}

static bool
pull_image (const CapturePlan *plan, PlanDisk *disk, int socket, GError **error)
{
  const CaptureRequest *request = plan->request;
  g_autoptr (StorageReader) parent = NULL;
  PullRequest pull = { .socket = socket,
                       .export = "",
                       .size = disk->size,
                       .writer = disk->writer,
                       .sample = disk->sample,
                       .stall_us = request->config->capture_timeout_us,
                       .cancellable = request->cancellable };
  PullResult result;
  if (disk->parent) {
    parent = pool_image_open (request->pool, request->domain->uuid, disk->parent, disk->disk->target, error);
    if (parent == NULL) {
      close (socket);
      return false;
    }
    pull.parent = parent;
  }
  g_autoptr (Pull) reading = pull_open (&pull, error);
  if (reading == NULL || !pull_read (reading, error)
      || !pull_finish (g_steal_pointer (&reading), &result, error))
    return false;
  disk->result->read_bytes = result.read_bytes;
  disk->result->changed_bytes = result.changed_bytes;
  return true;
}

static bool
pull_disks (const CapturePlan *plan, GError **error)
{
  const CaptureRequest *request = plan->request;
  for (guint i = 0; i < plan->disks->len; i++) {
    PlanDisk *disk = plan->disks->pdata[i];
    NbdImage image = { .path = disk->disk->source, .format = disk->disk->format };
    int socket;
    NbdServer *server = nbd_server_start (request->config->run_dir, &image, &socket, error);
    if (server == NULL)
      return false;
    bool ok = pull_image (plan, disk, socket, error);
    if (ok)
      nbd_server_stop (server, NULL); /* its data is here, ignoring */
    else {
      g_autofree char *words = nbd_server_words (server);
      nbd_server_abort (server);
      g_prefix_error (error, "disk %s of %s: ", disk->disk->target, request->domain->name);
      if (strcmp (words, "no message") != 0)
        g_prefix_error (error, "qemu-nbd: %s: ", words);
      return false;
    }
  }
  return true;
}

static bool
add_fingerprint (const CaptureDraft *capture, const char *before, GError **error)
{
  g_autofree char *after = fingerprint_make (capture->plan);
  if (strcmp (before, after) != 0) {
    g_set_error (error, CAPTURE_ERROR, CAPTURE_ERROR_CHANGED,
                 "%s: its images were written to while they were read; trying again",
                 capture->plan->request->domain->name);
    return false;
  }
  g_autoptr (GBytes) content = g_bytes_new (before, strlen (before));
  return pool_draft_file (capture->draft, FINGERPRINT_FILE, content, error);
}

Snapshot *
capture_offline (const CaptureRequest *request, GError **error)
{
  CaptureDraft capture = { .started = g_get_monotonic_time () };
  g_autoptr (CapturePlan) plan = capture_plan_new (request, ENGINE_OFFLINE, NULL, error);
  if (plan == NULL)
    return NULL;
  g_autofree char *fingerprint = fingerprint_make (plan);
  if (is_unchanged (plan, fingerprint) || !measure (plan, error))
    return NULL;
  bool sealed = capture_draft_open (&capture, plan, ENGINE_OFFLINE, 0, error) && pull_disks (plan, error)
                && capture_files_add (capture.draft, capture.manifest, request->domain, error)
                && add_fingerprint (&capture, fingerprint, error)
                && !g_cancellable_set_error_if_cancelled (request->cancellable, error);
  if (sealed)
    sealed = capture_draft_seal (&capture, error);
  else
    capture_draft_abort (&capture);
  return capture_draft_close (&capture, sealed);
}
