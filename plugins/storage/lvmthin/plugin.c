/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The lvmthin storage plugin: a snapshot of a disk is a thin volume.  README.md beside this file says how.
 */
#include "../common/maintain.h"
#include "clone.h"
#include "instance.h"
#include "maintain.h"
#include "reader.h"
#include "restore.h"
#include "writer.h"

#include <errno.h>
#include <fcntl.h>

static void
instance_close (void *opaque)
{
  ThinInstance *instance = opaque;
  thin_pool_close (instance->pool);
  fd_close (&instance->files.fd);
  g_free (instance->files.path);
  g_free (instance);
}

static int
instance_open (const struct guardd_call *call, const char *path, const struct guardd_param *params,
               size_t n_params, void **out)
{
  int fd = open (path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0)
    return fail (call, errno, "%s: cannot open", path);
  ThinInstance *instance = g_new0 (ThinInstance, 1);
  instance->files = (Instance){
    .fd = fd, .path = g_strdup (path), .data_suffix = "lv", .base_suffix = "lv", .indexes_only = true
  };
  instance->pool = thin_pool_open (call, path, params, n_params);
  if (instance->pool != NULL) {
    *out = instance;
    return 0;
  }
  instance_close (instance);
  return -1;
}

static int
instance_space (void *opaque, const struct guardd_call *call, struct guardd_space *space)
{
  return thin_pool_space (((ThinInstance *)opaque)->pool, call, space);
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
  .image_verify = reader_verify,
  .maintain_prepare = maintain_prepare,
  .maintain_commit = maintain_commit,
  .maintain_abort = maintain_abort,
  .image_remove = thin_remove,
  .recover = thin_recover,
  .space = instance_space,
  .source_probe = clone_probe,
  .sources_clone = clone_sources,
  .source_restore = restore_source,
};

static const struct guardd_plugin plugin = {
  .size = sizeof plugin,
  .api = GUARDD_PLUGIN_API,
  .kind = GUARDD_PLUGIN_STORAGE,
  .name = "lvmthin",
  .version = GUARDD_VERSION,
  .description = "thin volumes of LVM",
  .ops = &ops,
};

__attribute__ ((visibility ("default"))) const struct guardd_plugin *
guardd_plugin_entry (void)
{
  return &plugin;
}
