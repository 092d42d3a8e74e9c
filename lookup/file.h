/* SPDX-License-Identifier: ISC */
#ifndef LOOKUP_FILE_H
#define LOOKUP_FILE_H

#include <stddef.h>

#include "lib/base/bug.h"

/*
 * The whole of a regular file that was handed over as a descriptor, which
 * stays open: *len octets and a NUL after them, to be freed by the caller.
 * NULL: EFBIG above max octets, EINVAL if it is no regular file, errno of the read.
 */
char *file_read(int fd, size_t max, size_t *len) WARN_UNUSED;

#endif
