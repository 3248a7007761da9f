/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "limit.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
set (void *instance, const struct limit *limit, uint64_t value)
{
  *(uint64_t *)(void *)((char *)instance + limit->offset) = value;
}

static bool
is_bytes (const struct limit *limit)
{
  size_t length = strlen (limit->key);
  return length >= 6 && strcmp (limit->key + length - 6, "_bytes") == 0;
}

/* "64M", where the limit is in bytes; digits alone otherwise. */
static bool
parse (const struct limit *limit, const char *text, uint64_t *value)
{
  static const char suffixes[] = "KMGT";
  char *end;
  if (*text < '0' || *text > '9')
    return false;
  errno = 0;
  unsigned long long number = strtoull (text, &end, 10);
  unsigned shift = 0;
  const char *suffix = *end ? strchr (suffixes, *end) : NULL;
  if (suffix && is_bytes (limit)) {
    shift = 10u * (unsigned)(suffix - suffixes + 1);
    end++;
  }
  if (errno != 0 || *end || number > UINT64_MAX >> shift)
    return false;
  *value = (uint64_t)number << shift;
  return *value >= limit->least && *value <= limit->most;
}

static void
refuse_value (const struct guardd_call *call, const struct limit *limit, const char *value)
{
  char message[256];
  snprintf (message, sizeof message,
            "\"%.40s\" cannot be used as %s; accepted: a whole number from %" PRIu64 " to %" PRIu64 "%s",
            value, limit->key, limit->least, limit->most, is_bytes (limit) ? ", or a size such as 64M" : "");
  call->error (call->opaque, EINVAL, message);
}

static void
refuse_key (const struct guardd_call *call, const char *detector, const struct limit *limits, const char *key)
{
  char message[1024];
  int n = snprintf (message, sizeof message, "detector %s has no parameter \"%.40s\"; accepted: ", detector,
                    key);
  for (const struct limit *limit = limits; limit->key && n > 0 && (size_t)n < sizeof message; limit++)
    n += snprintf (message + n, sizeof message - (size_t)n, "%s%s", limit == limits ? "" : ", ", limit->key);
  call->error (call->opaque, EINVAL, message);
}

static int
set_parameter (const struct guardd_call *call, const char *detector, const struct limit *limits,
               void *instance, const struct guardd_param *param)
{
  uint64_t value;
  const struct limit *limit = limits;
  while (limit->key && strcmp (limit->key, param->key) != 0)
    limit++;
  if (limit->key == NULL) {
    refuse_key (call, detector, limits, param->key);
    return -1;
  }
  if (!parse (limit, param->value, &value)) {
    refuse_value (call, limit, param->value);
    return -1;
  }
  set (instance, limit, value);
  return 0;
}

int
limits_open (const struct guardd_call *call, const char *detector, const struct limit *limits, size_t size,
             const struct guardd_param *params, size_t n_params, void **instance)
{
  void *made = calloc (1, size);
  if (made == NULL) {
    call->error (call->opaque, ENOMEM, "no memory for the thresholds of a detector");
    return -1;
  }
  for (const struct limit *limit = limits; limit->key; limit++)
    set (made, limit, limit->usual);
  for (size_t i = 0; i < n_params; i++)
    if (set_parameter (call, detector, limits, made, &params[i]) != 0) {
      free (made);
      return -1;
    }
  *instance = made;
  return 0;
}
