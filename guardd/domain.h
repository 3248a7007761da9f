/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * domain.h: what libvirt says of a guest, as an immutable value.
 *
 * A Domain is made once by domain_from_xml() and shared by reference between
 * threads; nobody changes it afterwards.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>

typedef enum {
  DOMAIN_STATE_UNKNOWN, /* libvirt is away */
  DOMAIN_STATE_SHUT_OFF,
  DOMAIN_STATE_RUNNING,
  DOMAIN_STATE_PAUSED,
} DomainState;

const char *domain_state_name (DomainState state); /* "shut off", as virsh says it */

typedef struct {
  char *target;      /* "vda" */
  char *alias;       /* "virtio-disk0"; NULL while the guest is off */
  char *source_type; /* "file", "block", "network", … */
  char *source;      /* path; NULL for sources without one */
  char *format;      /* "raw", "qcow2", …; "raw" where the XML does not say, as libvirt takes it */
  char *skip_reason; /* why the disk cannot be captured; NULL: it can */
} DomainDisk;

typedef struct {
  char *name;
  char *uuid; /* lower case with dashes */
  DomainState state;
  bool persistent;
  char *xml;        /* the definition to bring it back with: inactive where there is one */
  char *nvram;      /* path of the UEFI variables; NULL: none */
  char *tpm_state;  /* directory of the emulated TPM's state; NULL: none */
  GPtrArray *disks; /* DomainDisk, in the XML's order, cdroms included */
} Domain;

/* live_xml: of the guest as it runs (or its only one); definition: what to keep in snapshots. */
Domain *domain_from_xml (const char *live_xml, const char *definition, DomainState state, bool persistent,
                         GError **error);
Domain *domain_ref (Domain *domain);
void domain_unref (Domain *domain);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Domain, domain_unref)

/* A copy with other skip reasons: disks whose target is in `targets` are skipped by configuration. */
Domain *domain_skip_disks (Domain *domain, char **targets);

static inline bool
domain_is_active (const Domain *domain)
{
  return domain->state == DOMAIN_STATE_RUNNING || domain->state == DOMAIN_STATE_PAUSED;
}

DomainDisk *domain_find_disk (const Domain *domain, const char *target); /* NULL: none */
