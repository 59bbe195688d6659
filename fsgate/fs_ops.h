/*
 * fs_ops.h - the table of operations that libfuse calls
 *
 * dir: names and listings   file: open files   name: changes of the tree   attr: attributes
 */
#ifndef FSGATE_FS_OPS_H
#define FSGATE_FS_OPS_H

#include "fsgate/fs.h"

extern const struct fuse_lowlevel_ops fs_ops;

#endif
