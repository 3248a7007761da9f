/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "domain.h"

#include <gio/gio.h>
#include <libxml/parser.h>
#include <libxml/xpath.h>
#include <string.h>

/* libvirt keeps an emulated TPM's state here unless told otherwise (libvirt 9.0, qemu_tpm.c); it has no
 * element for it in the XML. */
#define TPM_STATE_ROOT "/var/lib/libvirt/swtpm"

const char *
domain_state_name (DomainState state)
{
  switch (state) {
  case DOMAIN_STATE_SHUT_OFF:
    return "shut off";
  case DOMAIN_STATE_RUNNING:
    return "running";
  case DOMAIN_STATE_PAUSED:
    return "paused";
  case DOMAIN_STATE_UNKNOWN:
    break;
  }
  return "unknown";
}

static void
disk_free (gpointer data)
{
  DomainDisk *disk = data;

  g_free (disk->target);
  g_free (disk->alias);
  g_free (disk->source_type);
  g_free (disk->source);
  g_free (disk->format);
  g_free (disk->skip_reason);
  g_free (disk);
}

/* The text of the first node that the expression finds below `node`, or NULL. */
static char *
find_text (xmlXPathContextPtr context, xmlNodePtr node, const char *expression)
{
  xmlXPathObjectPtr found;
  char *text = NULL;

  context->node = node;
  found = xmlXPathEval (BAD_CAST expression, context);
  if (found && found->nodesetval && found->nodesetval->nodeNr > 0) {
    xmlChar *content = xmlNodeGetContent (found->nodesetval->nodeTab[0]);

    text = g_strdup ((char *)content);
    xmlFree (content);
  }
  xmlXPathFreeObject (found);
  return text;
}

static bool
has_node (xmlXPathContextPtr context, xmlNodePtr node, const char *expression)
{
  xmlXPathObjectPtr found;
  bool has;

  context->node = node;
  found = xmlXPathEval (BAD_CAST expression, context);
  has = found && found->nodesetval && found->nodesetval->nodeNr > 0;
  xmlXPathFreeObject (found);
  return has;
}

/* A target becomes a file name in the pool, so it must be a plain word. */
static bool
target_is_plain (const char *target)
{
  size_t length = strlen (target);

  return length > 0 && length < 24
         && strspn (target, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") == length;
}

static char *
disk_skip_reason (xmlXPathContextPtr context, xmlNodePtr node, const DomainDisk *disk)
{
  g_autofree char *device = find_text (context, node, "./@device");

  if (!target_is_plain (disk->target))
    return g_strdup ("its target name is not a plain word");
  if (device && g_str_equal (device, "cdrom"))
    return g_strdup ("removable (cdrom)");
  if (device && g_str_equal (device, "floppy"))
    return g_strdup ("removable (floppy)");
  if (device && g_str_equal (device, "lun"))
    return g_strdup ("SCSI passthrough (device='lun'): the guest talks past QEMU");
  if (has_node (context, node, "./readonly"))
    return g_strdup ("read-only");
  if (has_node (context, node, "./shareable"))
    return g_strdup ("shareable: other guests write to it too");
  if (has_node (context, node, "./transient"))
    return g_strdup ("transient: its changes are thrown away by design");
  if (g_str_equal (disk->source_type, "vhostuser") || g_str_equal (disk->source_type, "vhostvdpa"))
    return g_strdup_printf ("%s: QEMU does not see its blocks", disk->source_type);
  return NULL;
}

static DomainDisk *
disk_from_node (xmlXPathContextPtr context, xmlNodePtr node)
{
  DomainDisk *disk = g_new0 (DomainDisk, 1);

  disk->target = find_text (context, node, "./target/@dev");
  disk->alias = find_text (context, node, "./alias/@name");
  disk->source_type = find_text (context, node, "./@type");
  disk->source = find_text (context, node, "./source/@file | ./source/@dev | ./source/@name");
  disk->format = find_text (context, node, "./driver/@type");
  if (!disk->target)
    disk->target = g_strdup ("");
  if (!disk->source_type)
    disk->source_type = g_strdup ("file");
  if (!disk->format)
    disk->format = g_strdup ("raw");
  disk->skip_reason = disk_skip_reason (context, node, disk);
  return disk;
}

static void
domain_clear (gpointer data)
{
  Domain *domain = data;

  g_free (domain->name);
  g_free (domain->uuid);
  g_free (domain->xml);
  g_free (domain->nvram);
  g_free (domain->tpm_state);
  g_clear_pointer (&domain->disks, g_ptr_array_unref);
}

Domain *
domain_ref (Domain *domain)
{
  return g_atomic_rc_box_acquire (domain);
}

void
domain_unref (Domain *domain)
{
  if (domain)
    g_atomic_rc_box_release_full (domain, domain_clear);
}

static void
domain_read_tpm (Domain *domain, xmlXPathContextPtr context)
{
  g_autofree char *version = NULL;

  if (!has_node (context, NULL, "/domain/devices/tpm/backend[@type='emulator']"))
    return;
  version = find_text (context, NULL, "/domain/devices/tpm/backend/@version");
  domain->tpm_state = g_build_filename (TPM_STATE_ROOT, domain->uuid,
                                        version && g_str_equal (version, "1.2") ? "tpm1.2" : "tpm2", NULL);
}

static bool
domain_read (Domain *domain, xmlXPathContextPtr context, GError **error)
{
  xmlXPathObjectPtr found;

  domain->name = find_text (context, NULL, "/domain/name");
  domain->uuid = find_text (context, NULL, "/domain/uuid");
  if (!domain->name || !domain->uuid || !g_uuid_string_is_valid (domain->uuid)) {
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, "domain XML without a name and a UUID");
    return false;
  }
  domain->nvram = find_text (context, NULL, "/domain/os/nvram");
  domain_read_tpm (domain, context);
  context->node = NULL;
  found = xmlXPathEval (BAD_CAST "/domain/devices/disk", context);
  for (int i = 0; found && found->nodesetval && i < found->nodesetval->nodeNr; i++)
    g_ptr_array_add (domain->disks, disk_from_node (context, found->nodesetval->nodeTab[i]));
  xmlXPathFreeObject (found);
  return true;
}

