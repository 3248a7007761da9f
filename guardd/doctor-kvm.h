/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * doctor-kvm.h: does KVM work here?  /dev/kvm can be there and boot no kernel (nested and partial KVMs), so a
 * kernel is booted.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>

typedef enum { KVM_WORKS, KVM_ABSENT, KVM_BROKEN, KVM_UNKNOWN } KvmState;

/* Boots a kernel of /boot with KVM until it looks for its root; at most `seconds`. *why: for people,
 * g_free(). */
KvmState kvm_probe (guint seconds, char **why);
