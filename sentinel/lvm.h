/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lvm.h: a physical volume of LVM2, and the logical volumes of its group. */
#pragma once

#include "lvm-text.h"
#include "probe.h"

struct pv {
  const struct view *view;
  char id[33];              /* without dashes */
  uint64_t area, area_size; /* of the first metadata area, bytes; 0: none */
  uint32_t label_sector;
};

/* Adds those that people see: probed inside where they are linear and on this volume alone. */
void lvm_probe_volumes (struct probe *probe, const struct pv *pv, struct lvm_text group, const char *path);
