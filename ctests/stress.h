/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How much the cases of the suite "stress" do: a little in every run, and the full numbers where CTESTS_EVERYTHING
 * is in the environment. They wait for events and count; a machine that is busy makes them slow, not wrong.
 */
#ifndef STRESS_H
#define STRESS_H

/* Seconds for a case's full numbers; its short form takes one or two. */
enum { FULL_LIMIT = 600 };

static inline int everything(void)
{
    return getenv("CTESTS_EVERYTHING") != NULL;
}

static inline int rounds(int few, int full)
{
    return everything() ? full : few;
}

#ifdef __linux__
#include <dirent.h>

/* How many descriptors are what the library makes queues of: a case that counts them makes none itself. */
static inline int queue_parts(void)
{
    static const char *const kinds[] = {"eventpoll", "eventfd", "timerfd", "inotify", "signalfd", "pidfd"};
    int count = 0;
    DIR *directory = opendir("/proc/self/fd");
    struct dirent *entry;
    CHECK(directory != NULL);
    while ((entry = readdir(directory))) {
        char target[256];
        ssize_t length = readlinkat(dirfd(directory), entry->d_name, target, sizeof target - 1);
        if (length <= 0)
            continue;
        target[length] = '\0';
        for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
            count += strstr(target, kinds[i]) != NULL;
    }
    closedir(directory);
    return count;
}
#endif

#endif
