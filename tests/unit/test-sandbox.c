/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a process that reads guests' bytes can still do once it has given everything up: nothing. */
#include "sentinel/sandbox.h"

#include <fcntl.h>
#include <glib.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define FD 3

/* Its exit status, or minus the signal that ended it. */
static int
in_sandbox (int (*run) (void))
{
  int status = 0;
  pid_t child = fork ();
  if (child == 0) {
    dup2 (2, FD);
    _exit (sandbox_enter (FD, 1) ? run () : 99);
  }
  g_assert_cmpint (waitpid (child, &status, 0), ==, child);
  return WIFSIGNALED (status) ? -WTERMSIG (status) : WEXITSTATUS (status);
}

static int
takes_memory (void)
{
  void *much = mmap (NULL, 300u << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return much == MAP_FAILED ? 0 : 1;
}

static int
opens (void)
{
  return open ("/", O_RDONLY) < 0 ? 1 : 2;
}

static int
connects (void)
{
  return socket (AF_UNIX, SOCK_STREAM, 0) < 0 ? 1 : 2;
}

static int
forks (void)
{
  return fork () < 0 ? 1 : 2;
}

static int
spins (void)
{
  volatile bool forever = true;
  while (forever)
    ;
  return 1;
}

static int
works (void)
{
  return write (FD, "", 0) == 0 ? 0 : 1;
}

static int
compare_down (const void *a, const void *b)
{
  return *(const int *)b - *(const int *)a;
}

/* More than a library has room for on its stack. */
static int
sorts (void)
{
  static int numbers[100000];
  for (int i = 0; i < (int)G_N_ELEMENTS (numbers); i++)
    numbers[i] = i;
  qsort (numbers, G_N_ELEMENTS (numbers), sizeof numbers[0], compare_down);
  return numbers[0] == (int)G_N_ELEMENTS (numbers) - 1 ? 0 : 1;
}

static const struct {
  int (*run) (void);
  int ends[2]; /* either */
} cases[] = {
  { works, { 0, 0 } },
  { sorts, { 0, 0 } },
  { takes_memory, { 0, 0 } },
  { opens, { -SIGSYS, -SIGSYS } },
  { connects, { -SIGSYS, -SIGSYS } },
  { forks, { -SIGSYS, -SIGSYS } },
  { spins, { -SIGXCPU, -SIGKILL } },
};

static void
test_everything (void)
{
#ifdef __SANITIZE_ADDRESS__
  bool watched = true;
#else
  bool watched = g_getenv ("GUARDD_VALGRIND") != NULL;
#endif
  if (watched)
    g_test_skip ("a checker of memory needs what the sandbox takes");
  for (guint i = watched ? G_N_ELEMENTS (cases) : 0; i < G_N_ELEMENTS (cases); i++) {
    int ended = in_sandbox (cases[i].run);
    g_test_message ("case %u ended with %d", i, ended);
    g_assert_true (ended == cases[i].ends[0] || ended == cases[i].ends[1]);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/sandbox/only_reading_writing_and_little_memory_are_left", test_everything);
  return g_test_run ();
}
