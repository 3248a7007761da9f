/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "history-line.h"

#include "base/hex.h"
#include "base/json.h"
#include "base/units.h"

#include <openssl/sha.h>
#include <string.h>

#define HEX (2 * HISTORY_HASH_SIZE)
/* `,"hash":"` HEX `"}` */
#define TAIL_BEGIN ",\"hash\":\""
#define TAIL_BEGIN_LENGTH (sizeof TAIL_BEGIN - 1)
#define TAIL_LENGTH (TAIL_BEGIN_LENGTH + HEX + 2)

/* --- one line --- */

/* text: without "\n".  NULL: not a whole line. */
static json_object *
line_parse (const char *text, size_t length, guint64 *n, char prev[static HEX + 1], guint8 *hash)
{
  const char *prev_member = NULL;
  if (length <= TAIL_LENGTH || length > HISTORY_LINE_MAX)
    return NULL;
  const char *tail = text + length - TAIL_LENGTH;
  if (memcmp (tail, TAIL_BEGIN, TAIL_BEGIN_LENGTH) != 0)
    return NULL;
  SHA256 ((const guint8 *)text, length - TAIL_LENGTH, hash);
  g_autofree char *expected = hex_format (hash, HISTORY_HASH_SIZE);
  if (memcmp (tail + TAIL_BEGIN_LENGTH, expected, HEX) != 0)
    return NULL;
  g_autoptr (json_object) line = json_parse (HISTORY_FILE, text, length, NULL);
  if (line == NULL || !json_get_u64 (line, "n", n, NULL)
      || !json_get_string (line, "prev", &prev_member, NULL))
    return NULL;
  g_strlcpy (prev, prev_member, HEX + 1);
  return g_steal_pointer (&line);
}

json_object *
history_line_make (const HistoryHead *head, const char *op, json_object *members, GString *text, guint8 *hash)
{
  g_autofree char *now = time_format (g_get_real_time ());
  json_object *line = json_object_new_object ();
  json_add_u64 (line, "n", head->n + 1);
  json_add_string (line, "time", now);
  json_add_string (line, "op", op);
  if (members != NULL) {
    json_object_object_foreach (members, key, value)
        json_object_object_add (line, key, json_object_get (value));
    json_object_put (members);
  }
  g_autofree char *prev = hex_format (head->hash, HISTORY_HASH_SIZE);
  json_add_string (line, "prev", prev);
  size_t length = 0;
  const char *body = json_object_to_json_string_length (
      line, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &length);
  g_string_append_len (text, body, (gssize)length - 1);
  SHA256 ((const guint8 *)text->str, text->len, hash);
  g_autofree char *hex = hex_format (hash, HISTORY_HASH_SIZE);
  g_string_append_printf (text, TAIL_BEGIN "%s\"}\n", hex);
  return line;
}

/* --- reading --- */

void
history_reader_problem (HistoryReader *reader, const char *format, ...)
{
  if (reader->problems->len >= HISTORY_PROBLEMS_MAX)
    return;
  va_list arguments;
  va_start (arguments, format);
  g_autofree char *text = g_strdup_vprintf (format, arguments);
  va_end (arguments);
  g_ptr_array_add (reader->problems, g_strdup_printf ("%s: line %" G_GUINT64_FORMAT ": %s", reader->path,
                                                      reader->line_number, text));
}

static void
reader_good_line (HistoryReader *reader, json_object *line, guint64 n, const char *prev, const guint8 *hash)
{
  const char *op = "";
  g_autofree char *expected = hex_format (reader->head.hash, HISTORY_HASH_SIZE);
  json_opt_string (line, "op", &op, NULL);
  bool first = reader->line_number == 1;
  /* A later segment begins with a checkpoint; what it follows is in history.old. */
  bool follows = (first && strcmp (op, "checkpoint") == 0)
                 || (n == reader->head.n + 1 && strcmp (prev, expected) == 0);
  if (!follows)
    history_reader_problem (reader,
                            "does not follow from the line before: lines were edited, removed or put in");
  if (reader->hashes != NULL && !follows)
    g_byte_array_set_size (reader->hashes, 0);
  if (first || !follows)
    reader->first_n = n;
  reader->head.n = n;
  memcpy (reader->head.hash, hash, HISTORY_HASH_SIZE);
  if (reader->hashes != NULL)
    g_byte_array_append (reader->hashes, hash, HISTORY_HASH_SIZE);
  if (reader->each != NULL) {
    g_autofree char *problem = NULL;
    reader->each (line, reader->opaque, &problem);
    if (problem != NULL)
      history_reader_problem (reader, "%s", problem);
  }
}

void
history_reader_run (HistoryReader *reader, const char *data, size_t size)
{
  reader->torn_from = G_MAXUINT64;
  for (size_t at = 0; at < size;) {
    const char *end = memchr (data + at, '\n', size - at);
    size_t length = end ? (size_t)(end - data) - at : size - at;
    bool last = end == NULL || (size_t)(end - data) + 1 == size;
    char prev[HEX + 1];
    guint8 hash[HISTORY_HASH_SIZE];
    guint64 n = 0;
    reader->line_number++;
    g_autoptr (json_object) line = end ? line_parse (data + at, length, &n, prev, hash) : NULL;
    if (line != NULL)
      reader_good_line (reader, line, n, prev, hash);
    else if (last)
      reader->torn_from = at;
    else
      history_reader_problem (reader, "damaged or edited: it does not match its own hash");
    at += length + 1;
  }
}
