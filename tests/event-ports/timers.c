/* SPDX-License-Identifier: BSD-2-Clause */
/* PORT_SOURCE_TIMER: a timerfd in the port's epoll. */
#include "emulation.h"

#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

static struct slot *timers[MOST_TIMERS + 1];

static struct slot *timer_of(int timer)
{
    return is_ours() && timer > 0 && timer <= MOST_TIMERS ? timers[timer] : NULL;
}

int port_timer_create(clockid_t clock, const port_notify_t *notify, int *timer)
{
    int error = 0, id = 1;
    struct entry entry = enter();
    struct port *port = port_of(notify->portnfy_port, &error);
    if (!port)
        return fail(entry, error);
    while (id <= MOST_TIMERS && timers[id])
        id++;
    struct slot *slot = id <= MOST_TIMERS ? new_slot(port, PORT_SOURCE_TIMER) : NULL;
    if (!slot)
        return fail(entry, EAGAIN);
    slot->object = (uintptr_t)id;
    slot->user = notify->portnfy_user;
    slot->helper = keep(timerfd_create(clock, TFD_NONBLOCK | TFD_CLOEXEC));
    struct epoll_event item = {.events = EPOLLIN, .data.u64 = key_of(slot)};
    if (slot->helper < 0 || epoll_ctl(port->number, EPOLL_CTL_ADD, slot->helper, &item) != 0) {
        unkeep(slot->helper);
        free_slot(slot);
        return fail(entry, EAGAIN);
    }
    slot->other = port->timers;
    port->timers = timers[id] = slot;
    port->watched++;
    start_pump();
    *timer = id;
    leave(entry);
    return 0;
}

void look_at_timer(struct slot *slot)
{
    uint64_t expirations = 0;
    if (read(slot->helper, &expirations, sizeof expirations) == sizeof expirations && expirations > 0) {
        slot->events += (int)expirations;
        enqueue(slot, true);
    }
}

int port_timer_settime(int timer, int flags, const struct itimerspec *value, struct itimerspec *old)
{
    struct entry entry = enter();
    struct slot *slot = timer_of(timer);
    if (!slot)
        return fail(entry, EINVAL);
    /* What it has queued already stays. */
    look_at_timer(slot);
    show(slot->port);
    if (timerfd_settime(slot->helper, flags & TIMER_ABSTIME ? TFD_TIMER_ABSTIME : 0, value, old) != 0)
        return fail(entry, errno);
    leave(entry);
    return 0;
}

void drop_timer(struct slot *slot)
{
    struct port *port = slot->port;
    struct slot **place = &port->timers;
    while (*place != slot)
        place = &(*place)->other;
    *place = slot->other;
    timers[slot->object] = NULL;
    if (!port->inherited) {
        epoll_ctl(port->number, EPOLL_CTL_DEL, slot->helper, NULL);
        unkeep(slot->helper);
    }
    port->watched--;
    free_slot(slot);
}

int port_timer_delete(int timer)
{
    struct entry entry = enter();
    struct slot *slot = timer_of(timer);
    if (!slot)
        return fail(entry, EINVAL);
    struct port *port = slot->port;
    drop_timer(slot);
    show(port);
    leave(entry);
    return 0;
}
