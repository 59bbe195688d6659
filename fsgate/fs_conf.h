/*
 * fs_conf.h - the keys of GATE_CONFIG and GATE_SETUP that fsgate reads
 *
 *   root.N.path, root.N.host          governed tree N: in the sandbox, on the host
 *   override.N.path, override.N.host  file that the sandbox sees in place of the host's, read-only
 *   hide.N                            host path that is never shown (agentsh's own directories)
 *   workspace                         sandbox path of the directory that has .agentsh/
 *   undo.dir, undo.required, undo.max_bytes, undo.max_file, undo.exclude.N   see fs_undo.h
 *   uid, gid                          the caller's
 *   at, read_only                     a mount alone, without a sandbox: root.0 is shown at this place
 *   trash.dir                         host directory of soft-deleted files (fs_trash.h)
 */
#ifndef FSGATE_FS_CONF_H
#define FSGATE_FS_CONF_H

#include "common/err.h"
#include "fsgate/fs.h"

/** Open every root and override. @return 0 or -errno with e naming the key */
int fs_conf_load(struct fs *fs, struct err *e);
void fs_conf_free(struct fs *fs);

/**
 * Is dir/name an override?
 *
 * @param st  written when it is
 * @return an O_PATH descriptor of the host's file, the caller's; -ENOENT when it is none; -errno
 */
int fs_conf_override(struct fs *fs, struct fs_node *dir, const char *name, struct stat *st);

/** Name of the nth override that stands directly in the directory with this path, or NULL. */
const char *fs_conf_override_in(const struct fs *fs, const char *dir, size_t n);

/** Must this file never be shown? */
bool fs_conf_is_hidden(const struct fs *fs, const struct stat *st);

/** Is one of them below this directory (or it is one)? */
bool fs_conf_holds_hidden(const struct fs *fs, int dirfd);

/** Rewrite inode number and owner as the sandbox sees them. */
void fs_conf_show(const struct fs *fs, struct stat *st);

#endif
