/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "listing.h"

#include "base/json.h"
#include "base/units.h"

#include <string.h>

/* Shares of the files that were there, and the least number that counts.  Source: Veeam's inline malware
 * detection, as docs/architecture.md has it for the counters of filesystems. */
#define GONE_CRITICAL 0.5
#define GONE_CRITICAL_MIN 100u
#define GONE_WARN 0.2
#define GONE_WARN_MIN 200u
/* One new ending on so many of all files: encrypted under new names.  Source: as above. */
#define SUFFIX_WARN 0.05
#define SUFFIX_MIN 50u
#define RECORDS_WARN 2u
/* Of the modified files that were looked into, those that are not what their names say.  Source: Commvault's
 * comparison of MIME types; its share is not public, this one is ours. */
#define OTHER_WARN 0.2
#define OTHER_MIN 20u
#define EXCERPT 5u

typedef struct {
  guint64 files, bytes;
} Sum;

static Sum
sum_of (json_object *difference, const char *key)
{
  json_object *object = NULL;
  Sum sum = { 0, 0 };
  if (json_get_object (difference, key, &object, NULL)) {
    json_get_u64 (object, "files", &sum.files, NULL);
    json_opt_u64 (object, "bytes", &sum.bytes, NULL);
  }
  return sum;
}

static guint64
problems_of (json_object *difference, const char *side)
{
  json_object *object = NULL;
  guint64 problems = 0;
  if (json_get_object (difference, side, &object, NULL))
    json_opt_u64 (object, "problems", &problems, NULL);
  return problems;
}

static json_object *
first_of (json_object *difference, const char *key)
{
  json_object *list = NULL;
  return json_get_array (difference, key, &list, NULL) ? json_object_array_get_idx (list, 0) : NULL;
}

static const char *
text_of (json_object *object, const char *key)
{
  const char *text = NULL;
  return object && json_get_string (object, key, &text, NULL) ? text : NULL;
}

static guint64
files_of (json_object *object)
{
  guint64 files = 0;
  if (object)
    json_get_u64 (object, "files", &files, NULL);
  return files;
}

G_GNUC_PRINTF (5, 6)
static void
add (GPtrArray *findings, Level level, const char *rule, double seen, const char *format, ...)
{
  va_list arguments;
  Finding *finding = g_new0 (Finding, 1);
  va_start (arguments, format);
  finding->text = g_strdup_vprintf (format, arguments);
  va_end (arguments);
  finding->level = level;
  finding->rule = g_strdup (rule);
  finding->disk = g_strdup ("");
  finding->structure = g_strdup ("");
  finding->seen = seen;
  finding->unit = g_strdup ("files");
  finding->lasting = true;
  g_ptr_array_add (findings, finding);
}

static void
judge_gone (json_object *difference, GPtrArray *findings)
{
  Sum before = sum_of (difference, "before"), deleted = sum_of (difference, "deleted");
  guint64 gone = deleted.files + sum_of (difference, "emptied").files;
  double share = before.files ? (double)gone / (double)before.files : 0;
  Level level = share >= GONE_CRITICAL && gone >= GONE_CRITICAL_MIN ? LEVEL_CRITICAL
                : share >= GONE_WARN && gone >= GONE_WARN_MIN       ? LEVEL_WARN
                                                                    : LEVEL_OK;
  if (level == LEVEL_OK)
    return;
  g_autofree char *summary = listing_summary (difference);
  if (problems_of (difference, "now") <= problems_of (difference, "before"))
    add (findings, level, "files-gone", (double)gone, "%s: %.0f %% of all", summary, share * 100);
  else /* what could not be read is not there, either */
    add (findings, LEVEL_WARN, "files-gone", (double)gone,
         "%s: %.0f %% of all, of which some could not be read", summary, share * 100);
}

/* Whether a file that is named so begins as a compressor's do, its content tells: see judge_content(). */
static bool
is_packed (const char *ending)
{
  static const char *const endings[] = { ".gz", ".xz", ".bz2", ".zst", ".zip", ".7z", NULL };
  return g_strv_contains (endings, ending);
}

/* Many files came back under a longer name, the same ending for all: its object; else NULL. */
static json_object *
new_ending (json_object *difference)
{
  guint64 before = sum_of (difference, "before").files;
  json_object *suffix = first_of (difference, "suffixes");
  guint64 renamed = files_of (suffix);
  bool many = renamed >= SUFFIX_MIN && (double)renamed >= SUFFIX_WARN * (double)before;
  return many && text_of (suffix, "name") && !is_packed (text_of (suffix, "name")) ? suffix : NULL;
}

static void
judge_names (json_object *difference, GPtrArray *findings)
{
  json_object *note = first_of (difference, "notes"), *locked = new_ending (difference);
  const char *note_name = text_of (note, "name"), *suffix_name = text_of (locked, "name");
  guint64 renamed = files_of (locked);
  if (locked)
    add (findings, note_name ? LEVEL_CRITICAL : LEVEL_WARN, "new-ending", (double)renamed,
         "%" G_GUINT64_FORMAT " files came back with \"%s\" at the end of their names", renamed, suffix_name);
  if (note_name)
    add (findings, locked ? LEVEL_CRITICAL : LEVEL_WARN, "note", (double)files_of (note),
         "\"%s\" is new in %" G_GUINT64_FORMAT " directories", note_name, files_of (note));
}

