/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * inventory.h: the list of all files of a snapshot, as text, one line each, compressed by gzip.
 *
 *   guardd-inventory 1
 *   fs DEVICE TYPE MOUNTPOINT           a filesystem; "-": not known
 *   f PATH TYPE SIZE MTIME UID INODE CTIME
 *                                       TYPE as in find(1)'s %y, SIZE bytes, MTIME and CTIME seconds since
 * 1970; CTIME may be missing ! WORDS                             what could not be read of that filesystem
 *   end FILES                           the last line; without it the list is not whole
 *
 * Filesystems are sorted by device, files by path with '/' before every other byte: two lists can be compared
 * in one pass, and a directory stands right before what is in it.  In names every byte up to space, '%' and
 * 0x7f are written as %XX: a name is any bytes, and a guest chooses them.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <zlib.h>

#define INVENTORY_MAGIC "guardd-inventory 1"
#define INVENTORY_NAME_MAX 4096 /* bytes of a path; longer ones are left out, and said so */

struct inventory_file {
  char type;
  uint64_t size, inode;
  int64_t mtime, ctime; /* ctime 0: not known */
  uint32_t uid;
};

/* --- inventory-write.c --- */
/* Each: false when writing failed. */
bool inventory_begin (gzFile out);
bool inventory_put_filesystem (gzFile out, const char *device, const char *type, const char *mountpoint);
bool inventory_put_file (gzFile out, const char *path, const struct inventory_file *file);
bool inventory_put_problem (gzFile out, const char *words);
bool inventory_end (gzFile out, uint64_t files);
/* Less than zero, zero or more: as inventories are sorted. */
int inventory_compare_paths (const char *a, const char *b);

/* --- inventory-read.c --- */
enum inventory_kind { INVENTORY_FILESYSTEM, INVENTORY_FILE, INVENTORY_END };

struct inventory_reader {
  gzFile in;
  char device[256], type[64], mountpoint[256]; /* of the filesystem that was read last */
  char path[INVENTORY_NAME_MAX + 1];           /* of the file that was read last */
  struct inventory_file file;
  uint64_t files;    /* so far */
  uint64_t problems; /* lines of them, so far */
  enum inventory_kind kind;
  char line[4 * INVENTORY_NAME_MAX];
};

/* What is read may come from anybody: false when it is no inventory, is not in order, or ends too early. */
bool inventory_read_begin (struct inventory_reader *reader, gzFile in);
bool inventory_read_next (struct inventory_reader *reader);
