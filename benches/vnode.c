/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * EVFILT_VNODE. By hand: an inotify watch through /proc/self/fd, so that it follows the file, and fstat() after a
 * write, to tell whether the file grew.
 */
#include "bench.h"

#include <sys/inotify.h>
#include <sys/stat.h>

enum { FILES = 1000 };

struct folder {
    int queue, inotify;
    int files[FILES], watches[FILES];
    off_t size;
};

static void make_files(struct folder *folder, int count)
{
    need_descriptors(count + 16);
    for (int i = 0; i < count; i++) {
        char name[] = "/tmp/kqueue-bench-XXXXXX";
        folder->files[i] = OK(mkostemp(name, O_CLOEXEC));
        OK(unlink(name));
    }
}

static int watch_of(struct folder *folder, int fd)
{
    char path[32];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return OK(inotify_add_watch(folder->inotify, path, IN_MODIFY));
}

static void raw_come_and_go(void *state, long n)
{
    struct folder *folder = state;
    while (n-- > 0) {
        for (int i = 0; i < FILES; i++)
            folder->watches[i] = watch_of(folder, folder->files[i]);
        for (int i = 0; i < FILES; i++)
            OK(inotify_rm_watch(folder->inotify, folder->watches[i]));
        /* What the kernel says of the watches that went must be read away. */
        char buffer[FILES * sizeof(struct inotify_event)];
        ssize_t got, size = 0;
        while (size < (ssize_t)sizeof buffer && (got = read(folder->inotify, buffer, sizeof buffer)) > 0)
            size += got;
    }
}

static void kq_come_and_go(void *state, long n)
{
    struct folder *folder = state;
    while (n-- > 0) {
        struct kevent event;
        for (int i = 0; i < FILES; i++)
            change(folder->queue, (uintptr_t)folder->files[i], EVFILT_VNODE, EV_ADD | EV_CLEAR, NOTE_WRITE, 0);
        for (int i = 0; i < FILES; i++)
            change(folder->queue, (uintptr_t)folder->files[i], EVFILT_VNODE, EV_DELETE, 0, 0);
        CHECK(kevent(folder->queue, NULL, 0, &event, 1, &no_time) == 0);
    }
}

static void raw_open(struct folder *folder)
{
    folder->queue = OK(epoll_create1(EPOLL_CLOEXEC));
    folder->inotify = OK(inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
    control(folder->queue, EPOLL_CTL_ADD, folder->inotify, EPOLLIN);
}

static void kq_open(struct folder *folder)
{
    struct kevent added = change_of((uintptr_t)folder->files[0], EVFILT_VNODE, EV_ADD | EV_CLEAR, NOTE_WRITE, 0, NULL);
    folder->queue = OK(kqueue());
    if (kevent(folder->queue, &added, 1, NULL, 0, NULL) == -1 && errno == EINVAL)
        bench_skip("the library has no EVFILT_VNODE");
    change(folder->queue, (uintptr_t)folder->files[0], EVFILT_VNODE, EV_DELETE, 0, 0);
}

static void raw_add_delete(const struct row *row)
{
    (void)row;
    struct folder folder;
    make_files(&folder, FILES);
    raw_open(&folder);
    each_is(FILES);
    measure(raw_come_and_go, &folder);
}

static void kq_add_delete(const struct row *row)
{
    (void)row;
    struct folder folder;
    make_files(&folder, FILES);
    kq_open(&folder);
    each_is(FILES);
    measure(kq_come_and_go, &folder);
}

static void raw_writes(void *state, long n)
{
    struct folder *folder = state;
    while (n-- > 0) {
        struct epoll_event event;
        struct inotify_event change;
        struct stat file;
        put_byte(folder->files[0]);
        folder->size++;
        CHECK(epoll_wait(folder->queue, &event, 1, -1) == 1);
        CHECK(read(folder->inotify, &change, sizeof change) == sizeof change);
        CHECK(change.wd == folder->watches[0] && change.mask == IN_MODIFY);
        OK(fstat(folder->files[0], &file));
        CHECK(file.st_size == folder->size);
    }
}

static void kq_writes(void *state, long n)
{
    struct folder *folder = state;
    while (n-- > 0) {
        struct kevent event;
        put_byte(folder->files[0]);
        CHECK(kevent(folder->queue, NULL, 0, &event, 1, NULL) == 1);
        CHECK(event.ident == (uintptr_t)folder->files[0] && event.filter == EVFILT_VNODE);
        CHECK(event.fflags == (NOTE_WRITE | NOTE_EXTEND));
    }
}

static void raw_write(const struct row *row)
{
    (void)row;
    struct folder folder = {.size = 0};
    make_files(&folder, 1);
    raw_open(&folder);
    folder.watches[0] = watch_of(&folder, folder.files[0]);
    measure(raw_writes, &folder);
}

static void kq_write(const struct row *row)
{
    (void)row;
    struct folder folder;
    make_files(&folder, 1);
    kq_open(&folder);
    change(folder.queue, (uintptr_t)folder.files[0], EVFILT_VNODE, EV_ADD | EV_CLEAR, NOTE_WRITE, 0);
    measure(kq_writes, &folder);
}

static struct row rows[] = {
    {.name = "vnode-1000-add-delete", .raw = raw_add_delete, .kq = kq_add_delete},
    {.name = "vnode-write", .raw = raw_write, .kq = kq_write},
};
ROWS(rows)
