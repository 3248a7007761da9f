/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/json.h"
#include "base/units.h"

#include "alert-channel.h"
#include "commands.h"
#include "doctor-kvm.h"
#include "job.h"
#include "qmp/qmp-block.h"

#include <sys/timex.h>
#include <unistd.h>

#define KVM_SECONDS 20
#define HOOK "/etc/libvirt/hooks/qemu.d/guardd"
#define LITTLE_FREE 10 /* percent */

typedef enum { CHECK_OK, CHECK_WARNING, CHECK_ERROR } CheckLevel;

typedef struct {
  json_object *findings;
  bool connected;
  char *libvirt_error;
  GPtrArray *pools; /* Pool; the daemon's */
  char *guest;      /* UUID of a running one; NULL: none */
  GPtrArray *unfinished;
} Doctor;

static void
doctor_free (gpointer opaque)
{
  Doctor *doctor = opaque;
  json_object_put (doctor->findings);
  g_free (doctor->libvirt_error);
  g_free (doctor->guest);
  g_ptr_array_unref (doctor->pools);
  g_ptr_array_unref (doctor->unfinished);
  g_free (doctor);
}

static void
find (Doctor *doctor, const char *check, CheckLevel level, const char *message, const char *advice)
{
  static const char *const levels[] = { "ok", "warning", "error" };
  json_object *finding = json_object_new_object ();
  json_add_string (finding, "check", check);
  json_add_string (finding, "level", levels[level]);
  json_add_string (finding, "message", message);
  json_add_string (finding, "advice", advice);
  json_object_array_add (doctor->findings, finding);
}

static void
check_libvirt (Doctor *doctor)
{
  if (doctor->connected)
    find (doctor, "libvirt", CHECK_OK, "reachable, its events are followed", NULL);
  else
    find (doctor, "libvirt", CHECK_ERROR, doctor->libvirt_error ?: "not reached yet",
          "start libvirtd (systemctl start libvirtd); guardd connects by itself");
}

static void
check_passthrough (Doctor *doctor, Job *job)
{
  g_autoptr (GError) error = NULL;
  if (doctor->guest == NULL) {
    find (doctor, "passthrough", CHECK_OK, "no guest is running: not tried", NULL);
    return;
  }
  virDomainPtr domain = roster_lookup (job->daemon->roster, doctor->guest, &error);
  g_autoptr (QmpClient) client = domain ? qmp_client_new_libvirt (domain, NULL, &error) : NULL;
  QmpStatus status;
  if (client && qmp_query_status (client, &status, &error))
    find (doctor, "passthrough", CHECK_OK, "QEMU's monitor answers through libvirt", NULL);
  else if (g_error_matches (error, QMP_ERROR, QMP_ERROR_REFUSED))
    find (doctor, "passthrough", CHECK_WARNING, error->message,
          "engine = auto takes libvirt's backup jobs instead; for the faster engine allow monitor commands "
          "on a "
          "read-write connection (polkit: org.libvirt.api.domain.write)");
  else
    find (doctor, "passthrough", CHECK_ERROR, error->message, "look at the guest with virsh dominfo");
  if (domain)
    virDomainFree (domain);
}

static void
check_kvm (Doctor *doctor, const Config *config)
{
  if (config->accelerator == ACCELERATOR_TCG) {
    find (doctor, "kvm", CHECK_OK, "not tried: guardd.conf has accelerator = tcg", NULL);
    return;
  }
  g_autofree char *why = NULL;
  KvmState state = kvm_probe (KVM_SECONDS, &why);
  find (doctor, "kvm", state == KVM_WORKS ? CHECK_OK : CHECK_WARNING, why,
        state == KVM_WORKS
            ? NULL
            : "guardd works all the same; guests need type='qemu' and are slow until KVM works");
}

static void
check_pool (Doctor *doctor, Pool *pool)
{
  g_autoptr (GError) error = NULL;
  PoolInfo info;
  g_autofree char *check = g_strdup_printf ("pool %s", pool_name (pool));
  g_auto (GStrv) problems = pool_problems (pool);
  for (char **problem = problems; *problem; problem++)
    find (doctor, check, CHECK_ERROR, *problem, "guardsh pool-info shows all of the pool");
  if (!pool_info (pool, &info, &error)) {
    find (doctor, check, CHECK_ERROR, error->message, "is its filesystem mounted?");
    return;
  }
  g_autofree char *free = size_format (info.free_bytes), *size = size_format (info.size_bytes);
  g_autofree char *message
      = g_strdup_printf ("%s: %s of %s free, %s", pool_path (pool), free, size,
                         info.reflinks ? "with reflinks" : "without reflinks: merging copies data");
  bool little = info.free_bytes < info.size_bytes / 100 * LITTLE_FREE;
  find (doctor, check, little ? CHECK_WARNING : CHECK_OK, message,
        little ? "shorten keep = in guardd.conf, remove snapshots, or enlarge the filesystem" : NULL);
}

