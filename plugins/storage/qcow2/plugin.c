/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The qcow2 storage plugin: a snapshot of a disk is one qcow2 overlay of what changed, down to a raw base.
 * README.md beside this file has the format.
 */
#include "../common/instance.h"
#include "../common/maintain.h"
#include "reader.h"
#include "verify.h"
#include "writer.h"

#include <errno.h>
#include <fcntl.h>

static int
instance_open (const struct guardd_call *call, const char *path, const struct guardd_param *params,
               size_t n_params, void **instance)
{
  if (n_params > 0)
    return fail (call, EINVAL, "storage qcow2 has no parameter \"%s\"; accepted: (none)", params[0].key);
  int fd = open (path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0)
    return fail (call, errno, "%s: cannot open", path);
  Instance *self = g_new0 (Instance, 1);
  self->fd = fd;
  self->data_suffix = "qcow2";
  self->base_suffix = "raw";
  self->path = g_strdup (path);
  *instance = self;
  return 0;
}

static void
instance_close (void *opaque)
{
  Instance *instance = opaque;
  fd_close (&instance->fd);
  g_free (instance->path);
  g_free (instance);
}

static const struct guardd_storage_ops ops = {
  .size = sizeof ops,
  .open = instance_open,
  .close = instance_close,
  .image_create = writer_create,
  .image_write = writer_write,
  .image_zero = writer_zero,
  .image_seal = writer_seal,
  .image_abort = writer_abort,
  .image_open = reader_open,
  .image_release = reader_release,
  .image_size = reader_size,
  .image_read = reader_read,
  .image_blocks = reader_blocks,
  .image_next_data = reader_next_data,
  .image_diff = reader_diff,
  .image_verify = verify_image,
  .maintain_prepare = maintain_prepare,
  .maintain_commit = maintain_commit,
  .maintain_abort = maintain_abort,
  .image_remove = maintain_remove,
  .recover = maintain_recover,
};

static const struct guardd_plugin plugin = {
  .size = sizeof plugin,
  .api = GUARDD_PLUGIN_API,
  .kind = GUARDD_PLUGIN_STORAGE,
  .name = "qcow2",
  .version = GUARDD_VERSION,
  .description = "qcow2 overlays on a raw base, on any filesystem",
  .ops = &ops,
};

__attribute__ ((visibility ("default"))) const struct guardd_plugin *
guardd_plugin_entry (void)
{
  return &plugin;
}
