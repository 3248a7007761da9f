/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fail.h: how a callback says why it failed, and cleanup that GLib does not have.
 */
#pragma once

#include <glib.h>
#include <guardd/storage.h>
#include <stdbool.h>
#include <unistd.h>

/* Tells the caller; always -1.  With an errno, ": strerror" is appended. */
int fail (const struct guardd_call *call, int errno_value, const char *format, ...) G_GNUC_PRINTF (3, 4);

/* For what is done after a failure that was told already, and may fail too. */
extern const struct guardd_call fail_quietly;

/* True when the caller wants the call to end; it has been told ECANCELED then. */
bool cancelled (const struct guardd_call *call, uint64_t done, uint64_t total);

static inline void
fd_close (int *fd)
{
  if (*fd >= 0)
    close (*fd);
  *fd = -1;
}
#define auto_fd __attribute__ ((cleanup (fd_close))) int
