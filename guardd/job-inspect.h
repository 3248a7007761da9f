/* SPDX-License-Identifier: GPL-2.0-or-later */
/* job-inspect.h: looks at the files of snapshots with libguestfs; see inspector.h. */
#pragma once

#include "job.h"

/* On the main thread; answers `call`. */
void job_inspect (Daemon *daemon, Guest *guest, ControlCall *call, const Snapshot *snapshot);
void job_diff (Daemon *daemon, Guest *guest, ControlCall *call, const Snapshot *older, const Snapshot *newer);

/* For other jobs, on their thread: makes the list of a snapshot's files anew; its summary, NULL on error. */
json_object *job_inspect_now (Job *job, const Manifest *manifest, GError **error);
/* The difference of two snapshots' lists, which are made where there is none. */
json_object *job_compare_now (Job *job, const Manifest *older, const Manifest *newer, GError **error);
