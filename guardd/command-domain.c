/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "commands.h"
#include "describe.h"

static gint
compare_guests (gconstpointer a, gconstpointer b)
{
  return g_strcmp0 ((*(const Guest *const *)a)->name, (*(const Guest *const *)b)->name);
}

void
command_domain_list (ControlCall *call)
{
  Daemon *daemon = control_call_opaque (call);
  g_autoptr (GPtrArray) guests = g_ptr_array_new ();
  GHashTableIter iter;
  gpointer guest;
  g_hash_table_iter_init (&iter, daemon->guests);
  while (g_hash_table_iter_next (&iter, NULL, &guest))
    g_ptr_array_add (guests, guest);
  json_object *answer = json_object_new_object (), *list = json_object_new_array ();
  g_ptr_array_sort (guests, compare_guests);
  for (guint i = 0; i < guests->len; i++)
    json_object_array_add (list, describe_domain (daemon, guests->pdata[i]));
  json_object_object_add (answer, "domains", list);
  control_call_return (call, answer);
}

void
command_domain_info (ControlCall *call)
{
  const Guest *guest = command_guest (call);
  if (guest == NULL)
    return;
  json_object *answer = describe_domain (control_call_opaque (call), guest);
  describe_domain_disks (guest, answer);
  control_call_return (call, answer);
}

/* Saved before it counts. */
static void
choose (ControlCall *call, Guest *guest, Choice choice, const char *policy)
{
  Daemon *daemon = control_call_opaque (call);
  g_autoptr (GError) error = NULL;
  Choice old = guest->choice;
  char *old_policy = guest->choice_policy;
  guest->choice = choice;
  guest->choice_policy = g_strdup (policy);
  if (!daemon_choices_save (daemon, &error)) {
    guest->choice = old;
    g_free (guest->choice_policy);
    guest->choice_policy = old_policy;
    control_call_error (call, error);
    return;
  }
  g_free (old_policy);
  daemon_guest_apply (daemon, guest);
  control_call_return (call, NULL);
  daemon_schedule (daemon);
}

void
command_protect (ControlCall *call)
{
  const Daemon *daemon = control_call_opaque (call);
  const Config *config = daemon->config;
  const char *policy = control_call_string (call, "policy");
  Guest *guest = command_guest (call);
  if (guest == NULL)
    return;
  const ConfigProtect *section = config_protect (config, guest->name);
  if (policy && config_policy (config, policy) == NULL)
    control_call_fail (call, "NotFound", "there is no [policy %s] in guardd.conf", policy);
  else if (!policy && config->policies->len != 1
           && (section == NULL || config_policy (config, section->policy) == NULL))
    control_call_fail (call, "InvalidArgument", "%s: there are %u policies: say which by policy", guest->name,
                       config->policies->len);
  else
    choose (call, guest, CHOICE_PROTECT, policy);
}

void
command_unprotect (ControlCall *call)
{
  Guest *guest = command_guest (call);
  if (guest)
    choose (call, guest, CHOICE_UNPROTECT, NULL);
}
