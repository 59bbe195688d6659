#ifndef SLUG_H
#define SLUG_H

#include <stddef.h>

/** "Hello, World" -> "hello-world"; out is cut at size and always terminated. */
void slug_make(char *out, size_t size, const char *text);

#endif
