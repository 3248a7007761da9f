/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The real exec plugin, and a program that hangs with a child of its own. */
#include "guardd/alerts.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATIENCE_MS 30000

typedef struct {
  char *directory, *program, *fifo;
  int said; /* what the program and all that it starts have open for writing */
  Config *config;
  Alerts *alerts;
} Fixture;

static void
set_up (Fixture *fixture, const void *data)
{
  g_autoptr (GError) error = NULL;
  sigset_t blocked;
  signal (SIGPIPE, SIG_IGN);
  sigemptyset (&blocked);
  sigaddset (&blocked, SIGTERM);
  pthread_sigmask (SIG_BLOCK, &blocked, NULL);
  fixture->directory = g_dir_make_tmp ("guardd-exec-XXXXXX", NULL);
  fixture->program = g_build_filename (fixture->directory, "program", NULL);
  fixture->fifo = g_build_filename (fixture->directory, "fifo", NULL);
  g_assert_cmpint (mkfifo (fixture->fifo, 0600), ==, 0);
  fixture->said = open (fixture->fifo, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  g_assert_cmpint (fixture->said, >=, 0);
  g_autofree char *script
      = g_strdup_printf ("#!/bin/sh\nexec 2>/dev/null 3>%s\n"
                         "while read key value; do echo $key $value >&3; done </proc/$$/status\n"
                         "sleep 60 &\necho ready >&3\nwait\n",
                         fixture->fifo);
  g_assert_true (
      g_file_set_contents_full (fixture->program, script, -1, G_FILE_SET_CONTENTS_NONE, 0700, NULL));
  g_autofree char *text
      = g_strdup_printf ("[daemon]\nstate_dir = %s\nplugin_dir = %s\n"
                         "[pool main]\npath = /nowhere\n"
                         "[alert pager]\ntype = exec\ncommand = %s\n",
                         fixture->directory, g_getenv ("GUARDD_PLUGIN_DIR"), fixture->program);
  fixture->config = config_parse ("test", text, &error);
  g_assert_no_error (error);
  fixture->alerts = alerts_open (fixture->config, &error);
  g_assert_no_error (error);
  const Alert alert = { .id = (char *)"id-0001",
                        .uuid = (char *)"uuid",
                        .domain = (char *)"web01",
                        .level = (char *)"critical",
                        .summary = (char *)"p1: was ext4 and is empty",
                        .rollback = (char *)"",
                        .json = (char *)"{}",
                        .time_us = 1 };
  g_assert_true (alerts_raise (fixture->alerts, &alert, &error));
}

static void
tear_down (Fixture *fixture, const void *data)
{
  g_autofree char *store = g_build_filename (fixture->directory, "alerts.sqlite", NULL);
  alerts_close (fixture->alerts);
  config_free (fixture->config);
  close (fixture->said);
  g_assert_cmpint (g_unlink (store), ==, 0);
  g_assert_cmpint (g_unlink (fixture->fifo), ==, 0);
  g_assert_cmpint (g_unlink (fixture->program), ==, 0);
  g_assert_cmpint (g_rmdir (fixture->directory), ==, 0);
  g_free (fixture->program);
  g_free (fixture->fifo);
  g_free (fixture->directory);
}

/* What the program says until it is ready. */
static char *
wait_ready (const Fixture *fixture)
{
  GString *text = g_string_new (NULL);
  while (strstr (text->str, "ready") == NULL) {
    char buffer[1024];
    struct pollfd wait = { fixture->said, POLLIN, 0 };
    g_assert_cmpint (poll (&wait, 1, PATIENCE_MS), ==, 1);
    ssize_t n = read (fixture->said, buffer, sizeof buffer);
    if (n > 0)
      g_string_append_len (text, buffer, n);
  }
  return g_string_free (text, FALSE);
}

static bool
has_signal (const char *status, const char *key, int signal)
{
  const char *at = strstr (status, key);
  g_assert_nonnull (at);
  return g_ascii_strtoull (at + strlen (key), NULL, 16) >> (signal - 1) & 1;
}

static void
test_signals (Fixture *fixture, const void *data)
{
  g_autofree char *said = wait_ready (fixture);
  g_assert_false (has_signal (said, "SigBlk: ", SIGTERM));
  g_assert_false (has_signal (said, "SigIgn: ", SIGPIPE));
}

static void
test_killed (Fixture *fixture, const void *data)
{
  g_autofree char *said = wait_ready (fixture);
  struct pollfd wait = { fixture->said, POLLIN, 0 };
  char byte;
  alerts_close (g_steal_pointer (&fixture->alerts));
  g_assert_cmpint (poll (&wait, 1, PATIENCE_MS), ==, 1); /* nobody has it open any more */
  g_assert_cmpint (read (fixture->said, &byte, 1), ==, 0);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_log_set_always_fatal (G_LOG_LEVEL_CRITICAL | G_LOG_LEVEL_ERROR); /* what could not be told is warned of */
#define ADD(name, function) g_test_add ("/alert-exec/" name, Fixture, NULL, set_up, function, tear_down)
  ADD ("a program has its signals as usual", test_signals);
  ADD ("what it has started is killed with it", test_killed);
  return g_test_run ();
}
