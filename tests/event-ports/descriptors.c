/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * PORT_SOURCE_FD. What is armed is an item of the port's epoll that is told of once; what is not is none, so that nothing
 * happens to it.
 */
#include "emulation.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct slot *find(struct port *port, int fd)
{
    struct slot *slot = number(fd)->watchers;
    while (slot && slot->port != port)
        slot = slot->other;
    return slot;
}

static uint32_t to_linux(int events)
{
    uint32_t same = (uint32_t)events & (POLLIN | POLLPRI | POLLOUT | 0x40 | 0x80);
    return same | (events & PORT_POLLRDHUP ? POLLRDHUP : 0);
}

/* What illumos would say where Linux says this (2.8). */
static int from_linux(int fd, int wanted, uint32_t events)
{
    struct stat status;
    int said = (int)(events & (POLLIN | POLLPRI | POLLOUT | 0x40 | 0x80)) & wanted;
    mode_t kind = 0;
    if (syscall(SYS_fstat, fd, &status) == 0)
        kind = status.st_mode & S_IFMT;
    if (events & POLLRDHUP)
        said |= PORT_POLLRDHUP & wanted;
    if (events & POLLHUP)
        said |= PORT_POLLHUP;
    if (events & POLLERR)
        said |= kind == S_IFSOCK ? wanted & (PORT_POLLIN | PORT_POLLOUT) : kind == S_IFIFO ? PORT_POLLHUP : PORT_POLLERR;
    if (kind == S_IFIFO && said & PORT_POLLHUP)
        said &= ~PORT_POLLOUT;
    return said;
}

/* 2.8: a descriptor of epoll's never wakes a port. (A port is one here.) */
static bool is_epoll(int fd)
{
    struct epoll_event none;
    return number(fd)->port == NULL && (syscall(SYS_epoll_wait, fd, &none, 1, 0) >= 0 || errno != EINVAL);
}

static void disarm(struct slot *slot)
{
    if (slot->listed)
        epoll_ctl(slot->port->number, EPOLL_CTL_DEL, (int)slot->object, NULL);
    if (slot->armed)
        slot->port->watched--;
    slot->listed = slot->armed = false;
}

/* 2.2: what holds is queued at once, at the tail; else the slot is armed. */
static int look(struct slot *slot)
{
    int fd = (int)slot->object;
    bool epoll = is_epoll(fd);
    struct pollfd entry = {.fd = fd, .events = (short)to_linux(slot->wanted)};
    struct timespec at_once = {0, 0};
    int said = 0;
    if (!epoll && syscall(SYS_ppoll, &entry, 1, &at_once, NULL, 8) > 0)
        said = from_linux(fd, slot->wanted, (uint32_t)(unsigned short)entry.revents);
    if (said) {
        slot->events = said;
        /* 3.12: who sleeps in poll() is not told. */
        enqueue(slot, false);
        return 0;
    }
    slot->armed = true;
    slot->port->watched++;
    struct epoll_event item = {.events = to_linux(slot->wanted) | EPOLLONESHOT, .data.u64 = key_of(slot)};
    if (epoll)
        return 0;
    if (epoll_ctl(slot->port->number, EPOLL_CTL_ADD, fd, &item) == 0)
        slot->listed = true;
    else if (errno != EPERM)
        return errno;
    start_pump();
    return 0;
}

int associate_descriptor(struct port *port, uintptr_t object, int events, void *user)
{
    if (object > INT32_MAX || !number((int)object) || fcntl((int)object, F_GETFD) == -1)
        return PORT_EBADFD;
    int fd = (int)object;
    harvest(port);
    struct slot *slot = find(port, fd);
    if (!slot) {
        slot = new_slot(port, PORT_SOURCE_FD);
        if (!slot)
            return EAGAIN;
        port->descriptors++;
        slot->object = object;
        slot->other = number(fd)->watchers;
        number(fd)->watchers = slot;
    }
    dequeue(slot);
    disarm(slot);
    slot->wanted = events;
    slot->user = user;
    int error = look(slot);
    if (error)
        drop_descriptor(slot);
    return error;
}

/* 2.3: one event with the bits of this moment, and no more of it. */
void descriptor_is_ready(struct slot *slot, uint32_t events)
{
    int said = from_linux((int)slot->object, slot->wanted, events);
    disarm(slot);
    if (said) {
        slot->events = said;
        enqueue(slot, true);
    } else {
        look(slot);
    }
}

int dissociate_descriptor(struct port *port, uintptr_t object)
{
    if (object > INT32_MAX || !number((int)object) || fcntl((int)object, F_GETFD) == -1)
        return PORT_EBADFD;
    struct slot *slot = find(port, (int)object);
    int error = slot && (slot->armed || slot->queued) ? 0 : ENOENT;
    if (slot)
        drop_descriptor(slot);
    return error;
}

void drop_descriptor(struct slot *slot)
{
    struct slot **place = &number((int)slot->object)->watchers;
    while (*place != slot)
        place = &(*place)->other;
    *place = slot->other;
    if (slot->port->inherited) {
        /* The epoll is the parent's. */
        slot->listed = false;
    }
    struct port *port = slot->port;
    disarm(slot);
    port->descriptors--;
    free_slot(slot);
    if (!port->inherited)
        show(port);
}
