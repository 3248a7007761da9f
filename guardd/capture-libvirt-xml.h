/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * capture-libvirt-xml.h: what virDomainBackupBegin() is given.  Pure.
 *
 * https://libvirt.org/formatbackup.html, https://libvirt.org/formatcheckpoint.html
 */
#pragma once

#include "capture-plan.h"

/* Pull mode over a unix socket, bitmaps exported as `bitmap`; scratch: a file for each disk of the plan.
 * g_free() */
char *libvirt_backup_xml (const CapturePlan *plan, const char *socket, const char *bitmap, char **scratch);
/* NULL: no disk of the plan can have a place in a checkpoint.  g_free() */
char *libvirt_checkpoint_xml (const CapturePlan *plan);
