/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * daemon.h: everything that guardd has while it runs; private to the daemon*, guest*, job* and command*
 * files.
 *
 * Threads: Daemon and Guest belong to the main thread.  Work that blocks is a Job (job.h): its run() has a
 * thread and touches only what the job holds, its done() is back on the main thread.
 */
#pragma once

#include "alerts.h"
#include "buffer-stock.h"
#include "burst.h"
#include "capture-engine.h"
#include "config.h"
#include "control.h"
#include "doctor-kvm.h"
#include "domain.h"
#include "guest-hold.h"
#include "pool.h"
#include "relief.h"
#include "roster.h"
#include "session.h"
#include "watch.h"

typedef struct Job Job;

typedef enum {
  CHOICE_NONE,
  CHOICE_PROTECT,
  CHOICE_UNPROTECT
} Choice; /* by command; none: the configuration's */

typedef struct {
  char *uuid, *name;
  Domain *domain; /* as libvirt describes it; NULL: undefined, only the pool knows it */
  Choice choice;
  char *choice_policy;        /* NULL: by the configuration */
  const ConfigPolicy *policy; /* NULL: not protected */
  Pool *pool;                 /* the policy's, or where its snapshots are; may be NULL */
  gint64 due;                 /* monotonic, 0: nothing is due */
  guint64 unchanged;          /* intervals at which a paused guest had nothing new, since start */
  guint64 missed;             /* intervals, since start */
  gint64 missed_told;         /* monotonic: when they were last reported */
  const char *waits_for;      /* static: what was before it when it was due; NULL: nothing */
  guint failures;             /* in a row */
  char *last_error;
  EngineVerdict engine; /* as it was last chosen; while it is on */
  Session *session;     /* NULL: none yet */
  Job *busy;            /* owns the guest: captures, rollbacks; NULL: none */
  Job *looking;         /* owns the watch: looks at a snapshot, or forgets; NULL: none */
  GQueue looks;         /* Job, for when that is done */
  GQueue waiting;       /* Job, for when it is free */
  bool shutdown_due;    /* it went off: capture that state */
  Watch *watch;         /* of `looking` */
  GHashTable *still;    /* likewise; see job-watch.c */
  Level level;          /* of the newest snapshot that was looked at */
  guint blind;          /* snapshots in a row that could not be looked at */
  Incident *incident;   /* as the watch last had it; NULL: none is open */
  char *answered;      /* id of the incident that on_critical was last answered for; NULL: none since start */
  bool deepening;      /* its files are being listed, or wait for it */
  bool deepen_owed;    /* they are listed for the open incident after that */
  Burst burst;         /* of what it writes between snapshots */
  gint64 inspect_due;  /* monotonic; 0: not by schedule */
  gint64 suspect_us;   /* snapshots of before are beyond suspicion, since 1970; 0: nothing is suspected */
  Suspicion suspicion; /* the worst of what is not looked into yet */
  Suspicion suspected; /* of what was looked into last */
  gint64 suspect_due;  /* monotonic: not before is a suspicion looked into again */
  guint64 suspect_pause_us; /* the last time between two */
  json_object *inspection;  /* what the inspector said last; of the slow jobs, one at a time; NULL: nothing */
  gint64 system_known;      /* theirs: when its operating system was found out, monotonic */
  gint64 sweep_due; /* its QEMU is looked through for what is left of guardd's, monotonic; 0: need not be */
  guint sweeps_failed; /* in a row */
  bool unfinished; /* the journal of a rollback remains: captured by nobody until it is finished or undone */
  bool silent;     /* the storage does not come back from what it is busy with, and that was told */
  GPtrArray *blind_spots; /* BlindSpot: of the newest look; NULL: none since start */
  GPtrArray *reliefs;     /* Relief: as the watch last had them; NULL: not known since start */
  /* id of the alert that its pool is full; "": another guest's says it; NULL: it is not */
  char *full;
} Guest;

typedef struct {
  Config *config;
  GHashTable *pools;  /* name -> Pool */
  GHashTable *guests; /* UUID -> Guest */
  Roster *roster;
  GuestHolds *holds;
  BufferStock *buffers;
  LibvirtCalls *libvirt_calls; /* guardd's own that are under way */
  LibvirtWorkers *libvirt_workers;
  bool libvirt_connected;
  bool met_libvirt; /* its first answer, or refusal, has come */
  char *libvirt_error;
  Control *control;
  GThreadPool *threads; /* Job */
  GMainLoop *loop;
  Detectors *detectors;
  Alerts *alerts;
  GQueue untold;       /* Alert: could not be stored yet */
  gint64 untold_due;   /* monotonic: when to try again */
  guint tick;          /* source of the next due time */
  guint captures;      /* jobs that are captures, running */
  GPtrArray *running;  /* Job; borrowed */
  Job *slow;           /* the one of its kind; NULL: none */
  GQueue slow_waiting; /* Job */
  KvmState slow_kvm;   /* as the first of them found; theirs, one at a time */
  GArray *alarms;      /* of the last hour, for what happens to several guests at once */
  GHashTable *prunes;  /* UUID: snapshots were added since the last pruning */
  bool pruning, sampling, examining, stopping;
  gint64 stopping_since;     /* monotonic */
  bool abandoned;            /* ends although a storage plugin has not come back */
  guint sample_timer;        /* 0: none */
  guint watchdog_timer;      /* 0: none */
  guint rollback_timer;      /* 0: none: a guest may stand still for a rollback that could not be undone */
  GCancellable *cancellable; /* of everything, at the end */
} Daemon;

