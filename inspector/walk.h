/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * walk.h: the appliance, and the walk through all filesystems of a guest's disks.
 *
 * Only calls that libguestfs(3) has for looking; nothing is run inside the appliance.  What comes back is the
 * guest's own: any bytes, any number.
 */
#pragma once

#include <json-c/json.h>
#include <stdbool.h>
#include <stdio.h>
#include <zlib.h>

struct walk_request {
  const char *appliance; /* directory of a fixed appliance, see guestfs-faq(1) */
  const char *tmp;       /* where the overlays go that a journal is replayed into */
  bool kvm;              /* else emulation */
  json_object *known; /* an earlier summary of this guest, which saves finding out its system; NULL: none */
  gzFile older; /* its inventory of before: files that were modified since are looked into; NULL: none */
  const char *const *servers; /* "unix:/path" of an NBD server each, in the order of the guest's disks */
  int n_servers;
};

/* Writes the inventory; summary: what docs/protocol.md says of one.  False with a message on stderr. */
bool walk (const struct walk_request *request, gzFile out, FILE *summary);
