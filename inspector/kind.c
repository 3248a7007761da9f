/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kind.h"

#include "signs.h"

#include <string.h>

/* Families: a .jpg that is a PNG is common, and no sign of anything. */
#define ARCHIVE "a"
#define DATABASE "d"
#define IMAGE "i"
#define MEDIA "m"
#define OFFICE "o" /* OLE2 */
#define PDF "p"
#define TEXT "t"
#define PROGRAM "x"

/* Source: file(1)'s magic and the formats' own specifications. */
static const struct {
  size_t offset, length;
  const char *bytes;
  char family;
} magics[] = {
#define MAGIC(offset, bytes, family)                                                                         \
  {                                                                                                          \
    offset, sizeof (bytes) - 1, bytes, family[0]                                                             \
  }
  MAGIC (0, "\xff\xd8\xff", IMAGE),
  MAGIC (0, "\x89PNG\r\n", IMAGE),
  MAGIC (0, "GIF8", IMAGE),
  MAGIC (0, "BM", IMAGE),
  MAGIC (0, "II*\0", IMAGE),
  MAGIC (0, "MM\0*", IMAGE),
  MAGIC (0, "8BPS", IMAGE),
  MAGIC (0, "%PDF-", PDF),
  MAGIC (0, "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", OFFICE),
  MAGIC (0, "PK\x03\x04", ARCHIVE),
  MAGIC (0, "PK\x05\x06", ARCHIVE),
  MAGIC (0, "\x1f\x8b", ARCHIVE),
  MAGIC (0, "BZh", ARCHIVE),
  MAGIC (0,
         "\xfd"
         "7zXZ",
         ARCHIVE),
  MAGIC (0, "\x28\xb5\x2f\xfd", ARCHIVE),
  MAGIC (0, "7z\xbc\xaf\x27\x1c", ARCHIVE),
  MAGIC (0, "Rar!\x1a\x07", ARCHIVE),
  MAGIC (257, "ustar", ARCHIVE),
  MAGIC (0, "RIFF", MEDIA),
  MAGIC (4, "ftyp", MEDIA),
  MAGIC (4, "moov", MEDIA),
  MAGIC (4, "mdat", MEDIA),
  MAGIC (4, "wide", MEDIA),
  MAGIC (0, "\x1a\x45\xdf\xa3", MEDIA),
  MAGIC (0, "ID3", MEDIA),
  MAGIC (0, "\xff\xfb", MEDIA),
  MAGIC (0, "\xff\xf3", MEDIA),
  MAGIC (0, "\xff\xfa", MEDIA),
  MAGIC (0, "fLaC", MEDIA),
  MAGIC (0, "OggS", MEDIA),
  MAGIC (0, "MZ", PROGRAM),
  MAGIC (0,
         "\x7f"
         "ELF",
         PROGRAM),
  MAGIC (0, "SQLite format 3", DATABASE),
  MAGIC (0, "\0\1\0\0Standard ", DATABASE),
  MAGIC (0, "!BDN", DATABASE),
  MAGIC (0, "KDMV", DATABASE),
  MAGIC (0, "vhdxfile", DATABASE),
  MAGIC (0, "QFI\xfb", DATABASE),
  MAGIC (0, "AC10", DATABASE),
};

