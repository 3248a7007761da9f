/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "capture-libvirt-xml.h"

G_GNUC_PRINTF (2, 3)
static void
add (GString *xml, const char *format, ...)
{
  va_list arguments;
  va_start (arguments, format);
  g_autofree char *text = g_markup_vprintf_escaped (format, arguments);
  va_end (arguments);
  g_string_append (xml, text);
}

static void
add_disk (GString *xml, const CapturePlan *plan, guint index, const char *bitmap, const char *scratch)
{
  const PlanDisk *disk = plan->disks->pdata[index];
  add (xml, "<disk name='%s' backup='yes' type='file' exportname='%s'", disk->disk->target,
       disk->disk->target);
  if (disk->full_reason)
    add (xml, " backupmode='full'>");
  else
    add (xml, " backupmode='incremental' incremental='%s' exportbitmap='%s'>", plan->old_bitmap, bitmap);
  add (xml, "<driver type='qcow2'/><scratch file='%s'/></disk>", scratch);
}

static bool
has_disk (const CapturePlan *plan, const DomainDisk *disk)
{
  for (guint i = 0; i < plan->disks->len; i++)
    if (((const PlanDisk *)plan->disks->pdata[i])->disk == disk)
      return true;
  return false;
}

/* A disk that is not named would be backed up. */
static void
add_others (GString *xml, const CapturePlan *plan, const char *no)
{
  const GPtrArray *disks = plan->request->domain->disks;
  for (guint i = 0; i < disks->len; i++) {
    const DomainDisk *disk = disks->pdata[i];
    if (!has_disk (plan, disk))
      add (xml, "<disk name='%s' %s='no'/>", disk->target, no);
  }
}

char *
libvirt_backup_xml (const CapturePlan *plan, const char *socket, const char *bitmap, char **scratch)
{
  GString *xml = g_string_new ("<domainbackup mode='pull'>");
  add (xml, "<server transport='unix' socket='%s'/><disks>", socket);
  for (guint i = 0; i < plan->disks->len; i++)
    add_disk (xml, plan, i, bitmap, scratch[i]);
  add_others (xml, plan, "backup");
  g_string_append (xml, "</disks></domainbackup>");
  return g_string_free (xml, FALSE);
}

char *
libvirt_checkpoint_xml (const CapturePlan *plan)
{
  bool any = false;
  GString *xml = g_string_new ("<domaincheckpoint>");
  add (xml, "<name>%s</name><description>guardd: what changes from here on</description><disks>",
       plan->new_bitmap);
  for (guint i = 0; i < plan->disks->len; i++) {
    const PlanDisk *disk = plan->disks->pdata[i];
    add (xml, "<disk name='%s' checkpoint='%s'/>", disk->disk->target, disk->in_bitmaps ? "bitmap" : "no");
    any = any || disk->in_bitmaps;
  }
  add_others (xml, plan, "checkpoint");
  g_string_append (xml, "</disks></domaincheckpoint>");
  return g_string_free (xml, !any);
}
