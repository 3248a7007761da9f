/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * commands.h: what docs/protocol.md's commands do.  Every run(): main thread, answers now or by a job.
 */
#pragma once

#include "daemon.h"

/* --- command-domain.c --- */
void command_domain_list (ControlCall *call);
void command_domain_info (ControlCall *call);
void command_protect (ControlCall *call);
void command_unprotect (ControlCall *call);

/* --- command-snapshot.c --- */
void command_snapshot_create (ControlCall *call);
void command_snapshot_list (ControlCall *call);
void command_snapshot_info (ControlCall *call);
void command_snapshot_delete (ControlCall *call);
void command_snapshot_hold (ControlCall *call);
void command_snapshot_release (ControlCall *call);
void command_snapshot_verify (ControlCall *call);
void command_rollback (ControlCall *call);

/* --- command-inspect.c --- */
void command_snapshot_inspect (ControlCall *call);
void command_diff (ControlCall *call);

/* --- command-pool.c --- */
void command_pool_list (ControlCall *call);
void command_pool_info (ControlCall *call);
void command_pool_scan (ControlCall *call);

/* --- command-alert.c --- */
void command_alert_list (ControlCall *call);
void command_alert_info (ControlCall *call);
void command_alert_ack (ControlCall *call);
void command_alert_test (ControlCall *call);

/* --- command-plugin.c --- */
void command_plugin_list (ControlCall *call);

/* --- doctor.c --- */
void command_doctor (ControlCall *call);

/* --- helpers, commands.c --- */
/* The guest of the call's "domain"; NULL: answered already. */
Guest *command_guest (ControlCall *call);
/* The snapshot of the call's `argument`; NULL: answered already. */
Snapshot *command_snapshot (ControlCall *call, Guest *guest, const char *argument);
