/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * guardd/plugin.h: what every guardd plugin exports, whatever its kind.
 *
 * A plugin is a shared object with one exported symbol, guardd_plugin_entry.
 * Plain C on purpose: no GLib type crosses this line.  A plugin includes the
 * headers of this directory and nothing else of guardd's.
 *
 * Rules for a plugin: no exit() or abort(), no writing to stdout or stderr,
 * no change of process-wide state (umask, signals, locale, working directory),
 * no file-scope configuration (two instances must be able to differ).
 */
#ifndef GUARDD_PLUGIN_H
#define GUARDD_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Raised when a struct below changes in a way that an old plugin cannot see
 * from its `size` member.  guardd refuses any other number by name. */
#define GUARDD_PLUGIN_API 1u

enum guardd_plugin_kind {
  GUARDD_PLUGIN_STORAGE = 1,  /* ops: struct guardd_storage_ops, guardd/storage.h */
  GUARDD_PLUGIN_DETECTOR = 2, /* ops: struct guardd_detector_ops, guardd/detector.h */
  GUARDD_PLUGIN_ALERT = 3,    /* ops: struct guardd_alert_ops, guardd/alert.h */
};

/*
 * What guardd gives to every call that can fail.  A failing callback first
 * says why through error(), once, in a full sentence without newline that
 * names the object ("/pool/…/vda.qcow2: cannot write: No space left on
 * device"), then returns -1.  errno_value is the errno behind it, or 0; guardd
 * tells a full pool (ENOSPC, EDQUOT) from a broken one by it.
 *
 * The struct and what it points to live as long as the call.
 */
struct guardd_call {
  uint32_t size;
  void *opaque;
  void (*error) (void *opaque, int errno_value, const char *message);
  /* Says how far a long call is (units are the plugin's own) and returns
   * nonzero if the call should give up soon with errno ECANCELED.  May be NULL. */
  int (*progress) (void *opaque, uint64_t done, uint64_t total);
};

/* One key = value of the plugin's section in guardd.conf. */
struct guardd_param {
  const char *key;
  const char *value;
};

struct guardd_plugin {
  uint32_t size; /* sizeof (struct guardd_plugin) */
  uint32_t api;  /* GUARDD_PLUGIN_API */
  enum guardd_plugin_kind kind;
  const char *name;        /* "qcow2": what a configuration says */
  const char *version;     /* the plugin's own */
  const char *description; /* one line */
  const void *ops;         /* by kind */
};

/* The one exported symbol.  Called once after loading; the result is static. */
const struct guardd_plugin *guardd_plugin_entry (void);

typedef const struct guardd_plugin *(*guardd_plugin_entry_fn) (void);

#ifdef __cplusplus
}
#endif
#endif
