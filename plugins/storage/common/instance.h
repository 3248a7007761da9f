/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * instance.h: a pool directory, and where images lie in it.
 */
#pragma once

#include "fail.h"
#include "index.h"

typedef struct {
  int fd; /* the pool directory */
  char *path;
  const char *data_suffix, *base_suffix; /* of the files beside the indexes: "qcow2", "raw" */
  bool indexes_only; /* the images' data is elsewhere, each whole: nothing but indexes is merged and folded */
  gint readers; /* open ones; atomic.  While there are any, nothing is folded into a base in place: a reader
                   of a snapshot that goes would see it */
} Instance;

/* What the images of one disk of one snapshot are called. */
typedef struct {
  char *directory; /* "<uuid>/00000042", relative to the pool */
  char *domain;    /* "<uuid>" */
  char *snapshot;  /* "00000042" */
  char *disk;      /* "vda" */
  char *path;      /* "/pool/<uuid>/00000042", for messages */
  char *data;      /* "vda.qcow2" or "vda.raw" */
  char *index;     /* "vda.idx" */
} ImageName;

/* NULL: directory or disk is not what guardd would say. */
ImageName *image_name_new (const Instance *instance, const struct guardd_call *call, const char *directory,
                           const char *disk);
void image_name_free (ImageName *name);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (ImageName, image_name_free)

/* "../00000041/vda.qcow2" -> the name of that image in the same domain; NULL: not of that form, and never
 * anywhere else. */
ImageName *image_name_backing (const Instance *instance, const struct guardd_call *call,
                               const ImageName *name, const char *backing);
/* The other way round: what `name` is called as somebody's backing file; g_free(). */
char *image_name_as_backing (const ImageName *name);
bool image_name_is_base (const ImageName *name);

/* Directory descriptor or -1. */
int image_directory_open (const Instance *instance, const struct guardd_call *call, const char *directory);

/* Not writable, immutable where the filesystem has it; and the way back. */
void file_protect (int fd);
void file_unprotect (int dir_fd, const char *name);
/* Removes an immutable file; one that is not there is success. */
int file_remove (const struct guardd_call *call, int dir_fd, const char *path, const char *name);
int file_sync (const struct guardd_call *call, int fd, const char *path);
/* Names in a directory, sorted, without "." and ".."; g_ptr_array_unref(). NULL: failed. */
GPtrArray *directory_list (const struct guardd_call *call, int dir_fd, const char *path);
