/*
 * audit_sys.h - futex(2) on a word in shared memory, and clocks in nanoseconds
 */
#ifndef COMMON_AUDIT_SYS_H
#define COMMON_AUDIT_SYS_H

#include <stdint.h>
#include <time.h>

/** Sleep while the word is "seen", at most ns; may return early. */
void audit_sys_wait(_Atomic uint32_t *word, uint32_t seen, uint64_t ns);

/** Wake all sleepers. */
void audit_sys_wake(_Atomic uint32_t *word);

uint64_t audit_sys_now(clockid_t clock);

#endif
