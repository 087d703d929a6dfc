/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The library is found at run time: opened by its path LIBKQUEUE, with NAMESPACE set in a namespace of its own, or,
 * where no path is set, preloaded.
 */
#include "shape.h"

#include <dlfcn.h>

static void *handle;

static void *open_library(const char *path)
{
    return getenv("NAMESPACE") ? dlmopen(LM_ID_NEWLM, path, RTLD_NOW) : dlopen(path, RTLD_NOW | RTLD_LOCAL);
}

static void *find(const char *name)
{
    const char *path = getenv("LIBKQUEUE");
    if (path && !handle && !(handle = open_library(path)))
        FAIL("%s", dlerror());
    void *address = dlsym(path ? handle : RTLD_DEFAULT, name);
    if (!address)
        FAIL("no %s", name);
    return address;
}

int guest_kqueue(void)
{
    static int (*function)(void);
    if (!handle || !function)
        *(void **)&function = find("kqueue");
    return function();
}

int guest_kevent(int kq, const struct kevent *changes, int nchanges, struct kevent *events, int nevents,
                 const struct timespec *timeout)
{
    static int (*function)(int, const struct kevent *, int, struct kevent *, int, const struct timespec *);
    if (!function)
        *(void **)&function = find("kevent");
    return function(kq, changes, nchanges, events, nevents, timeout);
}

int guest_unload(void)
{
    void *it = handle;
    handle = NULL;
    return it ? dlclose(it) : -1;
}
