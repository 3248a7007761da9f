/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * libvirt-workers.h: whether a thread of libvirtd is busy with somebody else's call.
 *
 * libvirt lets one long job at a time have a domain, and gives its owner no sign that others wait for it. But
 * who waits does so in a worker thread of libvirtd, and its admin interface counts those.  It is asked by
 * guardd-workers (workers/main.c says why), which is started when first needed, and again when it has ended.
 * Any thread.
 */
#pragma once

#include "libvirt-call.h"

typedef struct LibvirtWorkers LibvirtWorkers;

/* calls: borrowed; libexec_dir: where guardd-workers is. */
LibvirtWorkers *libvirt_workers_new (LibvirtCalls *calls, const char *libexec_dir);
void libvirt_workers_free (LibvirtWorkers *workers); /* NULL is fine */

/* *busy: with more calls than guardd itself has under way.  False: cannot be seen now. */
bool libvirt_workers_look (LibvirtWorkers *workers, bool *busy, GError **error);