/* One that cannot be used is left out at guardd's start; whether it could now is tried. */
static void
check_alert (Doctor *doctor, const Daemon *daemon, const ConfigAlert *alert)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (AlertChannel) channel = alert_channel_open (alert, daemon->config->plugin_dir, &error);
  g_autofree char *check = g_strdup_printf ("alert %s", alert->name);
  bool used = alerts_uses (daemon->alerts, alert->name);
  if (used && channel)
    find (doctor, check, CHECK_OK, "in use; guardsh alert-test sends one", NULL);
  else if (used)
    find (doctor, check, CHECK_WARNING, error->message, "in use until guardd ends; mend it before that");
  else if (channel)
    find (doctor, check, CHECK_ERROR, "could not be used when guardd started; it could now",
          "restart guardd");
  else
    find (doctor, check, CHECK_ERROR, error->message,
          "nobody is told by it: mend it, try it with guardd -t, and restart guardd");
}

static void
check_alerts (Doctor *doctor, const Daemon *daemon)
{
  const GPtrArray *alerts = daemon->config->alerts;
  for (guint i = 0; i < alerts->len; i++)
    check_alert (doctor, daemon, alerts->pdata[i]);
  if (alerts->len == 0)
    find (doctor, "alerts", CHECK_WARNING, "guardd.conf has no [alert]: findings are in the log only",
          "add one: see guardd.conf(5)");
}

static void
check_clock (Doctor *doctor)
{
  struct timex state = { 0 };
  int result = adjtimex (&state);
  if (result == TIME_ERROR || (state.status & STA_UNSYNC))
    find (doctor, "clock", CHECK_WARNING, "the clock is not synchronised",
          "run an NTP client: snapshots are found by their time, and pruned by it");
  else
    find (doctor, "clock", CHECK_OK, "synchronised", NULL);
}

static void
check_leftovers (Doctor *doctor)
{
  for (guint i = 0; i < doctor->unfinished->len; i++) {
    g_autofree char *message
        = g_strdup_printf ("%s: a rollback is not finished", (const char *)doctor->unfinished->pdata[i]);
    find (doctor, "leftovers", CHECK_ERROR, message,
          "it is finished or undone as soon as libvirt is reached; if it stays, guardd's log says why: "
          "guardsh rollback again");
  }
  if (doctor->unfinished->len == 0)
    find (doctor, "leftovers", CHECK_OK, "none", NULL);
  if (access (HOOK, X_OK) != 0)
    find (doctor, "hook", CHECK_WARNING,
          HOOK " is not installed: nothing keeps others from starting a guest whose rollback is half done",
          "make install puts it there; then restart libvirtd once");
}

static bool
doctor_run (Job *job, GError **error)
{
  Doctor *doctor = job->data;
  check_libvirt (doctor);
  if (doctor->connected)
    check_passthrough (doctor, job);
  check_kvm (doctor, job->daemon->config);
  for (guint i = 0; i < doctor->pools->len; i++)
    check_pool (doctor, doctor->pools->pdata[i]);
  check_alerts (doctor, job->daemon);
  check_clock (doctor);
  check_leftovers (doctor);
  return true;
}

static void
doctor_done (Job *job, const GError *error)
{
  Doctor *doctor = job->data;
  job->daemon->examining = false;
  json_object *answer = json_object_new_object ();
  json_object_object_add (answer, "findings", g_steal_pointer (&doctor->findings));
  control_call_return (g_steal_pointer (&job->call), answer);
}

void
command_doctor (ControlCall *call)
{
  Daemon *daemon = control_call_opaque (call);
  if (daemon->examining) {
    control_call_fail (call, "Busy", "the doctor is at work for somebody else: ask again when that is over");
    return;
  }
  daemon->examining = true;
  Doctor *doctor = g_new0 (Doctor, 1);
  GHashTableIter iter;
  gpointer value;
  doctor->findings = json_object_new_array ();
  doctor->connected = daemon->libvirt_connected;
  doctor->libvirt_error = g_strdup (daemon->libvirt_error);
  doctor->pools = g_ptr_array_new ();
  doctor->unfinished = g_ptr_array_new_with_free_func (g_free);
  g_hash_table_iter_init (&iter, daemon->pools);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    g_ptr_array_add (doctor->pools, value);
  g_hash_table_iter_init (&iter, daemon->guests);
  while (g_hash_table_iter_next (&iter, NULL, &value)) {
    const Guest *guest = value;
    if (guest->unfinished)
      g_ptr_array_add (doctor->unfinished, g_strdup (guest->name));
    if (doctor->guest == NULL && guest->domain && domain_is_active (guest->domain))
      doctor->guest = g_strdup (guest->uuid);
  }
  Job *job = job_new (daemon, NULL, call);
  job->data = doctor;
  job->data_free = doctor_free;
  job->run = doctor_run;
  job->done = doctor_done;
  job_start_beside (job);
}
