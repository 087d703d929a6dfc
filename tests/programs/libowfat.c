// SPDX-License-Identifier: BSD-2-Clause
//
// libowfat's two interfaces: io_wait() with its queues of what can be read and written, and iom_wait(), in which
// several threads wait and each event is one-shot. "OK|FAIL name", one line a test.

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "io.h"
#include "taia.h"

enum { PAIRS = 50, BYTES = 200000, WAIT_MS = 30000 };

static void tell(const char *name, int ok)
{
    printf("%s %s\n", ok ? "OK" : "FAIL", name);
    fflush(stdout);
}

// 50 socket pairs; what one end writes the other sends back, until all of it came back.
static int echo(void)
{
    static int64 pairs[PAIRS][2];
    static long sent[PAIRS], back[PAIRS];
    static char buffer[8192];
    int i, done = 0;
    int64 fd;
    for (i = 0; i < PAIRS; i++) {
        if (!io_socketpair(pairs[i]) || !io_fd(pairs[i][0]) || !io_fd(pairs[i][1]))
            return 0;
        io_nonblock(pairs[i][0]);
        io_nonblock(pairs[i][1]);
        io_setcookie(pairs[i][0], (void *)(long)(i + 1));
        io_setcookie(pairs[i][1], (void *)(long)-(i + 1));
        io_wantread(pairs[i][0]);
        io_wantread(pairs[i][1]);
        io_wantwrite(pairs[i][0]);
    }
    while (done < PAIRS) {
        io_waituntil2(WAIT_MS);
        while ((fd = io_canwrite()) != -1) {
            long who = (long)io_getcookie(fd);
            int64 n;
            i = (int)labs(who) - 1;
            if (who < 0)
                return 0;
            n = BYTES - sent[i] < (long)sizeof buffer ? BYTES - sent[i] : (long)sizeof buffer;
            n = io_trywrite(fd, buffer, n);
            if (n > 0)
                sent[i] += n;
            else if (n != -1)
                return 0;
            if (sent[i] == BYTES)
                io_dontwantwrite(fd);
        }
        while ((fd = io_canread()) != -1) {
            long who = (long)io_getcookie(fd);
            int64 n = io_tryread(fd, buffer, sizeof buffer);
            i = (int)labs(who) - 1;
            if (n == -1)
                continue;
            if (n <= 0)
                return 0;
            if (who < 0) {
                if (io_waitwrite(fd, buffer, n) != n)
                    return 0;
            } else if ((back[i] += n) == BYTES) {
                done++;
            }
        }
    }
    for (i = 0; i < PAIRS; i++) {
        io_close(pairs[i][0]);
        io_close(pairs[i][1]);
    }
    return 1;
}

// The end of the other side is something to read.
static int end(void)
{
    int64 pair[2], fd;
    char byte;
    if (!io_pipe(pair) || !io_fd(pair[0]))
        return 0;
    io_nonblock(pair[0]);
    io_wantread(pair[0]);
    close((int)pair[1]);
    io_waituntil2(WAIT_MS);
    fd = io_canread();
    if (fd != pair[0] || io_tryread(fd, &byte, 1) != 0)
        return 0;
    io_close(fd);
    return 1;
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

// Each descriptor is reported to one of four threads, once, though nobody reads.
static int oneshot(void)
{
    pthread_t threads[4];
    int i, ok = 1, n = 0;
    if (!iom_init(&mux))
        return 0;
    for (i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, wait_for_some, NULL);
    for (i = 0; i < PAIRS; i++) {
        // One after the other: of several events in one wait libowfat returns the last alone, whatever the method.
        int tries;
        if (!io_pipe(ends[i]) || iom_add(&mux, ends[i][0], IOM_READ) == -1 || write((int)ends[i][1], "x", 1) != 1)
            return 0;
        for (tries = 0; tries < WAIT_MS && !__sync_fetch_and_add(&seen[i], 0); tries++)
            usleep(1000);
        n += seen[i];
    }
    ok = n == PAIRS;
    // It is heard of again when it is added again.
    seen[0] = 0;
    ok = ok && iom_add(&mux, ends[0][0], IOM_READ) != -1;
    for (i = 0; ok && i < WAIT_MS && !__sync_fetch_and_add(&seen[0], 0); i++)
        usleep(1000);
    return ok && seen[0] == 1;
}

int main(void)
{
    tell("echo", echo());
    tell("end", end());
    tell("oneshot", oneshot());
    return 0;
}
