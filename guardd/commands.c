/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "commands.h"

#define DOMAIN_ARGUMENT                                                                                      \
  {                                                                                                          \
    "domain", CONTROL_STRING, true, "name or UUID"                                                           \
  }
#define SNAPSHOT_ARGUMENT                                                                                    \
  {                                                                                                          \
    "snapshot", CONTROL_STRING, true, "number, \"latest\", \"last-good\", time or age"                       \
  }

static const ControlArgument domain_arguments[] = { DOMAIN_ARGUMENT, { 0 } };
static const ControlArgument snapshot_arguments[] = { DOMAIN_ARGUMENT, SNAPSHOT_ARGUMENT, { 0 } };
static const ControlArgument protect_arguments[]
    = { DOMAIN_ARGUMENT, { "policy", CONTROL_STRING, false, "name of a [policy]" }, { 0 } };
static const ControlArgument create_arguments[]
    = { DOMAIN_ARGUMENT,
        { "description", CONTROL_STRING, false, "a person's words" },
        { "wait", CONTROL_BOOL, false, "until nothing of guardd's is in QEMU, too" },
        { 0 } };
static const ControlArgument delete_arguments[]
    = { DOMAIN_ARGUMENT,
        { "snapshots", CONTROL_STRV, true, "which" },
        { "force", CONTROL_BOOL, false, "held and evidence ones, too" },
        { 0 } };
static const ControlArgument hold_arguments[]
    = { DOMAIN_ARGUMENT, SNAPSHOT_ARGUMENT, { "reason", CONTROL_STRING, true, "why" }, { 0 } };
static const ControlArgument verify_arguments[]
    = { DOMAIN_ARGUMENT,
        { "snapshot", CONTROL_STRING, false, "one; without it all of the domain" },
        { "deep", CONTROL_BOOL, false, "all that restoring it needs, too" },
        { 0 } };
static const ControlArgument diff_arguments[] = { DOMAIN_ARGUMENT,
                                                  { "from", CONTROL_STRING, true, "the older snapshot" },
                                                  { "to", CONTROL_STRING, true, "the newer one" },
                                                  { 0 } };
static const ControlArgument rollback_arguments[]
    = { DOMAIN_ARGUMENT,
        { "snapshot", CONTROL_STRING, false, "to which; \"last-good\"" },
        { "disks", CONTROL_STRV, false, "targets; all that the snapshot holds" },
        { "dry-run", CONTROL_BOOL, false, "compare only" },
        { "no-start", CONTROL_BOOL, false, "leave the guest off" },
        { 0 } };
static const ControlArgument pool_arguments[] = { { "pool", CONTROL_STRING, true, "its name" }, { 0 } };

static const ControlArgument alert_list_arguments[]
    = { { "domain", CONTROL_STRING, false, "only its" }, { 0 } };
static const ControlArgument alert_arguments[]
    = { { "alert", CONTROL_STRING, true, "id, or the start of one" }, { 0 } };
static const ControlArgument alert_ack_arguments[]
    = { { "alert", CONTROL_STRING, true, "id, or the start of one" },
        { "as", CONTROL_STRING, true, "\"real\" or \"false-positive\"" },
        { "reason", CONTROL_STRING, false, "a person's words" },
        { 0 } };
static const ControlArgument alert_test_arguments[]
    = { { "channel", CONTROL_STRING, false, "one [alert]; without it all" }, { 0 } };

const ControlCommand daemon_commands[] = {
  { "domain-list", false, NULL, command_domain_list, "every domain" },
  { "domain-info", false, domain_arguments, command_domain_info, "one domain and its disks" },
  { "protect", true, protect_arguments, command_protect, "take snapshots of a domain" },
  { "unprotect", true, domain_arguments, command_unprotect, "take no more snapshots of a domain" },
  { "snapshot-create", true, create_arguments, command_snapshot_create, "take a snapshot now" },
  { "snapshot-list", false, domain_arguments, command_snapshot_list, "snapshots of a domain" },
  { "snapshot-info", false, snapshot_arguments, command_snapshot_info, "one snapshot" },
  { "snapshot-delete", true, delete_arguments, command_snapshot_delete, "remove snapshots" },
  { "snapshot-hold", true, hold_arguments, command_snapshot_hold, "keep a snapshot from being pruned" },
  { "snapshot-release", true, snapshot_arguments, command_snapshot_release, "end a hold" },
  { "snapshot-verify", true, verify_arguments, command_snapshot_verify,
    "compare what is stored with its hashes" },
  { "snapshot-inspect", true, snapshot_arguments, command_snapshot_inspect, "list all files of a snapshot" },
  { "diff", true, diff_arguments, command_diff, "which files are gone between two snapshots" },
  { "rollback", true, rollback_arguments, command_rollback, "bring a guest's disks back" },
  { "alert-list", false, alert_list_arguments, command_alert_list, "alerts, newest first" },
  { "alert-info", false, alert_arguments, command_alert_info, "one alert" },
  { "alert-ack", true, alert_ack_arguments, command_alert_ack, "say what an alert was" },
  { "alert-test", true, alert_test_arguments, command_alert_test, "send a test" },
  { "pool-list", false, NULL, command_pool_list, "every pool" },
  { "pool-info", false, pool_arguments, command_pool_info, "one pool" },
  { "pool-scan", true, pool_arguments, command_pool_scan, "rebuild the catalog of a pool" },
  { "plugin-list", false, NULL, command_plugin_list, "every plugin that is installed" },
  { "doctor", false, NULL, command_doctor, "look for what is wrong with this host" },
  { 0 },
};

Guest *
command_guest (ControlCall *call)
{
  g_autoptr (GError) error = NULL;
  Guest *guest = daemon_find_guest (control_call_opaque (call), control_call_string (call, "domain"), &error);
  if (guest == NULL)
    control_call_error (call, error);
  return guest;
}

Snapshot *
command_snapshot (ControlCall *call, Guest *guest, const char *argument)
{
  g_autoptr (GError) error = NULL;
  Snapshot *snapshot = NULL;
  if (guest->pool)
    snapshot = pool_resolve (guest->pool, guest->uuid, control_call_string (call, argument),
                             g_get_real_time (), &error);
  if (snapshot == NULL && error)
    control_call_error (call, error);
  else if (snapshot == NULL)
    control_call_fail (call, "NotFound", "%s has no snapshot", guest->name);
  return snapshot;
}
