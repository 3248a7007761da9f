/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "doctor-kvm.h"

#include <gio/gio.h>
#include <glob.h>
#include <string.h>
#include <unistd.h>

/* Without a disk a kernel that has come up panics for want of a root; its first words come long before. */
#define KERNEL_IS_UP "Kernel panic - not syncing: VFS"

static char *
kernel_find (void)
{
  glob_t found = { 0 };
  char *path = NULL;
  if (glob ("/boot/vmlinuz-*", 0, NULL, &found) == 0)
    path = g_strdup (found.gl_pathv[found.gl_pathc - 1]);
  globfree (&found);
  return path;
}

typedef struct {
  GMainLoop *loop;
  GSubprocess *qemu;
  GString *text;
  char buffer[4096];
  bool up;
} Probe;

static void
probe_read (GObject *source, GAsyncResult *result, gpointer opaque)
{
  Probe *probe = opaque;
  gssize n = g_input_stream_read_finish (G_INPUT_STREAM (source), result, NULL);
  if (n > 0 && probe->text->len < 1 << 20) {
    g_string_append_len (probe->text, probe->buffer, n);
    probe->up = strstr (probe->text->str, KERNEL_IS_UP) != NULL;
  }
  if (n <= 0 || probe->up || probe->text->len >= 1 << 20)
    g_main_loop_quit (probe->loop);
  else
    g_input_stream_read_async (G_INPUT_STREAM (source), probe->buffer, sizeof probe->buffer, 0, NULL,
                               probe_read, probe);
}

static gboolean
probe_deadline (gpointer opaque)
{
  /* Ends its output, and so the loop. */
  g_subprocess_force_exit (((Probe *)opaque)->qemu);
  return G_SOURCE_REMOVE;
}

static void
probe_run (Probe *probe, guint seconds)
{
  GMainContext *context = g_main_context_get_thread_default ();
  GSource *deadline = g_timeout_source_new_seconds (seconds);
  GInputStream *out = g_subprocess_get_stdout_pipe (probe->qemu);
  g_source_set_callback (deadline, probe_deadline, probe, NULL);
  g_source_attach (deadline, context);
  probe->text = g_string_new (NULL);
  probe->loop = g_main_loop_new (context, FALSE);
  g_input_stream_read_async (out, probe->buffer, sizeof probe->buffer, 0, NULL, probe_read, probe);
  g_main_loop_run (probe->loop);
  g_source_destroy (deadline);
  g_source_unref (deadline);
  g_subprocess_force_exit (probe->qemu);
  g_subprocess_wait (probe->qemu, NULL, NULL);
  g_main_loop_unref (probe->loop);
  g_string_free (probe->text, TRUE);
}

KvmState
kvm_probe (guint seconds, char **why)
{
  g_autofree char *kernel = kernel_find ();
  g_autoptr (GError) error = NULL;
  if (access ("/dev/kvm", R_OK | W_OK) != 0) {
    *why = g_strdup ("there is no usable /dev/kvm: guests are emulated, which is slow");
    return KVM_ABSENT;
  }
  if (kernel == NULL) {
    *why = g_strdup ("no kernel in /boot to try it with");
    return KVM_UNKNOWN;
  }
  g_autoptr (GSubprocess) qemu = g_subprocess_new (
      G_SUBPROCESS_FLAGS_STDOUT_PIPE | G_SUBPROCESS_FLAGS_STDERR_SILENCE, &error, "qemu-system-x86_64",
      "-accel", "kvm", "-m", "256", "-nodefaults", "-nographic", "-no-reboot", "-serial", "stdio", "-kernel",
      kernel, "-append", "console=ttyS0 panic=-1", NULL);
  if (qemu == NULL) {
    *why = g_strdup (error->message);
    return KVM_UNKNOWN;
  }
  g_autoptr (GMainContext) context = g_main_context_new ();
  Probe probe = { .qemu = qemu };
  g_main_context_push_thread_default (context);
  probe_run (&probe, seconds);
  g_main_context_pop_thread_default (context);
  *why = probe.up ? g_strdup ("a kernel boots with it")
                  : g_strdup_printf ("/dev/kvm is there, but %s does not boot with it within %u s", kernel,
                                     seconds);
  return probe.up ? KVM_WORKS : KVM_BROKEN;
}
