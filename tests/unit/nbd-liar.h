/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An NBD server on one end of a socket pair, in a thread: honest but for one lie.  It speaks what QEMU speaks
 * to guardd: fixed newstyle, structured replies, one metadata context (NBD protocol, doc/proto.md of nbd).
 */
#pragma once

#include <arpa/inet.h>
#include <endian.h>
#include <glib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

typedef enum {
  LIE_NONE,
  LIE_SIZE,           /* another size than the disk's */
  LIE_CONTEXT,        /* does not know the bitmap */
  LIE_GREETING,       /* no NBD */
  LIE_HANG_GREETING,  /* says nothing */
  LIE_HANG_READ,      /* does not answer a read */
  LIE_HANG_STATUS,    /* nor where data is */
  LIE_READ_ERROR,     /* EIO */
  LIE_READ_SHORT,     /* half of what was asked for, and that was all */
  LIE_READ_ELSEWHERE, /* bytes of another place */
  LIE_READ_LONG,      /* more than was asked for */
  LIE_READ_CLOSE,     /* hangs up in the middle */
  LIE_STATUS_ERROR,
  LIE_STATUS_EMPTY,  /* no extent at all */
  LIE_STATUS_ZERO,   /* extents of length 0 */
  LIE_STATUS_FLOOD,  /* one block each, without end */
  LIE_STATUS_BEYOND, /* an extent that goes on behind the disk's end */
  LIE_STATUS_OTHER,  /* of a context that nobody asked for */
  LIE_COOKIE,        /* an answer to what was never asked */
  LIE_CHUNK,         /* a kind of chunk that does not exist */
  LIE_LENGTH,        /* a chunk of 4 GiB */
  LIES
} Lie;

#define LIAR_BYTE 7 /* what its disk is full of */

typedef struct {
  int fd;
  Lie lie;
  guint64 size;
  GThread *thread;
} Liar;

static inline gboolean
liar_get (const Liar *liar, void *data, size_t length)
{
  return recv (liar->fd, data, length, MSG_WAITALL) == (ssize_t)length;
}

static inline gboolean
liar_put (const Liar *liar, const void *data, size_t length)
{
  for (size_t done = 0; done < length;) {
    ssize_t n = send (liar->fd, (const guint8 *)data + done, length - done, MSG_NOSIGNAL);
    if (n <= 0)
      return FALSE;
    done += (size_t)n;
  }
  return TRUE;
}

static inline void
liar_add (GByteArray *bytes, guint64 value, guint width)
{
  guint64 big = htobe64 (value);
  g_byte_array_append (bytes, (const guint8 *)&big + 8 - width, width);
}

static inline gboolean
liar_send (const Liar *liar, GByteArray *bytes)
{
  gboolean ok = liar_put (liar, bytes->data, bytes->len);
  g_byte_array_unref (bytes);
  return ok;
}

/* Until the peer hangs up. */
static inline gboolean
liar_hang (const Liar *liar)
{
  char byte;
  while (recv (liar->fd, &byte, 1, 0) > 0)
    ;
  return FALSE;
}

static inline gboolean
liar_option_reply (const Liar *liar, guint32 option, guint32 type, const void *data, guint32 length)
{
  GByteArray *bytes = g_byte_array_new ();
  liar_add (bytes, G_GUINT64_CONSTANT (0x3e889045565a9), 8);
  liar_add (bytes, option, 4);
  liar_add (bytes, type, 4);
  liar_add (bytes, length, 4);
  g_byte_array_append (bytes, data, length);
  return liar_send (liar, bytes);
}

#define OPT_GO 7
#define OPT_STRUCTURED 8
#define OPT_SET_META 10
#define REP_ACK 1
#define REP_INFO 3
#define REP_META 4
#define REP_UNSUPPORTED 0x80000001u

static inline gboolean
liar_go (const Liar *liar)
{
  GByteArray *info = g_byte_array_new ();
  liar_add (info, 0, 2);
  liar_add (info, liar->lie == LIE_SIZE ? liar->size * 2 : liar->size, 8);
  liar_add (info, 1 | 2, 2); /* flags, read-only */
  gboolean ok = liar_option_reply (liar, OPT_GO, REP_INFO, info->data, info->len)
                && liar_option_reply (liar, OPT_GO, REP_ACK, "", 0);
  g_byte_array_unref (info);
  return ok;
}

static inline gboolean
liar_meta (const Liar *liar, const char *context)
{
  GByteArray *meta = g_byte_array_new ();
  liar_add (meta, 1, 4);
  g_byte_array_append (meta, (const guint8 *)context, (guint)strlen (context));
  gboolean ok
      = (liar->lie == LIE_CONTEXT || liar_option_reply (liar, OPT_SET_META, REP_META, meta->data, meta->len))
        && liar_option_reply (liar, OPT_SET_META, REP_ACK, "", 0);
  g_byte_array_unref (meta);
  return ok;
}

