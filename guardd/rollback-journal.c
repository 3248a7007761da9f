/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "rollback-journal.h"

#include "base/files.h"
#include "base/json.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

static const char *const step_names[] = { "suspend", "evidence", "destroy", "write", "state", "start" };

const char *
rollback_step_name (RollbackStep step)
{
  return step_names[step];
}

static void
disk_free (gpointer data)
{
  RollbackDisk *disk = data;
  g_free (disk->target);
  g_free (disk->path);
  g_free (disk->format);
  g_free (disk);
}

RollbackJournal *
rollback_journal_new (void)
{
  RollbackJournal *journal = g_new0 (RollbackJournal, 1);
  journal->disks = g_ptr_array_new_with_free_func (disk_free);
  return journal;
}

void
rollback_journal_free (RollbackJournal *journal)
{
  if (journal == NULL)
    return;
  g_free (journal->uuid);
  g_free (journal->name);
  g_free (journal->pool);
  g_ptr_array_unref (journal->disks);
  g_free (journal);
}

RollbackDisk *
rollback_journal_add_disk (RollbackJournal *journal, const char *target, const char *path, const char *format,
                           guint64 size)
{
  RollbackDisk *disk = g_new0 (RollbackDisk, 1);
  *disk = (RollbackDisk){ g_strdup (target), g_strdup (path), g_strdup (format), size, false };
  g_ptr_array_add (journal->disks, disk);
  return disk;
}

bool
rollback_journal_guards (const RollbackJournal *journal)
{
  return journal->half_written || journal->step == STEP_WRITE || journal->step == STEP_STATE;
}

/* --- JSON --- */

static json_object *
journal_to_json (const RollbackJournal *journal)
{
  json_object *object = json_object_new_object (), *disks = json_object_new_array ();
  json_add_string (object, "uuid", journal->uuid);
  json_add_string (object, "name", journal->name);
  json_add_string (object, "pool", journal->pool);
  json_add_string (object, "step", step_names[journal->step]);
  json_add_u64 (object, "snapshot", journal->snapshot);
  json_add_u64 (object, "evidence", journal->evidence);
  json_add_bool (object, "was_active", journal->was_active);
  json_add_bool (object, "was_running", journal->was_running);
  json_add_bool (object, "no_start", journal->no_start);
  json_add_bool (object, "half_written", journal->half_written);
  for (guint i = 0; i < journal->disks->len; i++) {
    const RollbackDisk *disk = journal->disks->pdata[i];
    json_object *entry = json_object_new_object ();
    json_add_string (entry, "target", disk->target);
    json_add_string (entry, "path", disk->path);
    json_add_string (entry, "format", disk->format);
    json_add_u64 (entry, "size_bytes", disk->size);
    json_add_bool (entry, "clone", disk->clone);
    json_object_array_add (disks, entry);
  }
  json_object_object_add (object, "disks", disks);
  return object;
}

static bool
step_parse (const char *text, RollbackStep *step, GError **error)
{
  for (guint i = 0; i < G_N_ELEMENTS (step_names); i++)
    if (strcmp (text, step_names[i]) == 0) {
      *step = (RollbackStep)i;
      return true;
    }
  g_set_error (error, JSON_ERROR, 0, "unknown step \"%s\"", text);
  return false;
}

static bool
disks_from_json (RollbackJournal *journal, json_object *object, GError **error)
{
  json_object *disks = NULL;
  if (!json_get_array (object, "disks", &disks, error))
    return false;
  for (size_t i = 0; i < json_object_array_length (disks); i++) {
    json_object *entry = json_object_array_get_idx (disks, i);
    const char *target, *path, *format;
    guint64 size;
    bool clone = false;
    if (!json_get_string (entry, "target", &target, error) || !json_get_string (entry, "path", &path, error)
        || !json_get_string (entry, "format", &format, error)
        || !json_get_u64 (entry, "size_bytes", &size, error)
        || (json_object_object_get_ex (entry, "clone", NULL)
            && !json_get_bool (entry, "clone", &clone, error)))
      return false;
    rollback_journal_add_disk (journal, target, path, format, size)->clone = clone;
  }
  return true;
}

