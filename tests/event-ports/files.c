/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * PORT_SOURCE_FILE: an inotify instance a port, in the port's epoll. inotify tells more than a port: what is told is made
 * of what it says and of what stat() says then (5.4, 5.5).
 */
#include "emulation.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

enum {
    OPTIONS = FILE_ACCESS | FILE_MODIFIED | FILE_ATTRIB | FILE_TRUNC | FILE_NOFOLLOW,
    EXCEPTIONS = FILE_DELETE | FILE_RENAME_TO | FILE_RENAME_FROM,
    ENTRIES = IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO,
    OWN = IN_MODIFY | IN_ATTRIB | IN_ACCESS | IN_MOVE_SELF | IN_DELETE_SELF | ENTRIES,
};

static int64_t nanoseconds(struct timespec time)
{
    return time.tv_sec * INT64_C(1000000000) + time.tv_nsec;
}

static struct slot *find(struct port *port, uintptr_t object)
{
    struct slot *slot = port->files;
    while (slot && slot->object != object)
        slot = slot->other;
    return slot;
}

/* By such a name a descriptor is meant, whatever the file is called (5.6). */
static bool is_descriptor(const char *name)
{
    return strncmp(name, "/proc/self/fd/", 14) == 0;
}

static int open_inotify(struct port *port)
{
    if (port->inotify >= 0)
        return 0;
    struct epoll_event item = {.events = EPOLLIN, .data.u64 = FILES_KEY};
    port->inotify = keep(inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
    if (port->inotify < 0 || epoll_ctl(port->number, EPOLL_CTL_ADD, port->inotify, &item) != 0)
        return EAGAIN;
    port->watched++;
    port->had_files = true;
    start_pump();
    return 0;
}

static void rearm(struct slot *slot, const struct stat *status)
{
    slot->armed = true;
    slot->size = status->st_size;
    slot->modified = nanoseconds(status->st_mtim);
}

/* What the last name of a path is in, as a path. */
static void directory_of(const char *name, char *directory, size_t size)
{
    const char *slash = strrchr(name, '/');
    if (is_descriptor(name))
        strcat(strncpy(directory, name, size - 4), "/..");
    else if (!slash)
        strcpy(directory, ".");
    else
        memcpy(directory, name, (size_t)(slash - name) + 1), directory[slash - name + 1] = 0;
}

static int watch(struct slot *slot, const struct stat *status)
{
    int error = open_inotify(slot->port);
    if (error)
        return error;
    int inotify = slot->port->inotify;
    slot->helper = inotify_add_watch(inotify, slot->name, OWN | IN_MASK_ADD);
    if (slot->helper < 0)
        return errno;
    slot->directory = S_ISDIR(status->st_mode);
    slot->named = !is_descriptor(slot->name);
    if (slot->directory || slot->named) {
        char directory[sizeof slot->name + 4] = "";
        directory_of(slot->name, directory, sizeof directory);
        slot->parent = inotify_add_watch(inotify, directory, ENTRIES | IN_MASK_ADD);
    }
    return 0;
}

static void unwatch(struct slot *slot)
{
    int watches[] = {slot->helper, slot->parent};
    slot->helper = slot->parent = -1;
    for (int i = 0; i < 2; i++) {
        bool used = watches[i] < 0;
        for (struct slot *other = slot->port->files; other; other = other->other)
            used |= other->helper == watches[i] || other->parent == watches[i];
        if (!used)
            inotify_rm_watch(slot->port->inotify, watches[i]);
    }
}

int associate_file(struct port *port, uintptr_t object, int events, void *user)
{
    const file_obj_t *file = (const file_obj_t *)object;
    if (events & ~OPTIONS || (events & OPTIONS) == 0)
        return EINVAL;
    if (!file || !file->fo_name)
        return EFAULT;
    if (strlen(file->fo_name) >= sizeof port->files->name - 1)
        return ENAMETOOLONG;
    struct stat status;
    struct statfs kind;
    if (stat(file->fo_name, &status) != 0)
        return errno;
    if (S_ISSOCK(status.st_mode) || (status.st_mode & S_IFMT) == 0)
        return ENOTSUP;
    if (statfs(file->fo_name, &kind) == 0 && (kind.f_type == 0x50495045 || kind.f_type == 0x9fa0))
        return ENOTSUP;
    struct slot *slot = find(port, object);
    if (!slot) {
        slot = new_slot(port, PORT_SOURCE_FILE);
        if (!slot)
            return EAGAIN;
        slot->object = object;
        slot->other = port->files;
        port->files = slot;
    }
    /* What happened until now is in the times. */
    if (port->inotify >= 0)
        read_files(port);
    dequeue(slot);
    unwatch(slot);
    strcpy(slot->name, file->fo_name);
    slot->wanted = events;
    slot->user = user;
    int error = watch(slot, &status);
    if (error == 0 && stat(slot->name, &status) != 0)
        error = errno;
    if (error) {
        drop_file(slot);
        return error;
    }
    rearm(slot, &status);
    /* 5.3 */
    struct {
        struct timespec then, now;
        int event;
    } times[] = {
        {file->fo_atime, status.st_atim, FILE_ACCESS},
        {file->fo_mtime, status.st_mtim, FILE_MODIFIED},
        {file->fo_ctime, status.st_ctim, FILE_ATTRIB},
    };
    slot->events = 0;
    for (int i = 0; i < 3; i++)
        if (nanoseconds(times[i].then) != 0 && nanoseconds(times[i].then) != nanoseconds(times[i].now))
            slot->events |= times[i].event & events;
    if (slot->events) {
        slot->armed = false;
        enqueue(slot, false);
    }
    return 0;
}

int dissociate_file(struct port *port, uintptr_t object)
{
    if (!port->had_files)
        return EINVAL;
    struct slot *slot = find(port, object);
    int error = slot && (slot->armed || slot->queued) ? 0 : ENOENT;
    if (slot)
        drop_file(slot);
    return error;
}

void drop_file(struct slot *slot)
{
    struct port *port = slot->port;
    struct slot **place = &port->files;
    while (*place != slot)
        place = &(*place)->other;
    *place = slot->other;
    if (!port->inherited)
        unwatch(slot);
    free_slot(slot);
    if (!port->files && port->inotify >= 0 && !port->inherited) {
        epoll_ctl(port->number, EPOLL_CTL_DEL, port->inotify, NULL);
        unkeep(port->inotify);
        port->inotify = -1;
        port->watched--;
    }
}

/* What inotify's event is to a port that watches that file. */
static int happened(struct slot *slot, const struct inotify_event *event)
{
    struct stat status;
    bool there = stat(slot->name, &status) == 0;
    if (event->wd == slot->parent && event->wd != slot->helper) {
        /* A directory that is open tells nothing of its own end. */
        bool gone = there ? status.st_nlink == 0 : slot->named;
        return slot->directory && gone && event->mask & IN_DELETE ? FILE_DELETE : 0;
    }
    if (event->wd != slot->helper)
        return 0;
    if (event->len > 0)
        return event->mask & ENTRIES ? FILE_MODIFIED | FILE_ATTRIB : 0;
    if (event->mask & IN_MOVE_SELF)
        return slot->named || slot->directory ? FILE_RENAME_FROM : FILE_ATTRIB;
    if (event->mask & IN_DELETE_SELF)
        return FILE_DELETE;
    if (event->mask & IN_ACCESS)
        return FILE_ACCESS;
    int64_t size = slot->size, modified = slot->modified;
    if (there) {
        slot->size = status.st_size;
        slot->modified = nanoseconds(status.st_mtim);
    }
    if (event->mask & IN_MODIFY)
        return FILE_MODIFIED | FILE_ATTRIB | (there && size > 0 && status.st_size == 0 ? FILE_TRUNC : 0);
    if (!(event->mask & IN_ATTRIB))
        return 0;
    if (slot->named && !there)
        return FILE_DELETE;
    return FILE_ATTRIB | (there && slot->modified != modified ? FILE_MODIFIED : 0);
}

void read_files(struct port *port)
{
    char buffer[4096] __attribute__((aligned(8)));
    ssize_t length;
    while ((length = read(port->inotify, buffer, sizeof buffer)) > 0) {
        const struct inotify_event *event;
        for (char *at = buffer; at < buffer + length; at += sizeof *event + event->len) {
            event = (const struct inotify_event *)at;
            for (struct slot *slot = port->files; slot; slot = slot->other) {
                int what = slot->armed || slot->queued ? happened(slot, event) : 0;
                int told = what & (slot->armed ? slot->wanted | EXCEPTIONS : EXCEPTIONS);
                if (!told)
                    continue;
                /* 5.5: an exception takes the place of what is queued, and is the last. */
                slot->armed = false;
                slot->events = told & EXCEPTIONS ? told & EXCEPTIONS : told;
                enqueue(slot, true);
            }
        }
    }
}
