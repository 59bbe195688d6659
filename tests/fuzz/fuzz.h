/*
 * fuzz.h - a fuzz target is one function; libFuzzer or replay_main.c calls it
 */
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/** @return 0 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
