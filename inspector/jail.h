/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * jail.h: where the appliance runs: no network, no processes but its own, no files but read-only ones and a
 * bounded /tmp, an unprivileged user, and an end when guardd ends.
 */
#pragma once

#include <stdbool.h>

#define JAIL_TMP "/tmp"
#define JAIL_APPLIANCE JAIL_TMP "/appliance"
/* For temporary files: QEMU takes a TMPDIR that is /tmp for none, and goes to /var/tmp. */
#define JAIL_WORK JAIL_TMP "/work"
#define JAIL_DISKS_MAX 64

/* Builds the appliance in `directory` where it is missing or older than the host's packages; false with a
 * message on stderr. */
bool appliance_build (const char *directory);

/* Namespaces, and /tmp with the appliance in it.  As root; this process stays root and does nothing more. */
bool jail_build (const char *appliance);
/* Listens on JAIL_TMP "/disk0" ... and sends the sockets over `to`, in one message with one byte. */
bool jail_send_sockets (int to, int n);
/* For this process, not for the appliance: once that runs. */
bool jail_limit_memory (void);
/* In a child: gives everything up for good.  kvm: but for /dev/kvm. */
bool jail_enter (bool kvm);
