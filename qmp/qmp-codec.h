/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * qmp-codec.h: bytes in, whole JSON objects out; for both ends of the wire.
 *
 * QMP frames nothing: one JSON object follows another, usually with CRLF between.  States:
 *
 *   BETWEEN   white space is skipped; '{' starts a message; anything else is an error
 *   INSIDE    bytes go to the parser until the object closes (back to BETWEEN) or max_message is passed
 *   BROKEN    for good: no resynchronisation, since a peer that sends garbage is not to be trusted
 *
 * Pure: no I/O.  One thread at a time.
 */
#pragma once

#include <glib.h>
#include <json-c/json.h>
#include <stdbool.h>

typedef struct QmpCodec QmpCodec;

/* max_message: bytes of one message. Nesting is limited to 64. */
QmpCodec *qmp_codec_new (size_t max_message);
void qmp_codec_free (QmpCodec *codec); /* NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC (QmpCodec, qmp_codec_free)

/* Feeds bytes.  Objects that they complete are appended to `out` (a GQueue of json_object, owned by the
 * caller).  False, QMP_ERROR_PROTOCOL: the stream is broken; objects completed before are in `out` all the
 * same. */
bool qmp_codec_feed (QmpCodec *codec, const char *data, size_t length, GQueue *out, GError **error);

/* True inside an unfinished message: a hang-up now cuts it off. */
bool qmp_codec_is_inside (const QmpCodec *codec);

/* The wire form of a message with its CRLF; g_free().  *length without the terminating NUL. */
char *qmp_codec_encode (json_object *message, size_t *length);
