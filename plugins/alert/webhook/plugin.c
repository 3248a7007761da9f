/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The webhook alert plugin: POSTs each alert as JSON, signed if there is a key.
 *
 *   X-Guardd-Id         the alert's id: the same when it is told again
 *   X-Guardd-Timestamp  seconds since 1970, when it was sent
 *   X-Guardd-Signature  sha256=<HMAC-SHA256 of "timestamp.body" in hexadecimal>
 *
 * A receiver that checks the signature refuses what is not guardd's, and by the time stamp what is old.
 */
#include "template.h"

#include <curl/curl.h>
#include <errno.h>
#include <openssl/hmac.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SECRET_MAX 4096
#define TIMEOUT_MS 20000L
#define CONNECT_MS 5000L

struct webhook {
  char *url, *ca_file;
  enum template form;
  unsigned char secret[SECRET_MAX + 2]; /* and the end of its line */
  size_t secret_length;                 /* 0: no signature */
};

static int
fail (const struct guardd_call *call, int errno_value, const char *format, ...)
{
  char message[1024];
  va_list arguments;
  va_start (arguments, format);
  vsnprintf (message, sizeof message, format, arguments);
  va_end (arguments);
  call->error (call->opaque, errno_value, message);
  return -1;
}

static int
read_secret (const struct guardd_call *call, struct webhook *webhook, const char *path)
{
  FILE *file = fopen (path, "re");
  if (file == NULL)
    return fail (call, errno, "secret_file %s: %s", path, strerror (errno));
  size_t length = fread (webhook->secret, 1, sizeof webhook->secret, file);
  int whole = fgetc (file) == EOF;
  fclose (file);
  while (length > 0 && (webhook->secret[length - 1] == '\r' || webhook->secret[length - 1] == '\n'))
    length--;
  if (length == 0)
    return fail (call, EINVAL, "secret_file %s: is empty", path);
  if (!whole || length > SECRET_MAX)
    return fail (call, EINVAL, "secret_file %s: has more than the %d bytes that a key may have", path,
                 SECRET_MAX);
  webhook->secret_length = length;
  return 0;
}

static int
set (const struct guardd_call *call, struct webhook *webhook, const struct guardd_param *param)
{
  if (strcmp (param->key, "url") == 0)
    webhook->url = strdup (param->value);
  else if (strcmp (param->key, "ca_file") == 0)
    webhook->ca_file = strdup (param->value);
  else if (strcmp (param->key, "secret_file") == 0)
    return read_secret (call, webhook, param->value);
  else if (strcmp (param->key, "template") == 0) {
    webhook->form = template_find (param->value);
    if (webhook->form == TEMPLATES)
      return fail (call, EINVAL, "template \"%s\": accepted: generic, slack, alertmanager", param->value);
  } else
    return fail (call, EINVAL,
                 "alert webhook has no parameter \"%s\"; accepted: url, template, secret_file, ca_file",
                 param->key);
  return 0;
}

static void
webhook_close (void *opaque)
{
  struct webhook *webhook = opaque;
  free (webhook->url);
  free (webhook->ca_file);
  free (webhook);
}

static int
webhook_open (const struct guardd_call *call, const struct guardd_param *params, size_t n_params,
              void **instance)
{
  struct webhook *webhook = calloc (1, sizeof *webhook);
  int failed = webhook == NULL || curl_global_init (CURL_GLOBAL_DEFAULT) != CURLE_OK;
  for (size_t i = 0; !failed && i < n_params; i++)
    failed = set (call, webhook, &params[i]);
  if (!failed
      && (webhook->url == NULL
          || (strncmp (webhook->url, "https://", 8) && strncmp (webhook->url, "http://", 7))))
    failed = fail (call, EINVAL, "url is missing, or does not begin with https:// or http://");
  if (failed) {
    if (webhook)
      webhook_close (webhook);
    return -1;
  }
  *instance = webhook;
  return 0;
}

static struct curl_slist *
add_header (struct curl_slist *headers, const char *format, ...)
{
  char line[256];
  va_list arguments;
  va_start (arguments, format);
  vsnprintf (line, sizeof line, format, arguments);
  va_end (arguments);
  return curl_slist_append (headers, line);
}

