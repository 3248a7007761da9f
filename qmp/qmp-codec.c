/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qmp-codec.h"

#include "qmp-client.h"

#include <string.h>

#define MAX_DEPTH 64
/* json_tokener_parse_ex() counts in int */
#define FEED_MAX (1 << 20)

struct QmpCodec {
  json_tokener *tokener;
  size_t max_message, message; /* bytes of the message under way */
  bool broken;
};

QmpCodec *
qmp_codec_new (size_t max_message)
{
  QmpCodec *codec = g_new0 (QmpCodec, 1);

  codec->tokener = json_tokener_new_ex (MAX_DEPTH);
  json_tokener_set_flags (codec->tokener, JSON_TOKENER_VALIDATE_UTF8 | JSON_TOKENER_ALLOW_TRAILING_CHARS);
  codec->max_message = max_message;
  return codec;
}

void
qmp_codec_free (QmpCodec *codec)
{
  if (!codec)
    return;
  json_tokener_free (codec->tokener);
  g_free (codec);
}

bool
qmp_codec_is_inside (const QmpCodec *codec)
{
  return codec->message > 0;
}

static bool
codec_fail (QmpCodec *codec, GError **error, const char *why)
{
  codec->broken = true;
  g_set_error (error, QMP_ERROR, QMP_ERROR_PROTOCOL, "not QMP: %s", why);
  return false;
}

/* Gives the parser at most what the cap still allows; returns how much it used, 0 on error. */
static size_t
codec_parse (QmpCodec *codec, const char *data, size_t length, GQueue *out, GError **error)
{
  size_t allowed = MIN (MIN (length, FEED_MAX), codec->max_message - codec->message);
  json_object *object;
  enum json_tokener_error state;
  size_t used;

  if (allowed == 0) {
    codec_fail (codec, error, "a message over the size limit");
    return 0;
  }
  object = json_tokener_parse_ex (codec->tokener, data, (int)allowed);
  state = json_tokener_get_error (codec->tokener);
  used = json_tokener_get_parse_end (codec->tokener);
  if (state == json_tokener_continue) {
    codec->message += allowed;
    return allowed;
  }
  if (state != json_tokener_success || used == 0 || !json_object_is_type (object, json_type_object)) {
    json_object_put (object);
    codec_fail (codec, error, json_tokener_error_desc (state));
    return 0;
  }
  codec->message = 0;
  json_tokener_reset (codec->tokener);
  g_queue_push_tail (out, object);
  return used;
}

bool
qmp_codec_feed (QmpCodec *codec, const char *data, size_t length, GQueue *out, GError **error)
{
  if (codec->broken)
    return codec_fail (codec, error, "the stream is broken already");
  while (length > 0) {
    size_t used;

    if (codec->message == 0 && g_ascii_isspace (data[0]))
      used = 1;
    else if (codec->message == 0 && data[0] != '{')
      return codec_fail (codec, error, "something that does not start with '{'");
    else
      used = codec_parse (codec, data, length, out, error);
    if (used == 0)
      return false;
    data += used;
    length -= used;
  }
  return true;
}

char *
qmp_codec_encode (json_object *message, size_t *length)
{
  size_t n;
  const char *text = json_object_to_json_string_length (
      message, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &n);
  char *wire = g_malloc (n + 3);

  memcpy (wire, text, n);
  memcpy (wire + n, "\r\n", 3);
  *length = n + 2;
  return wire;
}
