/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * protocol.h: what guardd-lvm is asked, and what it answers.
 *
 * One JSON object a line, over the stream socket that is its descriptor 3; one request at a time.
 *
 *   -> {"op": "activate", "vg": "vg0", "lv": "guardd-…"}
 *   <- {"ok": true, …}        or   {"ok": false, "errno": 28, "error": "a sentence"}
 *
 *   op           request                               answer
 *   report       vg                                    uuid, extent_bytes, lvs: [{name, uuid, attr, size,
 *                                                      pool, origin, tags, thin_id, transaction_id}]
 *   usage        vg, pool (must be active)             data_bytes, data_used_bytes, metadata_bytes,
 *                                                      metadata_used_bytes, chunk_bytes, discards, writable
 *   create       vg, pool, lv, size, tags              an empty thin volume, active
 *   snapshot     vg, snapshots: [{origin, lv}], tags,  all or none; `vgchange -ay` passes them over
 *                active, writable
 *   extend       vg, lv, size                          bytes; rounded up
 *   activate     vg, lv                                read-only where it was protected
 *   deactivate   vg, lvs: […]                          what is not active is success
 *   protect      vg, lv                                read-only from now on
 *   rename       vg, lv, to
 *   adopt        vg, lv, tags, own                     without `tags`, with those of its owner; no longer
 *                                                      passed over, active
 *   keep         vg, lv, tags, own                     with `tags`, without those of its owner; passed over
 *   remove       vg, lvs: […]                          what is not there is success
 *   delta        vg, pool, from, to (thin_id)          extents: [[first byte, bytes], …] that may differ
 *   settle       vg                                    resumed: […]; what an LVM command that died has left
 *                                                      half done does not bar anybody's way (settle.h)
 *
 * Descriptor 4 is held open until the process ends: a lock that comes with it says whether one is still
 * at work.  guardd-lvm ends when the socket is closed, after what it is doing.
 */
#pragma once

#define LVM_SOCKET_FD 3
#define LVM_LOCK_FD 4

/* Of a request or an answer.  A report has some 250 bytes for a volume. */
#define LVM_LINE_MAX ((size_t)32 << 20)
/* Extents in an answer to `delta`; where there are more, all may differ. */
#define LVM_EXTENTS_MAX 500000u
