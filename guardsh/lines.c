/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lines.h"

#include <dlfcn.h>
#include <glib.h>

/* of the library that the header is of */
#define LIBRARY "libreadline.so." G_STRINGIFY (RL_VERSION_MAJOR)

bool
lines_load (Lines *lines, const char **why)
{
  const struct {
    const char *name;
    void *to;
  } symbols[] = {
    { "readline", &lines->readline },
    { "add_history", &lines->add_history },
    { "using_history", &lines->using_history },
    { "read_history", &lines->read_history },
    { "write_history", &lines->write_history },
    { "stifle_history", &lines->stifle_history },
    { "rl_line_buffer", &lines->rl_line_buffer },
    { "rl_attempted_completion_over", &lines->rl_attempted_completion_over },
    { "rl_readline_name", &lines->rl_readline_name },
    { "rl_attempted_completion_function", &lines->rl_attempted_completion_function },
  };
  void *library = dlopen (LIBRARY, RTLD_NOW); /* until the process ends */
  for (guint i = 0; library && i < G_N_ELEMENTS (symbols); i++) {
    void *symbol = dlsym (library, symbols[i].name);
    if (symbol == NULL)
      library = NULL;
    *(void **)symbols[i].to = symbol;
  }
  if (library == NULL)
    *why = dlerror ();
  return library != NULL;
}
