/* SPDX-License-Identifier: GPL-2.0-or-later */
/* job-inspect.h: looks at the files of snapshots with libguestfs; see inspector.h. */
#pragma once

#include "job.h"

/* On the main thread; answers `call`. */
void job_inspect (Daemon *daemon, Guest *guest, ControlCall *call, const Snapshot *snapshot);
void job_diff (Daemon *daemon, Guest *guest, ControlCall *call, const Snapshot *older, const Snapshot *newer);

/* For other slow jobs, on their thread, of snapshots that are pinned: makes the list of a snapshot's files
 * anew; its summary, NULL on error.  older: a list of before, files modified since then are looked into; -1:
 * none. */
json_object *job_inspect_now (Job *job, const Manifest *manifest, int older, GError **error);
/* The difference of two snapshots' lists, which are made where there is none.  With "content" where the newer
 * one was made. */
json_object *job_compare_now (Job *job, const Manifest *older, const Manifest *newer, GError **error);
