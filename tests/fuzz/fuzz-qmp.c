/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A QEMU that says anything: the input is what it sends after the greeting, while the client asks what guardd
 * asks. The first byte chooses the question, the second how the bytes are cut into pieces.
 */
#include "qmp/qmp-block.h"
#include "qmp/qmp-codec.h"

#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

static void
put_message (gpointer message)
{
  json_object_put (message);
}

static void
fuzz_codec (const uint8_t *data, size_t size, size_t piece)
{
  g_autoptr (QmpCodec) codec = qmp_codec_new (4096);
  GQueue out = G_QUEUE_INIT;
  for (size_t at = 0; at < size; at += piece)
    if (!qmp_codec_feed (codec, (const char *)data + at, MIN (piece, size - at), &out, NULL))
      break;
  g_queue_clear_full (&out, put_message);
}

static void
ask (QmpClient *client, unsigned question)
{
  QmpStatus status;
  switch (question % 8) {
  case 0: {
    g_autoptr (GPtrArray) disks = qmp_query_block (client, NULL);
    break;
  }
  case 1: {
    g_autoptr (GHashTable) bitmaps = qmp_query_node_bitmaps (client, NULL);
    break;
  }
  case 2: {
    g_auto (GStrv) names = qmp_query_node_names (client, NULL);
    break;
  }
  case 3:
    qmp_query_status (client, &status, NULL);
    break;
  case 4: {
    g_autoptr (GPtrArray) sets = qmp_query_fdsets (client, NULL);
    break;
  }
  case 5: {
    g_autoptr (GPtrArray) jobs = qmp_query_jobs (client, NULL);
    break;
  }
  case 6: {
    g_autoptr (GPtrArray) stats = qmp_query_blockstats (client, NULL);
    break;
  }
  default:
    qmp_client_has_argument (client, "blockdev-backup", "filter-node-name", NULL);
  }
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  static const char hello[]
      = "{\"QMP\": {\"version\": {}, \"capabilities\": []}}\r\n{\"return\": {}, \"id\": \"caps\"}\r\n";
  const QmpLimits limits = { .max_message = 65536, .max_events = 4, .connect_ms = 1000, .call_ms = 1000 };
  int ends[2];
  if (size < 2 || size > 60000 || socketpair (AF_UNIX, SOCK_STREAM, 0, ends) < 0)
    return 0;
  fuzz_codec (data + 2, size - 2, data[1] % 64u + 1);
  /* Written beforehand and closed: no thread, no wait. */
  if (write (ends[1], hello, sizeof hello - 1) < 0 || write (ends[1], data + 2, size - 2) < 0)
    size = 0;
  shutdown (ends[1], SHUT_WR);
  QmpClient *client = qmp_client_new_fd (ends[0], &limits, NULL);
  if (client != NULL)
    ask (client, data[0]);
  qmp_client_free (client);
  close (ends[1]);
  return 0;
}
