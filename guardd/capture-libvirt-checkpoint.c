/* SPDX-License-Identifier: GPL-2.0-or-later */
#define G_LOG_DOMAIN "guardd"
#include "capture-libvirt-checkpoint.h"

#include <libvirt/virterror.h>
#include <libxml/parser.h>
#include <libxml/xpath.h>
#include <stdlib.h>
#include <string.h>

char *
libvirt_checkpoint_prefix (Pool *pool)
{
  return g_strdup_printf ("guardd-cp-%.8s-", pool_id (pool));
}

char *
libvirt_checkpoint_name (Pool *pool, const char *snapshot_id)
{
  g_autofree char *prefix = libvirt_checkpoint_prefix (pool);
  return g_strdup_printf ("%s%.8s", prefix, snapshot_id);
}

/* --- validate --- */

typedef struct {
  char *name;
  char *xml; /* with sizes */
} Validate;

static void
validate_clear (gpointer data)
{
  Validate *validate = data;
  g_free (validate->name);
  free (validate->xml); /* libvirt's malloc() */
}

/* Redefining a checkpoint as what it is changes nothing, but has its bitmaps checked. */
static bool
redefine (virDomainPtr domain, virDomainCheckpointPtr checkpoint)
{
  char *xml = virDomainCheckpointGetXMLDesc (checkpoint, VIR_DOMAIN_CHECKPOINT_XML_SECURE);
  virDomainCheckpointPtr same
      = xml ? virDomainCheckpointCreateXML (domain, xml,
                                            VIR_DOMAIN_CHECKPOINT_CREATE_REDEFINE
                                                | VIR_DOMAIN_CHECKPOINT_CREATE_REDEFINE_VALIDATE)
            : NULL;
  free (xml);
  if (same)
    virDomainCheckpointFree (same);
  return same != NULL;
}

static bool
validate_call (virDomainPtr domain, gpointer data, GError **error)
{
  Validate *validate = data;
  virDomainCheckpointPtr checkpoint = virDomainCheckpointLookupByName (domain, validate->name, 0);
  if (checkpoint == NULL)
    return libvirt_call_fail (error, validate->name);
  if (redefine (domain, checkpoint))
    validate->xml = virDomainCheckpointGetXMLDesc (checkpoint, VIR_DOMAIN_CHECKPOINT_XML_SIZE
                                                                   | VIR_DOMAIN_CHECKPOINT_XML_NO_DOMAIN);
  if (validate->xml == NULL)
    libvirt_call_fail (error, validate->name);
  virDomainCheckpointFree (checkpoint);
  return validate->xml != NULL;
}

static void
add_disk (GHashTable *disks, xmlNodePtr node)
{
  xmlChar *target = xmlGetProp (node, BAD_CAST "name"), *size = xmlGetProp (node, BAD_CAST "size");
  guint64 *bytes = g_new0 (guint64, 1);
  if (size)
    *bytes = g_ascii_strtoull ((const char *)size, NULL, 10);
  if (target)
    g_hash_table_insert (disks, g_strdup ((const char *)target), bytes);
  else
    g_free (bytes);
  xmlFree (target);
  xmlFree (size);
}

static GHashTable *
parse_disks (const char *xml)
{
  GHashTable *disks = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  xmlDocPtr document = xmlReadMemory (xml, (int)strlen (xml), "checkpoint.xml", NULL,
                                      XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
  xmlXPathContextPtr context = document ? xmlXPathNewContext (document) : NULL;
  xmlXPathObjectPtr found
      = context ? xmlXPathEval (BAD_CAST "/domaincheckpoint/disks/disk[@checkpoint='bitmap']", context)
                : NULL;
  for (int i = 0; found && found->nodesetval && i < found->nodesetval->nodeNr; i++)
    add_disk (disks, found->nodesetval->nodeTab[i]);
  xmlXPathFreeObject (found);
  xmlXPathFreeContext (context);
  xmlFreeDoc (document);
  return disks;
}

GHashTable *
libvirt_checkpoint_validate (LibvirtCalls *calls, virDomainPtr domain, const char *name, GError **error)
{
  const LibvirtCall call = { .func = validate_call, .timeout_ms = LIBVIRT_CALL_MS };
  Validate *validate = g_atomic_rc_box_new0 (Validate);
  validate->name = g_strdup (name);
  bool ok = libvirt_call (calls, domain, &call, validate, validate_clear, error);
  GHashTable *disks = ok ? parse_disks (validate->xml) : NULL;
  g_atomic_rc_box_release_full (validate, validate_clear);
  return disks;
}

/* --- drop --- */

typedef struct {
  char *prefix, *keep;
} Drop;

static void
drop_clear (gpointer data)
{
  Drop *drop = data;
  g_free (drop->prefix);
  g_free (drop->keep);
}

/* A bitmap that a killed QEMU has left cannot be removed by libvirt, what it knows of it can; the name does
 * not come again. */
static bool
drop_one (virDomainPtr domain, virDomainCheckpointPtr checkpoint, GError **error)
{
  g_autoptr (GError) failure = NULL;
  if (virDomainCheckpointDelete (checkpoint, 0) == 0)
    return true;
  libvirt_call_fail (&failure, virDomainCheckpointGetName (checkpoint));
  if (virDomainIsActive (domain) == 0)
    return true;
  /* somebody has a job on it: later */
  if (!g_error_matches (failure, LIBVIRT_ERROR, VIR_ERR_OPERATION_TIMEOUT)
      && virDomainCheckpointDelete (checkpoint, VIR_DOMAIN_CHECKPOINT_DELETE_METADATA_ONLY) == 0)
    return true;
  g_propagate_error (error, g_steal_pointer (&failure));
  return false;
}

static bool
drop_call (virDomainPtr domain, gpointer data, GError **error)
{
  const Drop *drop = data;
  virDomainCheckpointPtr *all = NULL;
  bool ok = true;
  int n = virDomainListAllCheckpoints (domain, &all, 0);
  if (n < 0)
    return libvirt_call_fail (error, "list of checkpoints");
  for (int i = 0; i < n; i++) {
    const char *name = virDomainCheckpointGetName (all[i]);
    if (name && g_str_has_prefix (name, drop->prefix) && g_strcmp0 (name, drop->keep) != 0
        && virDomainIsActive (domain) == 1 && !drop_one (domain, all[i], ok ? error : NULL))
      ok = false;
    virDomainCheckpointFree (all[i]);
  }
  free (all);
  return ok;
}

bool
libvirt_checkpoints_drop (LibvirtCalls *calls, virDomainPtr domain, Pool *pool, const char *keep,
                          GError **error)
{
  const LibvirtCall call = { .func = drop_call, .timeout_ms = LIBVIRT_CALL_MS };
  Drop *drop = g_atomic_rc_box_new0 (Drop);
  drop->prefix = libvirt_checkpoint_prefix (pool);
  drop->keep = g_strdup (keep);
  bool ok = libvirt_call (calls, domain, &call, drop, drop_clear, error);
  g_atomic_rc_box_release_full (drop, drop_clear);
  return ok;
}