static RollbackJournal *
journal_from_json (json_object *object, GError **error)
{
  g_autoptr (RollbackJournal) journal = rollback_journal_new ();
  const char *uuid, *name, *pool, *step;
  if (!json_get_string (object, "uuid", &uuid, error) || !json_get_string (object, "name", &name, error)
      || !json_get_string (object, "pool", &pool, error) || !json_get_string (object, "step", &step, error)
      || !step_parse (step, &journal->step, error)
      || !json_get_u64 (object, "snapshot", &journal->snapshot, error)
      || !json_get_u64 (object, "evidence", &journal->evidence, error)
      || !json_get_bool (object, "was_active", &journal->was_active, error)
      || !json_get_bool (object, "was_running", &journal->was_running, error)
      || !json_get_bool (object, "no_start", &journal->no_start, error)
      || (json_object_object_get_ex (object, "half_written", NULL)
          && !json_get_bool (object, "half_written", &journal->half_written, error))
      || !disks_from_json (journal, object, error))
    return NULL;
  journal->uuid = g_strdup (uuid);
  journal->name = g_strdup (name);
  journal->pool = g_strdup (pool);
  return g_steal_pointer (&journal);
}

/* --- files --- */

static int
journal_directory (const char *state_dir, GError **error)
{
  g_autofree char *path = g_build_filename (state_dir, "rollback", NULL);
  if (g_mkdir_with_parents (path, 0700) < 0) {
    g_set_error (error, G_IO_ERROR, (gint)g_io_error_from_errno (errno), "%s: cannot make it: %s", path,
                 g_strerror (errno));
    return -1;
  }
  return files_open_directory (AT_FDCWD, path, error);
}

bool
rollback_journal_save (const RollbackJournal *journal, const char *state_dir, GError **error)
{
  int dir = journal_directory (state_dir, error);
  if (dir < 0)
    return false;
  g_autofree char *name = g_strdup_printf ("%s.json", journal->uuid);
  g_autoptr (json_object) object = journal_to_json (journal);
  const char *text = json_object_to_json_string_ext (object, JSON_C_TO_STRING_PLAIN);
  bool ok = files_replace (dir, name, text, strlen (text), 0600, error);
  close (dir);
  return ok;
}

bool
rollback_journal_remove (const RollbackJournal *journal, const char *state_dir, GError **error)
{
  int dir = journal_directory (state_dir, error);
  if (dir < 0)
    return false;
  g_autofree char *name = g_strdup_printf ("%s.json", journal->uuid);
  bool ok = files_unlink (dir, name, error) && files_sync (dir, error);
  close (dir);
  return ok;
}

bool
rollback_journal_exists (const char *uuid, const char *state_dir)
{
  g_autofree char *name = g_strdup_printf ("%s.json", uuid);
  g_autofree char *path = g_build_filename (state_dir, "rollback", name, NULL);
  return access (path, F_OK) == 0 || errno != ENOENT;
}

static RollbackJournal *
journal_read (int dir, const char *name, GError **error)
{
  gsize length = 0;
  g_autoptr (GBytes) content = files_read (dir, name, FILES_SMALL_MAX, error);
  const char *text = content ? g_bytes_get_data (content, &length) : NULL;
  g_autoptr (json_object) object = text ? json_parse (name, text, length, error) : NULL;
  RollbackJournal *journal = object ? journal_from_json (object, error) : NULL;
  if (journal == NULL)
    g_prefix_error (error, "%s: journal of an unfinished rollback: ", name);
  return journal;
}

RollbackJournal *
rollback_journal_load (const char *uuid, const char *state_dir, GError **error)
{
  if (!rollback_journal_exists (uuid, state_dir))
    return NULL;
  int dir = journal_directory (state_dir, error);
  if (dir < 0)
    return NULL;
  g_autofree char *name = g_strdup_printf ("%s.json", uuid);
  RollbackJournal *journal = journal_read (dir, name, error);
  close (dir);
  return journal;
}

GPtrArray *
rollback_journal_load_all (const char *state_dir, GError **error)
{
  int dir = journal_directory (state_dir, error);
  g_autofree char *path = g_build_filename (state_dir, "rollback", NULL);
  g_autoptr (GDir) list = dir < 0 ? NULL : g_dir_open (path, 0, error);
  g_autoptr (GPtrArray) journals = g_ptr_array_new_with_free_func ((GDestroyNotify)rollback_journal_free);
  const char *name;
  bool ok = list != NULL;
  while (ok && (name = g_dir_read_name (list)) != NULL) {
    if (name[0] == '.' || !g_str_has_suffix (name, ".json"))
      continue;
    RollbackJournal *journal = journal_read (dir, name, error);
    if (journal == NULL)
      g_prefix_error (error, "%s/", path);
    else
      g_ptr_array_add (journals, journal);
    ok = journal != NULL;
  }
  if (dir >= 0)
    close (dir);
  return ok ? g_steal_pointer (&journals) : NULL;
}
