/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "check.h"

#include <stdio.h>
#include <string.h>

static guint made, failed;

guint
checks_failed (void)
{
  return failed;
}

guint
checks_made (void)
{
  return made;
}

bool
check (bool kept, const char *format, ...)
{
  va_list arguments;
  va_start (arguments, format);
  g_autofree char *text = g_strdup_vprintf (format, arguments);
  va_end (arguments);
  made++;
  failed += !kept;
  printf ("%s %u %s\n", kept ? "ok" : "not ok", made, text);
  fflush (stdout);
  return kept;
}

static void
host_error (void *opaque, int errno_value, const char *message)
{
  Host *host = opaque;
  host->told++;
  g_free (host->words);
  host->words = g_strdup (message);
}

static int
host_progress (void *opaque, uint64_t done, uint64_t total)
{
  return ((Host *)opaque)->stop;
}

void
host_begin (Host *host)
{
  memset (host, 0, sizeof *host);
  host->call = (struct guardd_call){
    .size = sizeof host->call, .opaque = host, .error = host_error, .progress = host_progress
  };
}

void
host_clear (Host *host)
{
  g_clear_pointer (&host->words, g_free);
  host->told = 0;
}

bool
is_text (const char *text)
{
  if (text == NULL || text[0] == '\0' || !g_utf8_validate (text, -1, NULL))
    return false;
  for (const char *at = text; *at; at = g_utf8_next_char (at))
    if (g_unichar_iscntrl (g_utf8_get_char (at)))
      return false;
  return true;
}

void
check_words (const Host *host, const char *what)
{
  check (host->told == 1 && is_text (host->words), "%s: says why, once: \"%s\"", what,
         host->words ? host->words : "");
}
