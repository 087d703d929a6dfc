/* SPDX-License-Identifier: BSD-2-Clause */
/* What a case mounts is seen by its own process alone. Linux; included after suite.h. */
#ifndef MOUNTS_H
#define MOUNTS_H

#include <sched.h>
#include <sys/mount.h>

/* 0: what is mounted from now on is not seen elsewhere. -1: the process may not do that. */
static inline int own_mounts(void)
{
    return unshare(CLONE_NEWNS) == -1 ? -1 : mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL);
}

static inline void hide_proc(void)
{
    if (own_mounts() == -1 || mount("none", "/proc", "tmpfs", 0, NULL) == -1)
        SKIP("/proc cannot be hidden from this process");
}

#endif
