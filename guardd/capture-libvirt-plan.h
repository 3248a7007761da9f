/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * capture-libvirt-plan.h: the plan of a capture by libvirt: sizes, and which disks libvirt's checkpoints can
 * speak for.
 */
#pragma once

#include "capture-plan.h"
#include "libvirt-call.h"

/* checkpoints false: none is used and none is made; why_not then says why, for the manifest.  Blocking. */
CapturePlan *libvirt_plan_new (const CaptureRequest *request, LibvirtCalls *calls, virDomainPtr domain,
                               bool checkpoints, const char *why_not, GError **error);
/* A paused guest's disks are as the newest snapshot has them. */
bool libvirt_plan_is_idle (const CapturePlan *plan);