/* Alone it may be a program that has its own idea of a name; with another sign of encryption it is none. */
static void
judge_content (json_object *difference, bool encrypting, GPtrArray *findings)
{
  json_object *content = NULL;
  guint64 sampled = 0, other = 0;
  if (!json_get_object (difference, "content", &content, NULL)
      || !json_get_u64 (content, "sampled", &sampled, NULL) || !json_get_u64 (content, "other", &other, NULL)
      || other > sampled || other < OTHER_MIN || (double)other < OTHER_WARN * (double)sampled)
    return;
  bool sure = encrypting || new_ending (difference) != NULL;
  add (findings, sure ? LEVEL_CRITICAL : LEVEL_WARN, "other-content", (double)other,
       "%" G_GUINT64_FORMAT " of %" G_GUINT64_FORMAT
       " modified files that were looked into are not what their names say, as when they are encrypted",
       other, sampled);
}

static void
judge_filesystems (json_object *difference, GPtrArray *findings)
{
  json_object *list = NULL;
  if (!json_get_array (difference, "filesystems", &list, NULL))
    return;
  for (size_t i = 0; i < json_object_array_length (list); i++) {
    json_object *one = json_object_array_get_idx (list, i);
    const char *device = text_of (one, "device"), *type = text_of (one, "type"), *now = text_of (one, "now");
    if (device && type && now)
      add (findings, LEVEL_WARN, "filesystem-replaced", 1, "the %s on %s is now %s", type, device, now);
    else if (device && type)
      add (findings, LEVEL_WARN, "filesystem-gone", 1, "the %s on %s is gone", type, device);
  }
}

/* A rotation renames; who cleans up behind himself empties or removes, and more than one. */
static void
judge_records (json_object *difference, GPtrArray *findings)
{
  json_object *list = NULL;
  const char *path = text_of (first_of (difference, "tampered"), "path");
  size_t n
      = path && json_get_array (difference, "tampered", &list, NULL) ? json_object_array_length (list) : 0;
  if (n >= RECORDS_WARN)
    add (findings, LEVEL_WARN, "logs-wiped", (double)n,
         "%s and %zu more logs that say who was there are gone or emptied", path, n - 1);
}

/* Logs are rotated, too: what is missing is worth a look, and no alarm. */
static void
judge_watched (json_object *difference, GPtrArray *findings)
{
  json_object *list = NULL;
  const char *path = text_of (first_of (difference, "watched"), "path");
  if (path && json_get_array (difference, "watched", &list, NULL))
    add (findings, LEVEL_INFO, "watched-files", (double)json_object_array_length (list),
         "%s and %zu more that a system, its logs or a database need have lost something", path,
         json_object_array_length (list) - 1);
}

void
listing_judge_encrypted (json_object *difference, bool encrypting, GPtrArray *findings)
{
  judge_names (difference, findings);
  judge_content (difference, encrypting, findings);
}

void
listing_judge (json_object *difference, bool encrypting, GPtrArray *findings)
{
  judge_gone (difference, findings);
  listing_judge_encrypted (difference, encrypting, findings);
  judge_filesystems (difference, findings);
  judge_records (difference, findings);
  judge_watched (difference, findings);
}

char *
listing_summary (json_object *difference)
{
  Sum deleted = sum_of (difference, "deleted"), emptied = sum_of (difference, "emptied");
  json_object *directory = first_of (difference, "directories");
  g_autofree char *size = size_format (deleted.bytes + emptied.bytes);
  const char *name = text_of (directory, "name");
  if (deleted.files + emptied.files == 0)
    return g_strdup ("no file is gone");
  return g_strdup_printf ("%" G_GUINT64_FORMAT " files with %s are gone%s%s", deleted.files + emptied.files,
                          size, name ? ", most in " : "", name ? name : "");
}

/* The first few of a list, which may not be there. */
static json_object *
some_of (json_object *object, const char *key)
{
  json_object *list = NULL, *some = json_object_new_array ();
  if (json_get_array (object, key, &list, NULL))
    for (size_t i = 0; i < MIN (EXCERPT, json_object_array_length (list)); i++)
      json_object_array_add (some, json_object_get (json_object_array_get_idx (list, i)));
  return some;
}

/* NULL: nobody has looked into files. */
static json_object *
content_excerpt (json_object *difference)
{
  json_object *content = NULL, *excerpt = NULL;
  guint64 sampled = 0, other = 0;
  if (json_get_object (difference, "content", &content, NULL)
      && json_get_u64 (content, "sampled", &sampled, NULL) && json_get_u64 (content, "other", &other, NULL)) {
    excerpt = json_object_new_object ();
    json_add_u64 (excerpt, "sampled", sampled);
    json_add_u64 (excerpt, "other", other);
    json_object_object_add (excerpt, "samples", some_of (content, "samples"));
  }
  return excerpt;
}

json_object *
listing_excerpt (json_object *difference)
{
  static const char *const sums[] = { "deleted", "emptied", "shrunk", "renamed", "new" };
  static const char *const lists[]
      = { "filesystems", "directories", "extensions", "samples", "watched", "tampered", "notes", "suffixes" };
  json_object *excerpt = json_object_new_object ();
  for (guint i = 0; i < G_N_ELEMENTS (sums); i++) {
    json_object *sum = NULL;
    if (json_get_object (difference, sums[i], &sum, NULL))
      json_object_object_add (excerpt, sums[i], json_object_get (sum));
  }
  for (guint i = 0; i < G_N_ELEMENTS (lists); i++)
    json_object_object_add (excerpt, lists[i], some_of (difference, lists[i]));
  json_object_object_add (excerpt, "content", content_excerpt (difference));
  return excerpt;
}
