/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "capture-engine.h"

#include <gio/gio.h>

const char *
engine_name (Engine engine)
{
  switch (engine) {
  case ENGINE_QMP:
    return "qmp";
  case ENGINE_LIBVIRT:
    return "libvirt";
  case ENGINE_NATIVE:
    return "native";
  case ENGINE_OFFLINE:
    break;
  }
  return "offline";
}

void
probe_clear (Probe *probe)
{
  g_clear_pointer (&probe->why, g_free);
  probe->result = PROBE_UNKNOWN;
}

void
engine_verdict_clear (EngineVerdict *verdict)
{
  g_clear_pointer (&verdict->reason, g_free);
}

static bool
take (EngineVerdict *verdict, Engine engine, char *reason)
{
  engine_verdict_clear (verdict);
  verdict->engine = engine;
  verdict->reason = reason;
  return true;
}

static bool
take_asked (const Probe *probe, EngineVerdict *verdict, Engine engine, GError **error)
{
  if (probe->result == PROBE_WORKS)
    return take (verdict, engine, g_strdup ("the policy asks for it"));
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED,
               "the policy says engine = %s, but %s; engine = auto takes another", engine_name (engine),
               probe->why ? probe->why : "that could not be tried");
  return false;
}

bool
engine_choose (const EngineFacts *facts, EngineVerdict *verdict, GError **error)
{
  switch (facts->wanted) {
  case ENGINE_CHOICE_QMP:
    return take_asked (&facts->passthrough, verdict, ENGINE_QMP, error);
  case ENGINE_CHOICE_NATIVE:
    return take_asked (&facts->clones, verdict, ENGINE_NATIVE, error);
  case ENGINE_CHOICE_LIBVIRT:
    return take (verdict, ENGINE_LIBVIRT, g_strdup ("the policy asks for it"));
  case ENGINE_CHOICE_AUTO:
    break;
  }
  /* A pool that keeps clones was made for it: nothing has to be read at all. */
  if (facts->clones.result == PROBE_WORKS)
    return take (verdict, ENGINE_NATIVE, g_strdup ("the pool keeps clones of the guest's disks"));
  if (facts->passthrough.result == PROBE_WORKS && facts->pool_clones && facts->clones.why)
    return take (
        verdict, ENGINE_QMP,
        g_strdup_printf ("QEMU's monitor answers through libvirt, and its disks cannot be cloned (%s)",
                         facts->clones.why));
  if (facts->passthrough.result == PROBE_WORKS)
    return take (verdict, ENGINE_QMP, g_strdup ("QEMU's monitor answers through libvirt"));
  return take (
      verdict, ENGINE_LIBVIRT,
      g_strdup (facts->passthrough.why ? facts->passthrough.why : "QEMU's monitor could not be tried"));
}
