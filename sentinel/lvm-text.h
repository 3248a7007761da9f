/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lvm-text.h: LVM2's metadata as it lies on disk: nested sections, numbers, strings, arrays.
 * Positions are pointers into the text, which must outlive them.  Grammar: lvm2, libdm/libdm-config.c.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lvm_text {
  const char *at, *end;
};

struct lvm_item {
  char name[64];
  bool is_section;
  struct lvm_text value; /* what is in the section's braces, or after '=' */
};

/* The next item of a section; false: none is left, or the text is broken. */
bool lvm_next (struct lvm_text *text, struct lvm_item *item);
bool lvm_find (struct lvm_text section, const char *name, struct lvm_item *item);
uint64_t lvm_number (struct lvm_text section, const char *name); /* 0: not there */
/* The value between quotes, cut to fit; "" if there is none. */
void lvm_string (struct lvm_text section, const char *name, char *value, size_t size);
/* The next string between quotes, of whatever is in a text; false: none is left. */
bool lvm_quoted (struct lvm_text *text, char *value, size_t size);
/* First strings and numbers of an array: ["pv0", 0]. */
bool lvm_stripe (struct lvm_text section, char pv[64], uint64_t *extent);