static const struct {
  const char *extension, *families;
} promises[] = {
  { ".jpg", IMAGE MEDIA },
  { ".jpeg", IMAGE MEDIA },
  { ".png", IMAGE MEDIA },
  { ".gif", IMAGE MEDIA },
  { ".bmp", IMAGE MEDIA },
  { ".tif", IMAGE },
  { ".tiff", IMAGE },
  { ".webp", IMAGE MEDIA },
  { ".heic", IMAGE MEDIA },
  { ".psd", IMAGE },
  { ".pdf", PDF },
  { ".doc", OFFICE ARCHIVE TEXT },
  { ".xls", OFFICE ARCHIVE TEXT },
  { ".ppt", OFFICE ARCHIVE },
  { ".docx", ARCHIVE OFFICE },
  { ".xlsx", ARCHIVE OFFICE },
  { ".pptx", ARCHIVE OFFICE },
  { ".odt", ARCHIVE },
  { ".ods", ARCHIVE },
  { ".odp", ARCHIVE },
  { ".msg", OFFICE },
  { ".msi", OFFICE },
  { ".zip", ARCHIVE },
  { ".jar", ARCHIVE },
  { ".7z", ARCHIVE },
  { ".rar", ARCHIVE },
  { ".gz", ARCHIVE },
  { ".tgz", ARCHIVE },
  { ".bz2", ARCHIVE },
  { ".xz", ARCHIVE },
  { ".zst", ARCHIVE },
  { ".tar", ARCHIVE },
  { ".mp3", MEDIA },
  { ".mp4", MEDIA },
  { ".m4a", MEDIA },
  { ".mov", MEDIA },
  { ".avi", MEDIA },
  { ".mkv", MEDIA },
  { ".wav", MEDIA },
  { ".flac", MEDIA },
  { ".ogg", MEDIA },
  { ".exe", PROGRAM },
  { ".dll", PROGRAM },
  { ".sys", PROGRAM },
  { ".sqlite", DATABASE },
  { ".sqlite3", DATABASE },
  { ".mdb", DATABASE },
  { ".accdb", DATABASE },
  { ".pst", DATABASE },
  { ".vmdk", DATABASE TEXT },
  { ".vhdx", DATABASE },
  { ".qcow2", DATABASE },
  { ".dwg", DATABASE },
  { ".txt", TEXT },
  { ".csv", TEXT },
  { ".htm", TEXT },
  { ".html", TEXT },
  { ".xml", TEXT },
  { ".json", TEXT },
  { ".md", TEXT },
  { ".rtf", TEXT },
  { ".sql", TEXT },
  { ".eml", TEXT },
  { ".ini", TEXT },
  { ".conf", TEXT },
  { ".php", TEXT },
  { ".py", TEXT },
  { ".js", TEXT },
  { ".css", TEXT },
  { ".c", TEXT },
  { ".h", TEXT },
  { ".sh", TEXT },
};

/* NULL: none. */
static const char *
promised (const char *path)
{
  g_autofree char *low = g_ascii_strdown (extension (path), -1);
  for (size_t i = 0; i < G_N_ELEMENTS (promises); i++)
    if (strcmp (low, promises[i].extension) == 0)
      return promises[i].families;
  return NULL;
}

bool
kind_is_promised (const char *path)
{
  return promised (path) != NULL;
}

/* In any encoding that people use; of random bytes a tenth are control characters. */
static bool
is_text (const unsigned char *head, size_t length)
{
  size_t odd = 0;
  if (length >= 2 && ((head[0] == 0xff && head[1] == 0xfe) || (head[0] == 0xfe && head[1] == 0xff)))
    return true; /* UTF-16 */
  for (size_t i = 0; i < length; i++) {
    if (head[i] == 0)
      return false;
    odd += (head[i] < ' ' && strchr ("\t\n\r\f\v\b\x1b", head[i]) == NULL) || head[i] == 0x7f;
  }
  return odd <= length / 50;
}

static bool
is_of (char family, const unsigned char *head, size_t length)
{
  if (family == TEXT[0])
    return is_text (head, length);
  for (size_t i = 0; i < G_N_ELEMENTS (magics); i++)
    if (magics[i].family == family && magics[i].offset + magics[i].length <= length
        && memcmp (head + magics[i].offset, magics[i].bytes, magics[i].length) == 0)
      return true;
  /* Readers look for it in the first kilobyte. */
  return family == PDF[0] && memmem (head, length, "%PDF-", 5) != NULL;
}

bool
kind_is_kept (const char *path, const unsigned char *head, size_t length)
{
  const char *families = promised (path);
  for (const char *family = families; family && *family; family++)
    if (is_of (*family, head, length))
      return true;
  return families == NULL;
}
