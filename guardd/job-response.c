/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a policy wants done to a guest that is being destroyed: paused, or cut from its networks. */
#define G_LOG_DOMAIN "guardd"
#include "base/json.h"

#include "describe.h"
#include "job.h"

#include <libvirt/virterror.h>
#include <libxml/parser.h>
#include <libxml/tree.h>

typedef struct {
  Response response;
  guint links;    /* taken down */
  char *incident; /* that it is the answer to */
} ResponseData;

static void
response_free (gpointer opaque)
{
  ResponseData *data = opaque;
  g_free (data->incident);
  g_free (data);
}

static bool
libvirt_fail (const char *what, GError **error)
{
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_FAILED, "cannot %s: %s", what, virGetLastErrorMessage ());
  return false;
}

static xmlNode *
child (xmlNode *parent, const char *name)
{
  for (xmlNode *node = parent ? parent->children : NULL; node; node = node->next)
    if (node->type == XML_ELEMENT_NODE && xmlStrEqual (node->name, BAD_CAST name))
      return node;
  return NULL;
}

/* The interface as it is, with its link down. */
static bool
take_down (virDomainPtr domain, xmlDoc *document, xmlNode *interface, GError **error)
{
  xmlNode *link = child (interface, "link");
  if (link == NULL)
    link = xmlNewChild (interface, NULL, BAD_CAST "link", NULL);
  xmlSetProp (link, BAD_CAST "state", BAD_CAST "down");
  xmlBuffer *text = xmlBufferCreate ();
  xmlNodeDump (text, document, interface, 0, 0);
  bool ok = virDomainUpdateDeviceFlags (domain, (const char *)xmlBufferContent (text), VIR_DOMAIN_AFFECT_LIVE)
                == 0
            || libvirt_fail ("take a network link down", error);
  xmlBufferFree (text);
  return ok;
}

/* One that cannot be changed keeps none of the others up; error: of the first. */
static bool
take_all_down (virDomainPtr domain, xmlDoc *document, guint *links, GError **error)
{
  xmlNode *devices = child (xmlDocGetRootElement (document), "devices");
  bool ok = true;
  for (xmlNode *node = devices ? devices->children : NULL; node; node = node->next) {
    if (node->type != XML_ELEMENT_NODE || !xmlStrEqual (node->name, BAD_CAST "interface"))
      continue;
    bool down = take_down (domain, document, node, ok ? error : NULL);
    *links += down;
    ok = ok && down;
  }
  return ok;
}

static bool
isolate (virDomainPtr domain, guint *links, GError **error)
{
  char *xml = virDomainGetXMLDesc (domain, 0);
  xmlDoc *document = xml ? xmlReadDoc (BAD_CAST xml, NULL, NULL, XML_PARSE_NONET | XML_PARSE_NOERROR) : NULL;
  bool ok = document ? take_all_down (domain, document, links, error)
                     : libvirt_fail ("read its definition", error);
  xmlFreeDoc (document);
  free (xml);
  return ok;
}

static bool
response_run (Job *job, GError **error)
{
  ResponseData *data = job->data;
  if (data->response == RESPONSE_PAUSE)
    return guest_hold_keep (job->daemon->holds, job->guest->uuid, error);
  virDomainPtr domain = roster_lookup (job->daemon->roster, job->guest->uuid, error);
  if (domain == NULL)
    return false;
  bool ok = isolate (domain, &data->links, error);
  virDomainFree (domain);
  return ok;
}

/* For the person who is told next. */
static char *
describe_outcome (const ResponseData *data, const GError *error)
{
  if (data->response == RESPONSE_PAUSE)
    return error ? g_strdup_printf ("it could not be paused: %s", error->message)
                 : g_strdup ("paused; \"virsh resume\" lets it go on");
  if (error)
    return g_strdup_printf ("it may still reach a network: %u links were taken down, but: %s", data->links,
                            error->message);
  if (data->links == 0)
    return g_strdup ("it has no network link that could be taken down");
  return g_strdup_printf ("%u network links were taken down; \"virsh domif-setlink\" brings them up",
                          data->links);
}

static void
response_done (Job *job, const GError *error)
{
  const ResponseData *data = job->data;
  json_object *event = describe_guest_event (job->guest);
  json_add_string (event, "action", data->response == RESPONSE_ISOLATE ? "isolate" : "pause");
  json_add_string (event, "error", error ? error->message : NULL);
  control_event (job->daemon->control, "RESPONSE", event);
  g_autofree char *outcome = describe_outcome (data, error);
  daemon_alarm_response (job->daemon, job->guest, data->incident, outcome);
}

/* One that stands still may do so for its clones only.  Once for an incident: who lets the guest go on has
 * looked at it. */
void
job_respond (Daemon *daemon, Guest *guest)
{
  const char *id = guest->incident ? guest->incident->id : NULL;
  if (guest->policy == NULL || guest->policy->on_critical == RESPONSE_ALERT || guest->domain == NULL
      || !domain_is_active (guest->domain) || (id && g_strcmp0 (id, guest->answered) == 0))
    return;
  g_free (guest->answered);
  guest->answered = g_strdup (id);
  ResponseData *data = g_new0 (ResponseData, 1);
  data->response = guest->policy->on_critical;
  data->incident = g_strdup (id);
  Job *job = job_new (daemon, guest, NULL);
  job->data = data;
  job->data_free = response_free;
  job->run = response_run;
  job->done = response_done;
  /* A capture under way must not keep the guest from being stopped. */
  job_start_beside (job);
}
