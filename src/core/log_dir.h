/* log_dir.h: the folder of log files: their names, the newest of a day, and which go.
 *
 * The one hard thing: only files that are named exactly like ours and are regular files are ever
 * touched, and never the newest of a stream, because that one may be open.
 *
 * Used by the log's writer thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "core/span.h"

#define LOG_DIR_DATE_BYTES   sizeof("2026-01-02")
#define LOG_DIR_STREAM_BYTES 16
#define LOG_DIR_PATH_BYTES   4096
#define LOG_DIR_DAY_NS       ((uint64_t)86400 * 1000000000u)

/* "access-2026-11-21.jsonl" is part 0 of its day, "access-2026-11-21-3.jsonl" part 3. */
struct log_dir_name {
    char stream[LOG_DIR_STREAM_BYTES];
    char date[LOG_DIR_DATE_BYTES];
    unsigned part;
};

/* ERR_INVALID when the name is not one that log_dir_path makes. Any lower-case stream passes. */
err log_dir_parse(struct span file_name, struct log_dir_name *out);
/* ERR_TOO_LARGE when it does not fit. */
err log_dir_path(const char *directory, const struct log_dir_name *name,
                 char out[LOG_DIR_PATH_BYTES]);
/* The UTC date of the moment. */
void log_dir_date(uint64_t wall_ns, char out[LOG_DIR_DATE_BYTES]);

/* Makes the folder (not its parents) unless it is there. ERR_IO. */
err log_dir_make(const char *directory, struct fault *why);

/* The highest part that exists of this stream and day, 0 when there is none. ERR_IO. */
err log_dir_last_part(const char *directory, const char *stream, const char *date, unsigned *out,
                      struct fault *why);

struct log_dir_limits {
    uint64_t wall_ns;
    unsigned retention_days;
    uint64_t closed_max_bytes; /* of all files together but the newest of each stream */
};

/* Deletes files older than retention_days, then the oldest until the rest is within the bytes.
 * ERR_IO when the folder cannot be read or a file not be deleted; the others are deleted still. */
err log_dir_prune(const char *directory, const struct log_dir_limits *limits, struct fault *why);
