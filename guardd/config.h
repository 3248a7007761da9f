/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * config.h: guardd.conf as values.  Key-file form; see guardd.conf(5).
 *
 * Every error reads FILE:LINE: what is wrong, and what is accepted.  Unknown
 * sections and keys are errors.
 */
#pragma once

#include "retention.h"
#include "verdict.h"

#include <glib.h>
#include <stdbool.h>

typedef enum { INSPECT_AUTO, INSPECT_NEVER } Inspection;
typedef enum {
  ENGINE_CHOICE_AUTO,
  ENGINE_CHOICE_QMP,
  ENGINE_CHOICE_LIBVIRT,
  ENGINE_CHOICE_NATIVE
} EngineChoice;
typedef enum { RESPONSE_ALERT, RESPONSE_PAUSE, RESPONSE_ISOLATE } Response;

typedef struct {
  char *name;
  char *path;
  char *storage;  /* of the plugin; NULL: what the pool was made with */
  GArray *params; /* struct guardd_param: the other keys */
} ConfigPool;

typedef struct {
  char *name;
  guint64 interval_us; /* >= 1 s */
  Retention *keep;
  char *pool;               /* name of a [pool] */
  EngineChoice engine;      /* of captures while the guest is on */
  Inspection inspect;       /* of its files, beside the looks at every snapshot */
  guint64 inspect_every_us; /* even without suspicion; 0: never */
  Response on_critical;     /* what is done to a guest that is being destroyed, besides telling */
} ConfigPolicy;

typedef struct {
  char *glob;        /* of domain names, fnmatch(3) */
  char *policy;      /* name of a [policy]; "none": do not protect */
  char **skip_disks; /* targets not to capture; NULL-terminated, may be NULL */
} ConfigProtect;

typedef struct {
  char *name;
  char *type;     /* of the plugin: "webhook" */
  Level level;    /* the lowest that it tells; default warn */
  GArray *params; /* struct guardd_param: the other keys */
} ConfigAlert;

typedef struct {
  char *name;        /* of the plugin: "loss" */
  bool enabled;      /* default yes */
  GArray *params;    /* struct guardd_param: the other keys */
  GPtrArray *places; /* char *: of each of them, "FILE:LINE: [detector loss] warn_percent" */
  char *place;       /* of the section */
} ConfigDetector;

typedef enum { ACCELERATOR_AUTO, ACCELERATOR_KVM, ACCELERATOR_TCG } Accelerator;

typedef struct {
  char *uri;                  /* libvirt; default qemu:///system */
  char *run_dir;              /* sockets; default /run/guardd */
  char *state_dir;            /* catalog, journals; default /var/lib/guardd */
  char *plugin_dir;           /* default as built */
  char *libexec_dir;          /* of guardd-sentinel, guardd-inspector; default as built */
  char *appliance_dir;        /* libguestfs's, made by guardd; default /var/cache/guardd/appliance */
  char *scratch_dir;          /* for long captures (O_TMPFILE); NULL: memory only */
  guint64 scratch_memory;     /* bytes of memory one capture may use for old data; default 512 MiB */
  guint64 scratch_disk;       /* bytes in scratch_dir, per capture; default 16 GiB */
  guint parallel;             /* captures at a time; default 4 */
  guint64 capture_timeout_us; /* without progress; default 60 s */
  Accelerator accelerator;    /* of the appliance; default auto: KVM where it boots a kernel */
  guint64 inspect_timeout_us; /* of one look at all files; default 10 min */
  guint64 sample_every_us;    /* between questions what guests write; 0: none; default 5 s */
  char *control_group;        /* group that may use the read-only socket; NULL: root alone */
  GPtrArray *pools;           /* ConfigPool */
  GPtrArray *policies;        /* ConfigPolicy */
  GPtrArray *alerts;          /* ConfigAlert */
  GPtrArray *detectors;       /* ConfigDetector: only those that the file names */
  GPtrArray *protects;        /* ConfigProtect, in the file's order: the first match decides */
} Config;

Config *config_load (const char *path, GError **error);
Config *config_parse (const char *name, const char *text, GError **error); /* name: for messages */
void config_free (Config *config);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Config, config_free)
const ConfigPolicy *config_policy (const Config *config, const char *name);
const ConfigPool *config_pool (const Config *config, const char *name);
/* The first section whose glob matches; NULL: not protected. */
const ConfigProtect *config_protect (const Config *config, const char *domain_name);
