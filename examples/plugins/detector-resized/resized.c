/* SPDX-License-Identifier: MIT */
/* An example of a detector: says when a disk is not as large as it was.  "level = warn" makes it a warning.
 */
#define _GNU_SOURCE
#include <guardd/detector.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct rule {
  enum guardd_level level;
};

static int
resized_open (const struct guardd_call *call, const struct guardd_param *params, size_t n_params,
              void **instance)
{
  struct rule *rule = malloc (sizeof *rule);
  if (rule == NULL) {
    call->error (call->opaque, ENOMEM, "resized: no memory");
    return -1;
  }
  rule->level = GUARDD_LEVEL_INFO;
  for (size_t i = 0; i < n_params; i++) {
    if (strcmp (params[i].key, "level") == 0 && strcmp (params[i].value, "warn") == 0) {
      rule->level = GUARDD_LEVEL_WARN;
      continue;
    }
    free (rule);
    call->error (call->opaque, EINVAL, "resized: the only parameter is level = warn");
    return -1;
  }
  *instance = rule;
  return 0;
}

static int
resized_judge (void *instance, const struct guardd_call *call, const struct guardd_judge_input *input,
               void (*report) (void *opaque, const struct guardd_finding *finding), void *opaque)
{
  const struct rule *rule = instance;
  char text[200];
  (void)call;
  if (input->before == NULL || input->before->disk_size == input->now->disk_size)
    return 0;
  snprintf (text, sizeof text, "the disk has %" PRIu64 " bytes, and had %" PRIu64, input->now->disk_size,
            input->before->disk_size);
  const struct guardd_finding finding = {
    .size_of = sizeof finding,
    .level = rule->level,
    .rule = "resized",
    .structure = "",
    .text = text,
    .seen = (double)input->now->disk_size,
    .expected = (double)input->before->disk_size,
    .unit = "bytes",
  };
  report (opaque, &finding);
  return 0;
}

static const struct guardd_detector_ops ops = {
  .size = sizeof ops,
  .open = resized_open,
  .close = free,
  .judge = resized_judge,
};

static const struct guardd_plugin plugin = {
  .size = sizeof plugin,
  .api = GUARDD_PLUGIN_API,
  .kind = GUARDD_PLUGIN_DETECTOR,
  .name = "resized",
  .version = "1",
  .description = "an example: says when a disk is not as large as it was",
  .ops = &ops,
};

__attribute__ ((visibility ("default"))) const struct guardd_plugin *
guardd_plugin_entry (void)
{
  return &plugin;
}
