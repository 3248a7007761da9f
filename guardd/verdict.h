/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * verdict.h: what the detectors say of one snapshot.  Values.
 */
#pragma once

#include <glib.h>
#include <guardd/detector.h>
#include <json-c/json.h>
#include <stdbool.h>

typedef enum { LEVEL_OK, LEVEL_INFO, LEVEL_BLIND, LEVEL_WARN, LEVEL_CRITICAL } Level;
const char *level_name (Level level);                  /* "ok", … */
bool level_from_name (const char *name, Level *level); /* false: there is none */
Level level_from_detector (enum guardd_level level);

typedef struct {
  Level level;
  char *rule;      /* "formatted" */
  char *disk;      /* "vda" */
  char *structure; /* "p1/root"; "": the disk */
  char *text;      /* a sentence, valid UTF-8 without control characters */
  bool lasting;
  int slow; /* enum guardd_slow; not in its JSON */
  double seen, expected;
  char *unit;        /* NULL: no numbers */
  char *horizon;     /* what `expected` is of: "last-good", "1h", "24h", "7d"; NULL: it does not apply */
  bool soft;         /* a false positive relieves the rule on this guest */
  char **considered; /* sentences: benign explanations that were tested and rejected; NULL: none */
} Finding;

#define FINDING_CONSIDERED_MAX 8u

void finding_free (gpointer finding);
Finding *finding_copy (const Finding *finding);
json_object *finding_to_json (const Finding *finding);
Finding *finding_from_json (json_object *json, GError **error);
/* Of an array of Finding: the highest level; LEVEL_OK for none. */
Level findings_level (const GPtrArray *findings);
/* The first of the highest level; NULL: none. */
const Finding *findings_worst (const GPtrArray *findings);
json_object *findings_to_json (const GPtrArray *findings);
GPtrArray *findings_from_json (json_object *json, GError **error);
GPtrArray *findings_new (void);
