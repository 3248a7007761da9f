/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "commands.h"
#include "job-inspect.h"

void
command_snapshot_inspect (ControlCall *call)
{
  Guest *guest = command_guest (call);
  g_autoptr (Snapshot) snapshot = guest ? command_snapshot (call, guest, "snapshot") : NULL;
  if (snapshot)
    job_inspect (control_call_opaque (call), guest, call, snapshot);
}

void
command_diff (ControlCall *call)
{
  Guest *guest = command_guest (call);
  g_autoptr (Snapshot) older = guest ? command_snapshot (call, guest, "from") : NULL;
  g_autoptr (Snapshot) newer = older ? command_snapshot (call, guest, "to") : NULL;
  if (newer)
    job_diff (control_call_opaque (call), guest, call, older, newer);
}
