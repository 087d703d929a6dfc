// SPDX-License-Identifier: BSD-2-Clause
//
// libowfat's iom_wait(), in which several threads wait and each event is one-shot. "OK|FAIL name", one line a test.

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "io.h"
#include "taia.h"

enum { PAIRS = 50, WAIT_MS = 30000 };

static void tell(const char *name, int ok)
{
    printf("%s %s\n", ok ? "OK" : "FAIL", name);
    fflush(stdout);
}

static iomux_t mux;
static int64 ends[PAIRS][2];
static int seen[PAIRS];

static void *wait_for_some(void *unused)
{
    int64 fd;
    unsigned events;
    int i;
    (void)unused;
    while (iom_wait(&mux, &fd, &events, WAIT_MS) == 1 && events == IOM_READ)
        for (i = 0; i < PAIRS; i++)
            if (ends[i][0] == fd && __sync_add_and_fetch(&seen[i], 1) > 1)
                abort();
    return NULL;
}

// Waits until somebody saw what is in ends[i]; how often it was seen.
static int await(int i)
{
    int tries;
    for (tries = 0; tries < WAIT_MS && !__sync_fetch_and_add(&seen[i], 0); tries++)
        usleep(1000);
    return seen[i];
}

// Each descriptor is reported to one of four threads, once, though nobody reads. They come one after the other: of
// several in one wait libowfat returns the last alone, whatever the method.
static int once(void)
{
    int i, n = 0;
    for (i = 0; i < PAIRS; i++) {
        if (!io_pipe(ends[i]) || iom_add(&mux, ends[i][0], IOM_READ) == -1 || write((int)ends[i][1], "x", 1) != 1)
            return 0;
        n += await(i);
    }
    return n == PAIRS;
}

// It is heard of again when it is added again. (libowfat adds to epoll, which still has it, and fails there.)
static int again(void)
{
    int i, n = 0;
    for (i = 0; i < PAIRS; i++) {
        seen[i] = 0;
        if (iom_add(&mux, ends[i][0], IOM_READ) == -1)
            return 0;
        n += await(i);
    }
    return n == PAIRS;
}

int main(void)
{
    pthread_t threads[4];
    int i;
    if (!iom_init(&mux))
        return 1;
    for (i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, wait_for_some, NULL);
    tell("once", once());
    tell("again", again());
    return 0;
}
