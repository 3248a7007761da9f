/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * files.h: small files that must survive a crash, in directories whose content is
 * not trusted.
 *
 * A file is named by a descriptor of its directory and a single name, or by
 * AT_FDCWD and a path; a symbolic link as its last part is never followed.  Errors are G_FILE_ERROR and start
 * with the path: ENOSPC and EDQUOT are G_FILE_ERROR_NOSPC and a missing file is G_FILE_ERROR_NOENT.  Not
 * GIO's, which is not loaded for it: guardsh starts for each command.  No state; any thread.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>

/* What nothing small may exceed. */
#define FILES_SMALL_MAX ((size_t)16 * 1024 * 1024)

/* "DIRECTORY/NAME" for messages; g_free(). */
char *files_path (int dir_fd, const char *name);
/* "PATH: cannot WHAT: strerror (errno_value)" */
void files_set_error (GError **error, int errno_value, int dir_fd, const char *name, const char *what);

/* A descriptor (close-on-exec) of the directory `name`, or -1. */
int files_open_directory (int dir_fd, const char *name, GError **error);

/* Makes a new file with this content and starts writing it back; the caller makes it durable with fsync() on
 * the descriptor that is returned (-1: failed, and no file is left). */
int files_create (int dir_fd, const char *name, const void *data, size_t length, mode_t mode, GError **error);
/* Puts the content in place of whatever `name` was, atomically and durably: after a crash it is the old or
 * the new one.  Leaves ".NAME.tmp" behind at worst, which the next call overwrites. */
bool files_replace (int dir_fd, const char *name, const void *data, size_t length, mode_t mode,
                    GError **error);
/* The whole of a regular file; one longer than `limit` is an error. */
GBytes *files_read (int dir_fd, const char *name, size_t limit, GError **error);
/* fsync() of an open file or directory; fd also names it in the message. */
bool files_sync (int fd, GError **error);

/* FS_IMMUTABLE_FL.  False where the filesystem has none or we may not: the caller goes on without. */
bool files_set_immutable (int fd, bool on);
/* Removes one file, an immutable one too.  One that is not there is success. */
bool files_unlink (int dir_fd, const char *name, GError **error);
/* Removes a small tree, immutable files too, on one filesystem, at most 8 levels deep.  `name` may be a file
 * or not exist. */
bool files_remove_tree (int dir_fd, const char *name, GError **error);
