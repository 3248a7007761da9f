/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "history-line.h"

#include "base/files.h"
#include "base/json.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define HISTORY_OLD "history.old"
#define HISTORY_NEW "history.new"

struct History {
  int dir_fd;
  int fd; /* -1: no file yet */
  HistoryHead head, before;
  guint64 size, size_before;
  guint64 torn_from; /* offset of a last line that is not whole; G_MAXUINT64: none */
  bool is_new, unfinished, broken;
  guint64 first_n;
  GByteArray *hashes; /* of the good lines from first_n on */
  json_object *line;  /* the last one appended */
};

/* A crash between the two renames of history_rotate(): both files are whole. */
static bool
history_finish_rotation (History *history, GError **error)
{
  if (faccessat (history->dir_fd, HISTORY_FILE, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
    return files_unlink (history->dir_fd, HISTORY_NEW, error);
  if (faccessat (history->dir_fd, HISTORY_NEW, F_OK, AT_SYMLINK_NOFOLLOW) < 0
      || faccessat (history->dir_fd, HISTORY_OLD, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
    return true;
  if (renameat (history->dir_fd, HISTORY_NEW, history->dir_fd, HISTORY_FILE) < 0) {
    files_set_error (error, errno, history->dir_fd, HISTORY_NEW, "rename it");
    return false;
  }
  return files_sync (history->dir_fd, error);
}

static bool
history_load (History *history, HistoryReader *reader, GError **error)
{
  g_autoptr (GError) failure = NULL;
  g_autoptr (GBytes) bytes = files_read (history->dir_fd, HISTORY_FILE, HISTORY_SIZE_MAX, &failure);
  if (g_error_matches (failure, G_FILE_ERROR, G_FILE_ERROR_NOENT)) {
    history->is_new = true;
    history->torn_from = G_MAXUINT64;
    return true;
  }
  if (bytes == NULL) {
    g_propagate_error (error, g_steal_pointer (&failure));
    return false;
  }
  size_t size = 0;
  const char *data = g_bytes_get_data (bytes, &size);
  history_reader_run (reader, data, size);
  history->head = reader->head;
  history->first_n = reader->first_n;
  history->torn_from = reader->torn_from;
  history->size = size;
  history->unfinished = size > 0 && data[size - 1] != '\n';
  history->fd
      = openat (history->dir_fd, HISTORY_FILE, O_WRONLY | O_APPEND | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC);
  if (history->fd < 0) {
    files_set_error (error, errno, history->dir_fd, HISTORY_FILE, "open it for writing");
    return false;
  }
  return true;
}

History *
history_open (int dir_fd, HistoryEach each, void *opaque, GPtrArray *problems, GError **error)
{
  g_autoptr (History) history = g_new0 (History, 1);
  history->fd = -1;
  history->hashes = g_byte_array_new ();
  history->dir_fd = fcntl (dir_fd, F_DUPFD_CLOEXEC, 0);
  if (history->dir_fd < 0) {
    files_set_error (error, errno, dir_fd, HISTORY_FILE, "open it");
    return NULL;
  }
  g_autofree char *path = files_path (dir_fd, HISTORY_FILE);
  HistoryReader reader
      = { .each = each, .opaque = opaque, .problems = problems, .path = path, .hashes = history->hashes };
  if (!history_finish_rotation (history, error) || !history_load (history, &reader, error))
    return NULL;
  return g_steal_pointer (&history);
}

void
history_close (History *history)
{
  if (history == NULL)
    return;
  if (history->fd >= 0)
    close (history->fd);
  if (history->dir_fd >= 0)
    close (history->dir_fd);
  g_byte_array_unref (history->hashes);
  json_object_put (history->line);
  g_free (history);
}

bool
history_is_torn (const History *history)
{
  return history->torn_from != G_MAXUINT64;
}

bool
history_drop_torn (History *history, GError **error)
{
  if (!history_is_torn (history))
    return true;
  if (ftruncate (history->fd, (off_t)history->torn_from) < 0) {
    files_set_error (error, errno, history->dir_fd, HISTORY_FILE, "cut off its torn last line");
    return false;
  }
  history->size = history->torn_from;
  history->torn_from = G_MAXUINT64;
  history->unfinished = false;
  return files_sync (history->fd, error);
}

bool
history_is_broken (const History *history)
{
  return history->broken;
}

bool
history_is_new (const History *history)
{
  return history->is_new;
}

guint64
history_size (const History *history)
{
  return history->size;
}

void
history_head (const History *history, HistoryHead *head)
{
  *head = history->head;
}

bool
history_hash_of (const History *history, guint64 n, guint8 *hash)
{
  if (n < history->first_n || n > history->head.n || history->head.n == 0)
    return false;
  guint64 offset = (n - history->first_n) * HISTORY_HASH_SIZE;
  if (offset + HISTORY_HASH_SIZE > history->hashes->len)
    return false;
  memcpy (hash, history->hashes->data + offset, HISTORY_HASH_SIZE);
  return true;
}

/* --- writing --- */

static bool
history_make_file (History *history, GError **error)
{
  history->fd = openat (history->dir_fd, HISTORY_FILE,
                        O_WRONLY | O_APPEND | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (history->fd >= 0)
    return files_sync (history->dir_fd, error);
  files_set_error (error, errno, history->dir_fd, HISTORY_FILE, "create it");
  return false;
}

static bool
history_write (History *history, const GString *text, GError **error)
{
  /* One write() of a line is whole or short; a short one is taken back, so no half line stays in between. */
  ssize_t n = write (history->fd, text->str, text->len);
  if (n == (ssize_t)text->len)
    return true;
  int errno_value = n < 0 ? errno : ENOSPC;
  if (ftruncate (history->fd, (off_t)history->size) < 0)
    history->broken = true;
  files_set_error (error, errno_value, history->dir_fd, HISTORY_FILE, "append to it");
  return false;
}

static bool
history_refuse (const History *history, const char *why, GError **error)
{
  g_autofree char *path = files_path (history->dir_fd, HISTORY_FILE);
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_FAILED, "%s: %s", path, why);
  return false;
}

static bool
history_replace (History *history, const char *data, gsize length, GError **error)
{
  if (!files_unlink (history->dir_fd, HISTORY_NEW, error))
    return false;
  int fd = files_create (history->dir_fd, HISTORY_NEW, data, length, 0600, error);
  bool ok = fd >= 0 && files_sync (fd, error);
  if (fd >= 0)
    close (fd);
  if (!ok)
    return false;
  if (renameat (history->dir_fd, HISTORY_NEW, history->dir_fd, HISTORY_FILE) < 0
      || (fd = openat (history->dir_fd, HISTORY_FILE, O_WRONLY | O_APPEND | O_NOFOLLOW | O_CLOEXEC)) < 0) {
    files_set_error (error, errno, history->dir_fd, HISTORY_FILE, "write it anew");
    return false;
  }
  close (history->fd);
  history->fd = fd;
  return files_sync (history->dir_fd, error);
}

/* After a failed write or fsync nobody knows what the disk has; appending more would build on sand.  What can
 * be read is written to a file of its own, if it is all that was entered and nothing else. */
static bool
history_mend (History *history, GError **error)
{
  g_autofree char *path = files_path (history->dir_fd, HISTORY_FILE);
  g_autoptr (GBytes) bytes = files_read (history->dir_fd, HISTORY_FILE, HISTORY_SIZE_MAX, error);
  if (bytes == NULL)
    return false;
  gsize length = MIN (g_bytes_get_size (bytes), history->size);
  g_autoptr (GBytes) good = g_bytes_new_from_bytes (bytes, 0, length);
  if (!history_check (good, &history->head, path, error)) {
    g_prefix_error (error, "a write to it failed, and `guardsh pool-scan` has to start a new one: ");
    return false;
  }
  if (!history_replace (history, g_bytes_get_data (good, NULL), length, error))
    return false;
  history->broken = false;
  return true;
}

static bool
history_can_append (History *history, const GString *line, GError **error)
{
  if (history->broken && !history_mend (history, error))
    return false;
  if (line->len > HISTORY_LINE_MAX)
    return history_refuse (history, "this line would be too long for it", error);
  return history->size + line->len < HISTORY_SIZE_MAX
         || history_refuse (history, "has grown too long; `guardsh pool-scan` starts a new one", error);
}

json_object *
history_append (History *history, const char *op, json_object *members, GError **error)
{
  g_autoptr (GString) text = g_string_new (history->unfinished ? "\n" : NULL);
  guint8 hash[HISTORY_HASH_SIZE];
  g_autoptr (GString) body = g_string_new (NULL);
  g_autoptr (json_object) line = history_line_make (&history->head, op, members, body, hash);
  g_string_append_len (text, body->str, (gssize)body->len);
  if (!history_can_append (history, body, error))
    return NULL;
  if (history->fd < 0 && !history_make_file (history, error))
    return NULL;
  if (!history_write (history, text, error))
    return NULL;
  sync_file_range (history->fd, 0, 0, SYNC_FILE_RANGE_WRITE);
  history->before = history->head;
  history->size_before = history->size;
  if (history->hashes->len == 0)
    history->first_n = history->head.n + 1;
  history->head.n++;
  memcpy (history->head.hash, hash, sizeof hash);
  g_byte_array_append (history->hashes, hash, sizeof hash);
  history->size += text->len;
  history->unfinished = false;
  history->is_new = false;
  json_object_put (history->line);
  history->line = g_steal_pointer (&line);
  return history->line;
}

bool
history_sync (History *history, GError **error)
{
  if (files_sync (history->fd, error))
    return true;
  history->broken = true;
  return false;
}

void
history_take_back (History *history)
{
  if (ftruncate (history->fd, (off_t)history->size_before) < 0) {
    history->broken = true;
    return;
  }
  history->head = history->before;
  history->size = history->size_before;
  g_byte_array_set_size (history->hashes, history->hashes->len - HISTORY_HASH_SIZE);
}

/* history.new takes the place of the history; a descriptor of it, or -1. */
static int
history_swap (History *history, GError **error)
{
  bool had_file = history->fd >= 0;
  if ((had_file && renameat (history->dir_fd, HISTORY_FILE, history->dir_fd, HISTORY_OLD) < 0)
      || renameat (history->dir_fd, HISTORY_NEW, history->dir_fd, HISTORY_FILE) < 0) {
    files_set_error (error, errno, history->dir_fd, HISTORY_FILE, "start a new one");
    return -1;
  }
  int fd = openat (history->dir_fd, HISTORY_FILE, O_WRONLY | O_APPEND | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) {
    files_set_error (error, errno, history->dir_fd, HISTORY_FILE, "open it");
    return -1;
  }
  if (files_sync (history->dir_fd, error))
    return fd;
  close (fd);
  return -1;
}

static void
history_begin_again (History *history, int fd, const guint8 *hash, guint64 size)
{
  if (history->fd >= 0)
    close (history->fd);
  history->fd = fd;
  history->first_n = ++history->head.n;
  memcpy (history->head.hash, hash, HISTORY_HASH_SIZE);
  g_byte_array_set_size (history->hashes, 0);
  g_byte_array_append (history->hashes, hash, HISTORY_HASH_SIZE);
  history->size = size;
  history->unfinished = history->is_new = history->broken = false;
  history->torn_from = G_MAXUINT64;
}

json_object *
history_rotate (History *history, const char *op, json_object *members, GError **error)
{
  g_autoptr (GString) text = g_string_new (NULL);
  guint8 hash[HISTORY_HASH_SIZE];
  g_autoptr (json_object) line = history_line_make (&history->head, op, members, text, hash);
  if (text->len > HISTORY_LINE_MAX) {
    history_refuse (history, "a new one would begin with too long a line", error);
    return NULL;
  }
  if (!files_unlink (history->dir_fd, HISTORY_NEW, error))
    return NULL;
  int fd = files_create (history->dir_fd, HISTORY_NEW, text->str, text->len, 0600, error);
  if (fd < 0)
    return NULL;
  bool ok = files_sync (fd, error) && files_sync (history->dir_fd, error);
  close (fd);
  if (!ok)
    return NULL;
  fd = history_swap (history, error);
  if (fd < 0) {
    history->broken = true;
    return NULL;
  }
  history_begin_again (history, fd, hash, text->len);
  json_object_put (history->line);
  history->line = g_steal_pointer (&line);
  return history->line;
}

GBytes *
history_read (const History *history, HistoryHead *head, char **path, GError **error)
{
  *head = history->head;
  *path = files_path (history->dir_fd, HISTORY_FILE);
  if (history->fd < 0)
    return g_bytes_new_static ("", 0);
  return files_read (history->dir_fd, HISTORY_FILE, HISTORY_SIZE_MAX, error);
}

bool
history_check (GBytes *content, const HistoryHead *head, const char *path, GError **error)
{
  g_autoptr (GPtrArray) problems = g_ptr_array_new_with_free_func (g_free);
  HistoryReader reader = { .problems = problems, .path = path };
  size_t size = 0;
  const char *data = g_bytes_get_data (content, &size);
  history_reader_run (&reader, data, size);
  if (reader.torn_from != G_MAXUINT64)
    history_reader_problem (&reader, "not whole: damaged or edited");
  else if (problems->len == 0
           && (reader.head.n != head->n || memcmp (reader.head.hash, head->hash, HISTORY_HASH_SIZE) != 0))
    history_reader_problem (&reader,
                            "the file does not end with what was entered last: lines were removed or added");
  if (problems->len == 0)
    return true;
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, "%s", (const char *)problems->pdata[0]);
  return false;
}
