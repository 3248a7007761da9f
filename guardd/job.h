/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * job.h: work that blocks, for a guest or for nobody in particular.
 */
#pragma once

#include "daemon.h"

struct Job {
  Daemon *daemon;
  Guest *guest;      /* owned by this job while it runs; NULL: none */
  Domain *domain;    /* as it was when the job started; referenced; NULL: undefined, or no guest */
  Pool *pool;        /* the guest's; NULL: none */
  ControlCall *call; /* whom to answer; NULL: nobody, or answered */
  GCancellable *cancellable;
  bool capture;     /* counts as one */
  bool dispensable; /* a look that is left out when too many wait: the next snapshot's sees the same */
  gint reads_off;   /* atomic: reads images of a guest that is off, and is cancelled when that is started */
  EngineChoice engine;  /* of the guest's policy when the job started */
  EngineVerdict chosen; /* by run(), when it came to that; the guest's afterwards */
  bool left;            /* by run(): something of guardd's may still be in the guest's QEMU */
  gint64 started;
  const char *origin;
  void *data; /* the job's own */
  GDestroyNotify data_free;
  bool (*run) (Job *job, GError **error); /* on a thread */
  void (*done) (Job *job,
                const GError *error); /* on the main thread; error NULL: it went well. May be NULL.  A call
                                         that it leaves unanswered is answered: {} or the error */
};

/* call, guest may be NULL.  Free with job_start() or job_free(). */
Job *job_new (Daemon *daemon, Guest *guest, ControlCall *call);
/* Runs it, after what the guest is busy with; takes it over. */
void job_start (Job *job);
/* Runs it after the looks that the guest's snapshots wait for, beside everything else: the watch is its.
 * What is not dispensable comes from people, rollbacks and lists of files: one each at a time. */
void job_start_look (Job *job);
/* One runs or waits that knows the guest, which must not go before it. */
bool job_any (const Daemon *daemon, const Guest *guest);
/* Runs it beside whatever the guest is busy with: for work that only reads the pool. */
void job_start_beside (Job *job);
/* The same, one at a time on this host: for work that takes minutes, and a machine's memory. */
bool job_start_slow (Job *job); /* false: too many wait; it is answered, and gone */
void job_free (Job *job);
/* Threads for all jobs. */
void job_thread (gpointer job, gpointer daemon);
/* Unstarted jobs of a guest fail. */
void job_fail_waiting (Guest *guest, const char *why);

/* --- job-sweep.c --- */
/* With the next daemon_schedule() at which nothing else is at work on the guest, and again until it succeeds
 * or the guest is off. */
void job_sweep (Guest *guest);
/* Starts those that are due.  The monotonic time of the next; G_MAXINT64: none. */
gint64 job_sweep_due (Daemon *daemon, gint64 now);

/* --- job-hold.c --- */
/* Once libvirt is there. */
void job_release_held (Daemon *daemon);

/* --- job-sample.c --- */
/* Asks all running guests' QEMUs what is written; once at a time. */
void job_sample (Daemon *daemon);

/* --- job-response.c --- */
/* Does what the guest's policy says for a critical alert. */
void job_respond (Daemon *daemon, Guest *guest);

/* --- job-watch.c --- */
/* Looks at a snapshot and judges it.  samples: as the capture filled them (capture.h); taken over. */
void job_watch (Daemon *daemon, Guest *guest, const Snapshot *snapshot, GHashTable *samples);
/* For jobs that own the watch, on their thread, when an incident was opened: holds the newest snapshot before
 * its first sign; what came after that sign is not good.  Sentences on what went wrong are added. */
void job_protect (Job *job, GPtrArray *problems);

/* --- job-deepen.c: asks the inspector, one guest after the other --- */
/* Which files are gone since the open incident's last good snapshot. */
void job_deepen (Daemon *daemon, Guest *guest);
/* Which are gone since they were listed last. */
void job_deepen_scheduled (Daemon *daemon, Guest *guest);
/* What was judged was suspicious, at that time of a snapshot: whether files have been encrypted, or are gone,
 * since ten minutes before, or since the open incident's last good snapshot if that is not critical yet.  At
 * once, or as soon as the last time is long enough ago. */
void job_deepen_suspected (Daemon *daemon, Guest *guest, Suspicion suspicion, gint64 time_us);
/* When what was suspicious is looked into, monotonic: job_deepen_suspected (…, SUSPICION_NONE, 0).
 * G_MAXINT64: nothing is, or it is being. */
gint64 job_deepen_when (const Guest *guest);

/* --- job-listed.c --- */
/* All disks are as in that snapshot: the open incident may be over. */
void job_rolled_back (Daemon *daemon, Guest *guest, guint64 number);

/* --- job-capture.c --- */
Job *job_capture_new (Daemon *daemon, Guest *guest, const char *origin, const char *description,
                      ControlCall *call);
/* For other jobs that need a snapshot on their way: on the job's thread.  samples: see capture.h. */
Snapshot *job_capture_now (Job *job, const char *origin, const char *description, bool evidence,
                           GHashTable *samples, GError **error);
