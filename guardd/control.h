/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * control.h: guardd's two control sockets.  The wire is QMP's (qmp/qmp-server.h),
 * the commands are docs/protocol.md's and given as data; what they do is the
 * caller's.
 *
 *   RUN_DIR/guardd.sock     every command; 0600 root, and the peer must be root
 *   RUN_DIR/guardd-ro.sock  commands that change nothing; 0660 root:group, or 0600
 *
 * query-commands and query-version are answered here.
 *
 * Threads: control_new() takes the thread's default main context; every run()
 * is called there and must not block: long work goes to a worker, which answers
 * from where it is.  control_free() belongs to the same thread; control_event()
 * and everything on a ControlCall may come from any.
 */
#pragma once

#include <gio/gio.h>
#include <glib.h>
#include <json-c/json.h>
#include <stdbool.h>
#include <sys/types.h>

/* Connections to one socket at a time, and unanswered commands of one connection. */
#define CONTROL_PEERS_MAX 64
#define CONTROL_CALLS_MAX 16

typedef struct Control Control;
typedef struct ControlCall ControlCall; /* one command that waits for its one answer */

typedef enum {
  CONTROL_STRING,
  CONTROL_U64,
  CONTROL_BOOL,
  CONTROL_STRV, /* array of strings */
} ControlType;

typedef struct {
  const char *name;
  ControlType type;
  bool required;
  const char *help;
} ControlArgument;

typedef struct {
  const char *name;
  bool writes;                      /* refused on the read-only socket with class "Forbidden" */
  const ControlArgument *arguments; /* ended by a NULL name; NULL: none */
  /* The arguments are checked already.  Must answer, now or later, by exactly one of
   * control_call_return(), _fail(), _error(). */
  void (*run) (ControlCall *call);
  const char *help;
} ControlCommand;

/* Listens.  group NULL: the read-only socket is root's alone.  commands: ended by a NULL name, static.
 * opaque: for control_call_opaque().  A socket that nobody listens on is replaced; one that
 * somebody does is an error. */
Control *control_new (const char *run_dir, const char *group, const ControlCommand *commands, void *opaque,
                      GError **error);
/* Stops listening, closes every connection, removes the sockets.  Calls still open stay valid and
 * are answered into the void.  NULL is fine. */
void control_free (Control *control);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Control, control_free)

/* Sends an event to every peer; data (an object, NULL: {}) is taken over.  control NULL: there is nobody yet.
 */
void control_event (Control *control, const char *name, json_object *data);

/* --- arguments of a call; the name must be in the command's table, with this type --- */
const char *control_call_string (const ControlCall *call, const char *name); /* NULL: not given */
bool control_call_has (const ControlCall *call, const char *name);
guint64 control_call_u64 (const ControlCall *call, const char *name);             /* 0: not given */
bool control_call_bool (const ControlCall *call, const char *name);               /* false: not given */
const char *const *control_call_strv (const ControlCall *call, const char *name); /* NULL: not given */

const char *control_call_name (const ControlCall *call); /* the command's */
void *control_call_opaque (const ControlCall *call);
uid_t control_call_uid (const ControlCall *call); /* the peer's */
/* Cancelled when the peer hangs up, for work that is for its eyes only (a verification). */
GCancellable *control_call_cancellable (const ControlCall *call);

/* Tells the peer how far a long call is: {"id": …, "done": done, "total": total}; total 0: unknown.
 * Sent at most ten times a second, so call it as often as is handy; from one thread at a time. */
void control_call_progress (ControlCall *call, guint64 done, guint64 total);

/* --- answers; the call is gone --- */
void control_call_return (ControlCall *call, json_object *value); /* value taken over; NULL: {} */
void control_call_fail (ControlCall *call, const char *error_class, const char *format, ...)
    G_GNUC_PRINTF (3, 4);
/* The error's message, with the class that its domain and code stand for (control_error_class()).
 * error is borrowed. */
void control_call_error (ControlCall *call, const GError *error);

/* "NotFound", "Busy", "NoSpace", "Damaged", "InvalidArgument", "Cancelled", "Unavailable" for the matching
 * codes of POOL_ERROR, STORAGE_ERROR and G_IO_ERROR (NOT_FOUND, BUSY, NO_SPACE, INVALID_DATA,
 * INVALID_ARGUMENT, CANCELLED, NOT_CONNECTED/HOST_UNREACHABLE); else "GenericError". */
const char *control_error_class (const GError *error);