/* Over "timestamp.body", so that an old message cannot be sent again under a new time. */
static struct curl_slist *
sign (struct curl_slist *headers, const struct webhook *webhook, const char *stamp, const char *body)
{
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned length = 0;
  char hex[2 * EVP_MAX_MD_SIZE + 1];
  size_t n = strlen (stamp) + 1 + strlen (body);
  char *text = malloc (n + 1);
  if (text == NULL)
    return headers;
  snprintf (text, n + 1, "%s.%s", stamp, body);
  HMAC (EVP_sha256 (), webhook->secret, (int)webhook->secret_length, (const unsigned char *)text, n, digest,
        &length);
  free (text);
  for (unsigned i = 0; i < length; i++)
    snprintf (hex + 2 * i, 3, "%02x", digest[i]);
  return add_header (headers, "X-Guardd-Signature: sha256=%s", hex);
}

static int
on_progress (void *opaque, curl_off_t total, curl_off_t now, curl_off_t up_total, curl_off_t up_now)
{
  const struct guardd_call *call = opaque;
  return call->progress && call->progress (call->opaque, 0, 0);
}

static size_t
drop_answer (char *data, size_t size, size_t n, void *opaque)
{
  return size * n;
}

/* Of this request for what is in it (RFC 9110, 6585); who, where and when would be the same for all others.
 */
static int
is_refusal (long status)
{
  return status == 400 || status == 413 || status == 415 || status == 422 || status == 431;
}

static int
post (const struct webhook *webhook, const struct guardd_call *call, CURL *curl, struct curl_slist *headers,
      const char *body)
{
  char why[CURL_ERROR_SIZE] = "";
  long status = 0;
  curl_easy_setopt (curl, CURLOPT_URL, webhook->url);
  curl_easy_setopt (curl, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt (curl, CURLOPT_HTTPHEADER, headers);
  curl_easy_setopt (curl, CURLOPT_POSTFIELDS, body);
  curl_easy_setopt (curl, CURLOPT_TIMEOUT_MS, TIMEOUT_MS);
  curl_easy_setopt (curl, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS);
  curl_easy_setopt (curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt (curl, CURLOPT_ERRORBUFFER, why);
  curl_easy_setopt (curl, CURLOPT_WRITEFUNCTION, drop_answer);
  curl_easy_setopt (curl, CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt (curl, CURLOPT_XFERINFOFUNCTION, on_progress);
  curl_easy_setopt (curl, CURLOPT_XFERINFODATA, (void *)call);
  if (webhook->ca_file)
    curl_easy_setopt (curl, CURLOPT_CAINFO, webhook->ca_file);
  CURLcode done = curl_easy_perform (curl);
  if (done != CURLE_OK)
    return fail (call, EIO, "%s: %s", webhook->url, why[0] ? why : curl_easy_strerror (done));
  curl_easy_getinfo (curl, CURLINFO_RESPONSE_CODE, &status);
  if (status >= 200 && status < 300)
    return 0;
  return fail (call, is_refusal (status) ? GUARDD_ALERT_REFUSED : EIO, "%s: answered with status %ld",
               webhook->url, status);
}

static int
webhook_deliver (void *opaque, const struct guardd_call *call, const struct guardd_alert *alert)
{
  const struct webhook *webhook = opaque;
  char stamp[32];
  CURL *curl = curl_easy_init ();
  char *body = template_body (webhook->form, alert);
  int result = -1;
  snprintf (stamp, sizeof stamp, "%lld", (long long)time (NULL));
  struct curl_slist *headers = add_header (NULL, "Content-Type: application/json");
  headers = add_header (headers, "X-Guardd-Id: %.64s", alert->id);
  headers = add_header (headers, "X-Guardd-Timestamp: %s", stamp);
  if (webhook->secret_length && body)
    headers = sign (headers, webhook, stamp, body);
  if (curl && body && headers)
    result = post (webhook, call, curl, headers, body);
  else
    fail (call, ENOMEM, "out of memory");
  curl_slist_free_all (headers);
  curl_easy_cleanup (curl);
  free (body);
  return result;
}

static const struct guardd_alert_ops ops = {
  .size = sizeof ops,
  .open = webhook_open,
  .close = webhook_close,
  .deliver = webhook_deliver,
};

static const struct guardd_plugin plugin = {
  .size = sizeof plugin,
  .api = GUARDD_PLUGIN_API,
  .kind = GUARDD_PLUGIN_ALERT,
  .name = "webhook",
  .version = GUARDD_VERSION,
  .description = "POSTs alerts as JSON to an http or https address",
  .ops = &ops,
};

__attribute__ ((visibility ("default"))) const struct guardd_plugin *
guardd_plugin_entry (void)
{
  return &plugin;
}
