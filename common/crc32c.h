/*
 * crc32c.h - CRC-32C (Castagnoli), RFC 3720 appendix B.4
 *
 * Finds torn and rotten bytes; it is no protection against people.
 */
#ifndef COMMON_CRC32C_H
#define COMMON_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/**
 * Continue a checksum.
 *
 * @param crc  0 to begin, else the result for the bytes before
 */
uint32_t crc32c(uint32_t crc, const void *data, size_t len);

/** The same without special instructions (tests compare both). */
uint32_t crc32c_portable(uint32_t crc, const void *data, size_t len);

#endif