/* TRUE once the transmission phase begins. */
static inline gboolean
liar_options (const Liar *liar, const char *context)
{
  struct {
    guint64 magic;
    guint32 option, length;
  } __attribute__ ((packed)) head;
  char data[4096];
  while (liar_get (liar, &head, sizeof head)) {
    guint32 option = ntohl (head.option), length = ntohl (head.length);
    if (length > sizeof data || (length && !liar_get (liar, data, length)))
      return FALSE;
    if (option == OPT_GO)
      return liar_go (liar);
    if (option == OPT_SET_META
            ? !liar_meta (liar, context)
            : !liar_option_reply (liar, option, option == OPT_STRUCTURED ? REP_ACK : REP_UNSUPPORTED, "", 0))
      return FALSE;
  }
  return FALSE;
}

static inline GByteArray *
liar_chunk (guint16 type, guint64 cookie, guint32 length)
{
  GByteArray *bytes = g_byte_array_new ();
  liar_add (bytes, 0x668e33efu, 4);
  liar_add (bytes, 1, 2); /* the last one */
  liar_add (bytes, type, 2);
  liar_add (bytes, be64toh (cookie), 8);
  liar_add (bytes, length, 4);
  return bytes;
}

static inline gboolean
liar_error (const Liar *liar, guint64 cookie)
{
  GByteArray *bytes = liar_chunk (32769, cookie, 6);
  liar_add (bytes, 5, 4); /* EIO */
  liar_add (bytes, 0, 2);
  return liar_send (liar, bytes);
}

/* Every byte is 7. */
static inline gboolean
liar_read (const Liar *liar, guint64 cookie, guint64 offset, guint32 length)
{
  guint32 given = liar->lie == LIE_READ_SHORT ? length / 2 : liar->lie == LIE_READ_LONG ? length * 2 : length;
  if (liar->lie == LIE_HANG_READ)
    return liar_hang (liar);
  if (liar->lie == LIE_READ_ERROR)
    return liar_error (liar, cookie);
  if (liar->lie == LIE_COOKIE)
    cookie ^= 0x55;
  GByteArray *bytes = liar_chunk (liar->lie == LIE_CHUNK ? 77 : 1, cookie,
                                  liar->lie == LIE_LENGTH ? 0xffffffffu : given + 8);
  liar_add (bytes, liar->lie == LIE_READ_ELSEWHERE ? offset + liar->size : offset, 8);
  guint head = bytes->len;
  g_byte_array_set_size (bytes, head + given);
  memset (bytes->data + head, LIAR_BYTE, given);
  if (liar->lie == LIE_READ_CLOSE)
    g_byte_array_set_size (bytes, head + given / 3);
  return liar_send (liar, bytes) && liar->lie != LIE_READ_CLOSE;
}

static inline gboolean
liar_status (const Liar *liar, guint64 cookie, guint32 length)
{
  if (liar->lie == LIE_HANG_STATUS)
    return liar_hang (liar);
  if (liar->lie == LIE_STATUS_ERROR)
    return liar_error (liar, cookie);
  guint32 extents = liar->lie == LIE_STATUS_EMPTY ? 0 : liar->lie == LIE_STATUS_FLOOD ? 100000 : 1;
  GByteArray *bytes = liar_chunk (5, cookie, 4 + 8 * extents);
  liar_add (bytes, liar->lie == LIE_STATUS_OTHER ? 99 : 1, 4);
  for (guint32 i = 0; i < extents; i++) {
    guint32 told = liar->lie == LIE_STATUS_ZERO     ? 0
                   : liar->lie == LIE_STATUS_BEYOND ? 0x7fff0000u
                   : liar->lie == LIE_STATUS_FLOOD  ? 1
                                                    : length;
    liar_add (bytes, told, 4);
    liar_add (bytes, 1, 4); /* dirty */
  }
  return liar_send (liar, bytes);
}

static inline void
liar_serve (const Liar *liar)
{
  struct {
    guint32 magic;
    guint16 flags, type;
    guint64 cookie, offset;
    guint32 length;
  } __attribute__ ((packed)) request;
  while (liar_get (liar, &request, sizeof request)) {
    guint16 type = ntohs (request.type);
    if (type == 0 && !liar_read (liar, request.cookie, be64toh (request.offset), ntohl (request.length)))
      return;
    if (type == 7 && !liar_status (liar, request.cookie, ntohl (request.length)))
      return;
    if (type == 2)
      return;
  }
}

static gpointer
liar_thread (gpointer data)
{
  const Liar *liar = data;
  guint32 flags;
  GByteArray *greeting = g_byte_array_new ();
  g_byte_array_append (greeting, (const guint8 *)(liar->lie == LIE_GREETING ? "HTTP/1.1" : "NBDMAGIC"), 8);
  g_byte_array_append (greeting, (const guint8 *)"IHAVEOPT", 8);
  liar_add (greeting, 1 | 2, 2); /* fixed newstyle, no zeroes */
  if (liar->lie == LIE_HANG_GREETING) {
    g_byte_array_unref (greeting);
    liar_hang (liar);
  } else if (liar_send (liar, greeting) && liar_get (liar, &flags, sizeof flags)
             && liar_options (liar, "qemu:dirty-bitmap:b"))
    liar_serve (liar);
  close (liar->fd);
  return NULL;
}

/* The client's end of the connection. */
static inline int
liar_start (Liar *liar, Lie lie, guint64 size)
{
  int ends[2];
  g_assert_cmpint (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), ==, 0);
  *liar = (Liar){ .fd = ends[0], .lie = lie, .size = size };
  liar->thread = g_thread_new ("liar", liar_thread, liar);
  return ends[1];
}
