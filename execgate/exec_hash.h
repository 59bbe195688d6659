/*
 * exec_hash.h - SHA-256 of executables, remembered by identity
 *
 * Key:      device, inode, size, mtime and ctime; a file that changed in any of them is read again.
 *           A file whose ctime is so young that another change could carry the same stamp is not
 *           remembered.
 * Threads:  safe; two may compute the same digest at once, they never wait for each other
 */
#ifndef EXECGATE_EXEC_HASH_H
#define EXECGATE_EXEC_HASH_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "common/auto.h"

#define EXEC_SHA256 32
#define EXEC_HASH_MAX (512ll << 20) /**< bytes; a larger file is -EFBIG */

struct exec_hash; /* the cache */

/** @return NULL on ENOMEM */
struct exec_hash *exec_hash_new(void);
void exec_hash_free(struct exec_hash *h);
AUTO_DEFINE(struct exec_hash *, exec_hash_free)

/**
 * @param fd  open for reading (not O_PATH); its position is not used
 * @param st  of that descriptor, taken before
 * @return 0, or -errno (-EFBIG, -ESTALE when the file changes while it is read)
 */
int exec_hash_get(uint8_t out[EXEC_SHA256], struct exec_hash *h, int fd, const struct stat *st);

/** Without the cache. @return 0, or -errno */
int exec_hash_read(uint8_t out[EXEC_SHA256], int fd, off_t size);

/** True when both describe the same content: same file, no change seen in between. */
bool exec_hash_same(const struct stat *a, const struct stat *b);

/** True when a later change could go unseen, because it may leave the same ctime. */
bool exec_hash_is_fresh(const struct stat *st);

#endif
