/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * interactive.h: guardsh without a command: readline, history, completion.
 */
#pragma once

#include "shell.h"

/* Until "quit" or the end of input.  Exit status of the last command. */
int interactive_run (Shell *shell);
