/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * killpoint.so, preloaded into guardd: kills it, or another process, right before the n-th call of some kind.
 * The test arms it through a file that both have mapped (tests/lib/killpoint.py).
 */
#pragma once

#include <stdint.h>
#include <sys/types.h>

enum {
  KIND_DATA = 1,     /* pwrite, write to files */
  KIND_SYNC = 2,     /* fsync, fdatasync */
  KIND_NAME = 4,     /* rename, mkdir, unlink, creation */
  KIND_LIBVIRT = 8,  /* a QMP command, or another call that changes a guest */
  KIND_REFUSED = 16, /* no call: while it is set, libvirt refuses QMP commands, as to a user who may not */
};

struct killpoint {
  int64_t countdown; /* 0: not armed; at 1 the next call of those kinds kills */
  int64_t count;     /* calls of those kinds so far */
  int64_t kinds;
  int64_t target;  /* process to kill; 0: this one */
  int64_t power;   /* undo what was not made durable before: as if the host had lost power */
  int64_t failure; /* errno: instead of a kill, this call and all later ones fail with it */
  int64_t lie; /* 1 ...: instead of a kill, the answer of this QMP command is one of lies[] (killpoint.c) */
  int64_t delay_us; /* before every call that is meant */
  int64_t clock_us; /* added to the time of day */
  char only[32];    /* not empty: none but calls that have this in their name, or in their QMP command */
  char last[64];    /* the call that it came to */
};

/* Counts a call, and kills when it is the one.  0, or the errno with which the call is to fail. */
int killpoint_pass (int kind, const char *call);

/* undo.c: what was done since the last fsync() of each file and directory under $KILLPOINT_ROOT.  Whatever
 * the kernel may have kept (removals, overwritten names) is kept. */
void undo_note_write (int fd, off_t offset, size_t length);
void undo_note_truncate (int fd);
void undo_note_created (int dir_fd, const char *path);
void undo_note_renamed (int from_fd, const char *from, int to_fd, const char *to);
void undo_note_synced (int fd);
void undo_all (void);
