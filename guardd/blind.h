/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * blind.h: of a disk, which rules see nothing on it and why.  Values; an array of them may be shared between
 * threads, since nothing changes it once it is filled.
 */
#pragma once

#include <glib.h>
#include <json-c/json.h>
#include <stdbool.h>

typedef struct {
  char *disk;      /* "vda" */
  char *structure; /* "p1/root"; "": the disk */
  char **rules;    /* "deletion", … ; none: all */
  char *why;       /* valid UTF-8 without control characters */
  bool late;       /* they see, but minutes later */
} BlindSpot;

GPtrArray *blind_spots_new (void);
/* rules: with spaces between; "": all. */
void blind_spots_add (GPtrArray *spots, const char *disk, const char *structure, const char *rules, bool late,
                      const char *why);
/* disk NULL: of all. */
json_object *blind_spots_to_json (const GPtrArray *spots, const char *disk);
