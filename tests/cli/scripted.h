/* scripted.h: a control socket that answers as the test wrote, and what a command printed.
 *
 * The one hard thing: the client under test blocks, so the socket is served by a thread of its
 * own; it takes one connection, and what it saw is read after scripted_end.
 *
 * The test owns a script; its thread runs between scripted_begin and scripted_end.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include <pthread.h>

#include "scratch.h"

struct scripted {
    struct scratch folder;
    char path[100]; /* of the socket */
    const char *answer;
    size_t step_bytes; /* written at a time; 0 = all */
    int listener;
    pthread_t thread;
    char request[4096]; /* what the client sent, NUL-terminated */
};

/* Listens and serves one connection with `answer`. */
void scripted_begin(struct scripted *s, const char *answer, size_t step_bytes);
/* Waits for the thread and removes the folder. */
void scripted_end(struct scripted *s);

/* Standard output and error of what runs in between. */
struct scripted_output {
    FILE *files[2];
    int saved[2];
    char text[2][65536]; /* stdout, stderr */
};

void scripted_capture(struct scripted_output *o);
void scripted_release(struct scripted_output *o);
