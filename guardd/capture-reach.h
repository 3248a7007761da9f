/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * capture-reach.h: QEMU is asked how much is dirty where that spares the mapping of large disks
 * (pull-reach.h).
 */
#pragma once

#include "capture-plan.h"
#include "pull-reach.h"

/* For the plan's disks, in their order; NULL: they are mapped as fast as QEMU would answer. */
PullReach *capture_reach_new (const CapturePlan *plan);
/* Asks as long as that may help, beside the reading.  What QEMU refuses is not needed.  Blocks for as long as
 * disks are mapped; nobody else may use the client meanwhile. */
void capture_reach_ask (const CapturePlan *plan, PullReach *reach, QmpClient *client);
