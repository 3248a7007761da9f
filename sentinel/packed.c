/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "packed.h"

#include <stddef.h>
#include <string.h>

/* Archives, then pictures, sound and documents: converted files come in place of ordinary ones, too. */
static const struct {
  uint8_t at, length;
  char magic[9];
} magics[] = {
  { 0, 2, "\x1f\x8b" },         /* gzip */
  { 0, 2, "\x1f\x9d" },         /* compress */
  { 0, 6, "\xfd\x37zXZ" },      /* xz */
  { 0, 3, "]\0\0" },            /* lzma */
  { 0, 4, "\x28\xb5\x2f\xfd" }, /* zstd */
  { 0, 4, "\x04\x22\x4d\x18" }, /* lz4 */
  { 0, 4, "\x89LZO" },          /* lzop */
  { 0, 4, "LZIP" },
  { 0, 3, "BZh" },
  { 0, 4, "PK\x03\x04" },
  { 0, 6, "7z\xbc\xaf\x27\x1c" },
  { 0, 4, "Rar!" },
  { 0, 7, "!<arch>" },  /* Debian packages */
  { 0, 2, "\x78\x01" }, /* zlib */
  { 0, 2, "\x78\x9c" },
  { 0, 2, "\x78\xda" },
  { 0, 3, "\xff\xd8\xff" }, /* JPEG */
  { 0, 4, "\x89PNG" },
  { 0, 4, "GIF8" },
  { 0, 4, "RIFF" },             /* WebP */
  { 4, 4, "ftyp" },             /* MP4, HEIC, AVIF */
  { 0, 4, "\x1a\x45\xdf\xa3" }, /* Matroska, WebM */
  { 0, 4, "OggS" },
  { 0, 4, "fLaC" },
  { 0, 3, "ID3" },
  { 0, 4, "wOF2" },
  { 0, 4, "%PDF" },
};

bool
packed_begins (const uint8_t *data)
{
  for (size_t i = 0; i < sizeof magics / sizeof magics[0]; i++)
    if (memcmp (data + magics[i].at, magics[i].magic, magics[i].length) == 0)
      return true;
  return false;
}