Domain *
domain_from_xml (const char *live_xml, const char *definition, DomainState state, bool persistent,
                 GError **error)
{
  xmlDocPtr document;
  xmlXPathContextPtr context;
  g_autoptr (Domain) domain = g_atomic_rc_box_new0 (Domain);
  bool ok;

  document = xmlReadMemory (live_xml, (int)strlen (live_xml), "domain.xml", NULL,
                            XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
  if (!document) {
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, "domain XML that is not well-formed");
    return NULL;
  }
  context = xmlXPathNewContext (document);
  domain->state = state;
  domain->persistent = persistent;
  domain->xml = g_strdup (definition);
  domain->disks = g_ptr_array_new_with_free_func (disk_free);
  ok = domain_read (domain, context, error);
  xmlXPathFreeContext (context);
  xmlFreeDoc (document);
  return ok ? g_steal_pointer (&domain) : NULL;
}

Domain *
domain_skip_disks (Domain *domain, char **targets)
{
  Domain *copy;

  if (!targets || !targets[0])
    return domain_ref (domain);
  copy = g_atomic_rc_box_dup (sizeof *domain, domain);
  copy->name = g_strdup (domain->name);
  copy->uuid = g_strdup (domain->uuid);
  copy->xml = g_strdup (domain->xml);
  copy->nvram = g_strdup (domain->nvram);
  copy->tpm_state = g_strdup (domain->tpm_state);
  copy->disks = g_ptr_array_new_with_free_func (disk_free);
  for (guint i = 0; i < domain->disks->len; i++) {
    const DomainDisk *old = g_ptr_array_index (domain->disks, i);
    DomainDisk *disk = g_new0 (DomainDisk, 1);
    bool skip = g_strv_contains ((const char *const *)targets, old->target);

    disk->target = g_strdup (old->target);
    disk->alias = g_strdup (old->alias);
    disk->source_type = g_strdup (old->source_type);
    disk->source = g_strdup (old->source);
    disk->format = g_strdup (old->format);
    disk->skip_reason = skip ? g_strdup ("skip_disks in the configuration") : g_strdup (old->skip_reason);
    g_ptr_array_add (copy->disks, disk);
  }
  return copy;
}

DomainDisk *
domain_find_disk (const Domain *domain, const char *target)
{
  for (guint i = 0; i < domain->disks->len; i++) {
    DomainDisk *disk = g_ptr_array_index (domain->disks, i);

    if (g_str_equal (disk->target, target))
      return disk;
  }
  return NULL;
}
