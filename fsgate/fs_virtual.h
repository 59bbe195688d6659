/*
 * fs_virtual.h - .agentsh/ in the workspace: files that are on no disk
 *
 *   .agentsh/denials   what was refused lately, as JSON lines (fs_why.h); made anew at each open
 *   .agentsh/policy    the effective policy as JSON
 *
 * Not listed in the workspace; read-only for everybody; no rule is asked. It stands before fsgate's
 * operations: fs_virtual_ops is what libfuse gets, and every request that is about none of these
 * nodes or names goes on to fs_ops unseen.
 * Where it is: in the workspace's own directory, unless that has an entry named .agentsh when the
 * session begins: then there is none in this session, so that nothing on the disk is covered.
 */
#ifndef FSGATE_FS_VIRTUAL_H
#define FSGATE_FS_VIRTUAL_H

#include "fsgate/fs.h"

/** Find the directory that has it (fs->why_dir, owned). @return 0 or -errno */
int fs_virtual_place(struct fs *fs);

extern const struct fuse_lowlevel_ops fs_virtual_ops;

#endif