/* --- daemon.c --- */
Daemon *daemon_new (const char *config_path, GError **error);
/* Runs until SIGTERM or SIGINT; ends what is under way.  False: a storage plugin hangs in a thread, so
 * nothing can be freed: the process must end. */
bool daemon_run (Daemon *daemon);
void daemon_free (Daemon *daemon);

/* --- daemon-watchdog.c --- */
/* Looks whether storage plugins come back: g_timeout_add() callback. */
gboolean daemon_watchdog (gpointer daemon);

/* --- daemon-guests.c --- */
Guest *daemon_find_guest (Daemon *daemon, const char *name_or_uuid, GError **error);
/* The guest of a snapshot's domain, made when only a pool knows it. */
Guest *daemon_guest (Daemon *daemon, const char *uuid, const char *name);
/* guardd's way to its QEMU. */
Session *daemon_session (const Daemon *daemon, const char *uuid);
/* Policy, pool and due time by configuration and choice. */
void daemon_guest_apply (Daemon *daemon, Guest *guest);
void guest_free (gpointer guest);
extern const RosterCallbacks daemon_roster_callbacks;
/* Guests that only pools know. */
void daemon_load_guests (Daemon *daemon);
const char *guest_state_name (const Daemon *daemon, const Guest *guest);
guint64 guest_snapshots (const Guest *guest);

/* --- daemon-choices.c: what protect and unprotect said, kept over restarts --- */
bool daemon_choices_load (Daemon *daemon, GError **error);
bool daemon_choices_save (Daemon *daemon, GError **error);

/* --- daemon-schedule.c --- */
/* Looks what is due now, and again when the next is. */
void daemon_schedule (Daemon *daemon);
/* Prunes domains that have new snapshots, in the background, now and then. */
void daemon_prune_soon (Daemon *daemon, const char *uuid);

/* --- daemon-alarm.c: on the main thread --- */
/* Snapshots in a row that nobody could look at, before somebody is told. */
#define DAEMON_BLIND_ALARM 3u
/* The guest's incident was opened, or has become worse. */
void daemon_alarm (Daemon *daemon, Guest *guest);
/* At the start: of open incidents that guardd could save, and then tell nobody of. */
void daemon_alarm_untold (Daemon *daemon);
/* Now and then: those that could not be stored when they were raised. */
void daemon_alarm_again (Daemon *daemon);
/* All is as it was: its alerts are marked as recovered. */
void daemon_alarm_over (Daemon *daemon, const Guest *guest, const Incident *incident);
/* What the files say: of the incident with this id, NULL for none.  difference: see listing.h. */
void daemon_alarm_files (Daemon *daemon, Guest *guest, const char *incident, const GPtrArray *findings,
                         json_object *difference);
/* The files of a snapshot could not be listed. */
void daemon_alarm_unlisted (Daemon *daemon, Guest *guest, guint64 number, const char *why);
/* What came of the policy's on_critical, the answer to that incident. */
void daemon_alarm_response (Daemon *daemon, Guest *guest, const char *incident, const char *outcome);
void daemon_alarm_blind (Daemon *daemon, Guest *guest, const Finding *why);
/* --- daemon-fleet.c: on the main thread --- */
/* Remembers an alarm; how many other guests had the same within the hour. */
guint daemon_fleet_note (Daemon *daemon, const Guest *guest, const char *rule);
/* Pruning of this guest stands still: an incident is open on it, or on several guests of this host. */
bool daemon_is_frozen (const Daemon *daemon, const Guest *guest);
/* Snapshots come more often while an incident is open, microseconds. */
guint64 daemon_guest_interval (const Guest *guest);
/* Snapshots that failed in a row, before somebody is told. */
#define DAEMON_STALE_ALARM 5u
/* No snapshot for long: a dead man's switch. */
void daemon_alarm_stale (Daemon *daemon, Guest *guest);
/* Its pool is full: told at once, and once for all guests of a pool until it is over for the last. */
void daemon_alarm_full (Daemon *daemon, Guest *guest, const char *why);
/* A snapshot of it, or a pruning, has succeeded. */
void daemon_alarm_full_over (Daemon *daemon, Guest *guest);
/* Its storage does not come back. */
void daemon_alarm_silent (Daemon *daemon, Guest *guest, const char *why);

/* --- commands --- */
extern const ControlCommand daemon_commands[];
