/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Ports: create, send, alert, and getn.
 *
 * A port is an epoll, which the program can poll, and cannot read or write. It is readable while something is queued, by
 * an item of an eventfd that always is; and once something that is armed becomes ready, by that one's own item, which
 * then goes into the queue (`harvest`).
 */
#include "emulation.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct port ports[MOST_PORTS];
static unsigned highest_port;
static struct waiter waiters[1024];
static uint64_t waits;
static int beacons[2]; /* eventfds that always are readable */
static unsigned living; /* ports of this process's own */
static bool pumping;

enum { TICK = 10000000 }; /* of the clock, at hz 100: no wait is shorter (3.5) */

static int64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * INT64_C(1000000000) + time.tv_nsec;
}

/* ---- The queue ---------------------------------------------------------------------------------- */

static void set_shown(struct port *port, bool shown)
{
    /* Who watches the port for edges is told each time: by the other beacon, before this one goes. */
    bool again = shown && port->told != port->shown_told;
    if (port->shown == shown && !again)
        return;
    struct epoll_event item = {.events = EPOLLIN, .data.u64 = 0};
    if (shown && epoll_ctl(port->number, EPOLL_CTL_ADD, beacons[!port->beacon], &item) != 0)
        return;
    if (port->shown)
        epoll_ctl(port->number, EPOLL_CTL_DEL, beacons[port->beacon], NULL);
    port->beacon ^= shown;
    port->shown = shown;
    port->shown_told = port->told;
}

static bool has_waiters(const struct port *port)
{
    for (size_t i = 0; i < sizeof waiters / sizeof *waiters; i++)
        if (waiters[i].port == port)
            return true;
    return false;
}

/* The alert mode does not count (3.11), but ends waits. */
void show(struct port *port)
{
    set_shown(port, port->length > 0 || (port->alert && has_waiters(port)));
}

void enqueue(struct slot *slot, bool told)
{
    struct port *port = slot->port;
    port->told += told;
    if (slot->queued)
        return;
    slot->queued = true;
    slot->next = NULL;
    slot->previous = port->last;
    *(port->last ? &port->last->next : &port->first) = slot;
    port->last = slot;
    port->length++;
}

void dequeue(struct slot *slot)
{
    if (!slot->queued)
        return;
    struct port *port = slot->port;
    *(slot->previous ? &slot->previous->next : &port->first) = slot->next;
    *(slot->next ? &slot->next->previous : &port->last) = slot->previous;
    slot->queued = false;
    port->length--;
}

/* Fills an event with the oldest that is queued. What was sent has its slot back; a watch keeps it (2.4). */
static void take(struct port *port, port_event_t *event)
{
    struct slot *slot = port->first;
    if (slot->source == PORT_SOURCE_TIMER)
        look_at_timer(slot);
    dequeue(slot);
    *event = (port_event_t){slot->events, slot->source, 0, slot->object, slot->user};
    if (slot->source == PORT_SOURCE_USER)
        free_slot(slot);
    else if (slot->source == PORT_SOURCE_TIMER)
        slot->events = 0;
}

/* ---- The pump ----------------------------------------------------------------------------------- */

void harvest(struct port *port)
{
    struct pollfd entry = {.fd = port->number, .events = POLLIN};
    struct timespec at_once = {0, 0};
    /* (Where RLIMIT_NOFILE is 0 poll() refuses.) */
    if (port->watched == 0 || (!port->shown && syscall(SYS_ppoll, &entry, 1, &at_once, NULL, 8) == 0))
        return;
    /* What is taken out of the epoll must not leave it silent before it is in the queue. */
    set_shown(port, true);
    struct epoll_event found[64];
    int count = epoll_wait(port->number, found, 64, 0);
    for (int i = 0; i < count; i++) {
        if (found[i].data.u64 == FILES_KEY) {
            read_files(port);
            continue;
        }
        struct slot *slot = slot_of(found[i].data.u64);
        if (slot && slot->source == PORT_SOURCE_TIMER)
            look_at_timer(slot);
        else if (slot && slot->source == PORT_SOURCE_FD)
            descriptor_is_ready(slot, found[i].events);
    }
    show(port);
}

/* Sleeps until something that is watched becomes ready, or for some milliseconds: ports come and go. */
static void *pump(void *unused)
{
    static struct pollfd entries[256];
    (void)unused;
    for (int idle = 0; idle < 100;) {
        struct timespec pause = {0, 5000000};
        unsigned count = 0;
        struct entry entry = enter();
        idle++;
        for (unsigned i = 0; i < highest_port; i++) {
            struct port *port = &ports[i];
            if (!port->used || port->inherited || port->watched == 0)
                continue;
            idle = 0;
            harvest(port);
            if (port->shown)
                pause.tv_nsec = 1000000;
            else if (count < 256)
                entries[count++] = (struct pollfd){.fd = port->number, .events = POLLIN};
        }
        if (idle == 100)
            pumping = false;
        leave(entry);
        syscall(SYS_ppoll, entries, count, &pause, NULL, 8);
    }
    return NULL;
}

void start_pump(void)
{
    pthread_t thread;
    pthread_attr_t detached;
    if (pumping)
        return;
    /* No signal is for it: the mask is that of who is in the emulation. */
    pthread_attr_init(&detached);
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    pumping = pthread_create(&thread, &detached, pump, NULL) == 0;
    pthread_attr_destroy(&detached);
}

/* ---- Birth and end ------------------------------------------------------------------------------ */

static unsigned most_events(void)
{
    const char *limit = getenv("EVENT_PORT_LIMIT");
    return limit ? (unsigned)atoi(limit) : MOST_EVENTS;
}

/* They are there while a port of this process's is. */
static void light(void)
{
    for (int i = 0; i < 2 && living == 0; i++)
        beacons[i] = keep(eventfd(1, EFD_CLOEXEC));
    living++;
}

static void quench(void)
{
    living--;
    for (int i = 0; i < 2 && living == 0; i++)
        unkeep(beacons[i]);
}

int port_create(void)
{
    struct entry entry = enter();
    unsigned index = 0;
    while (index < MOST_PORTS && ports[index].used)
        index++;
    if (index == MOST_PORTS)
        return fail(entry, EAGAIN);
    if (!is_ours())
        return fail(entry, ENOMEM);
    int fd = epoll_create1(0);
    if (fd < 0)
        return fail(entry, errno);
    light();
    ports[index] = (struct port){.used = true, .number = fd, .copies = 1, .limit = most_events(), .inotify = -1};
    if (index >= highest_port)
        highest_port = index + 1;
    number(fd)->port = &ports[index];
    leave(entry);
    return fd;
}

/* Another descriptor is open on the port of `fd`. */
void note_copy(int fd, int copy)
{
    struct number *old = number(fd), *new = number(copy);
    if (old && new && old->port && new != old) {
        new->port = old->port;
        old->port->copies++;
    }
}

/* Waiters by this number come out, and close() does not return before they have (3.8). */
static void release(struct port *port, int fd)
{
    for (int turn = 0; turn < 2000; turn++) {
        bool any = false;
        for (size_t i = 0; i < sizeof waiters / sizeof *waiters; i++)
            if (waiters[i].port == port && waiters[i].number == fd)
                any = waiters[i].closed = true;
        if (!any)
            return;
        set_shown(port, true);
        struct entry held = {~UINT64_C(0), PTHREAD_CANCEL_DISABLE};
        leave(held);
        struct timespec pause = {0, 50000};
        syscall(SYS_nanosleep, &pause, NULL);
        enter();
    }
}

void forget_number(int fd)
{
    struct number *found = number(fd);
    if (!found)
        return;
    while (found->watchers)
        drop_descriptor(found->watchers);
    struct port *port = found->port;
    if (!port)
        return;
    found->port = NULL;
    if (port->inherited) {
        if (--port->copies == 0)
            port->used = false;
        return;
    }
    drop_all(port);
    release(port, fd);
    if (--port->copies == 0) {
        while (port->first)
            free_slot(port->first);
        port->used = false;
        quench();
        return;
    }
    if (port->number == fd)
        for (int other = 0; other < MOST_NUMBERS; other++)
            if (number(other)->port == port) {
                port->number = other;
                break;
            }
    show(port);
}

void drop_all(struct port *port)
{
    for (int fd = 0; port->descriptors > 0 && fd < MOST_NUMBERS; fd++)
        for (struct slot *slot = number(fd)->watchers, *other; slot; slot = other) {
            other = slot->other;
            if (slot->port == port)
                drop_descriptor(slot);
        }
    while (port->timers)
        drop_timer(port->timers);
    while (port->files)
        drop_file(port->files);
    show(port);
}

/* In the child of a fork: the parent's ports are there to be closed. */
void begin_child(struct number *numbers)
{
    (void)numbers;
    pumping = false;
    for (int i = 0; i < 2 && living > 0; i++)
        unkeep(beacons[i]);
    living = 0;
    for (unsigned i = 0; i < highest_port; i++) {
        struct port *port = &ports[i];
        port->inherited = port->used;
        if (!port->used)
            continue;
        for (struct slot *timer = port->timers; timer; timer = timer->other)
            unkeep(timer->helper);
        unkeep(port->inotify);
    }
    for (size_t i = 0; i < sizeof waiters / sizeof *waiters; i++)
        waiters[i].port = NULL;
}

/* ---- What is sent ------------------------------------------------------------------------------- */

static int send(int fd, int events, void *user)
{
    int error = 0;
    struct port *port = port_of(fd, &error);
    if (!port)
        return error;
    struct slot *slot = new_slot(port, PORT_SOURCE_USER);
    if (!slot)
        return EAGAIN;
    slot->events = events;
    slot->user = user;
    enqueue(slot, true);
    show(port);
    return 0;
}

int port_send(int fd, int events, void *user)
{
    struct entry entry = enter();
    int error = send(fd, events, user);
    if (error)
        return fail(entry, error);
    leave(entry);
    return 0;
}

int port_sendn(int fds[], int errors[], unsigned count, int events, void *user)
{
    int sent = 0;
    struct entry entry = enter();
    if (count == 0)
        return fail(entry, EINVAL);
    if (!fds || !errors)
        return fail(entry, EFAULT);
    int results[64];
    if (count > 64)
        return fail(entry, ENOMEM);
    for (unsigned i = 0; i < count; i++) {
        results[i] = send(fds[i], events, user);
        sent += results[i] == 0;
    }
    for (unsigned i = 0; i < count && sent < (int)count; i++)
        errors[i] = results[i];
    leave(entry);
    return sent;
}

int port_alert(int fd, int flags, int events, void *user)
{
    int error = 0;
    struct entry entry = enter();
    struct port *port = port_of(fd, &error);
    if (!port)
        return fail(entry, error);
    if (events == 0) {
        port->alert = 0;
    } else if (flags == PORT_ALERT_SET || (flags == PORT_ALERT_UPDATE && port->alert == 0)) {
        port->alert = events;
        port->alert_user = user;
        show(port);
    } else {
        return fail(entry, flags == PORT_ALERT_UPDATE ? EBUSY : EINVAL);
    }
    leave(entry);
    return 0;
}

/* ---- What is watched ---------------------------------------------------------------------------- */

int port_associate(int fd, int source, uintptr_t object, int events, void *user)
{
    int error = 0;
    struct entry entry = enter();
    struct port *port = port_of(fd, &error);
    if (port && source == PORT_SOURCE_FD)
        error = associate_descriptor(port, object, events, user);
    else if (port && source == PORT_SOURCE_FILE)
        error = associate_file(port, object, events, user);
    else if (port)
        error = EINVAL;
    if (error)
        return fail(entry, error);
    show(port);
    leave(entry);
    return 0;
}

/* In a child the parent's associations are there, and not its own to take away (2.5). */
static bool is_anothers(int fd, int source, uintptr_t object)
{
    struct number *found = is_ours() ? number(fd) : NULL;
    struct number *watched = object < MOST_NUMBERS ? number((int)object) : NULL;
    if (!found || !found->port || !found->port->inherited || source != PORT_SOURCE_FD || !watched)
        return false;
    struct slot *slot = watched->watchers;
    while (slot && slot->port != found->port)
        slot = slot->other;
    return slot != NULL;
}

int port_dissociate(int fd, int source, uintptr_t object)
{
    int error = 0;
    struct entry entry = enter();
    if (is_anothers(fd, source, object))
        return fail(entry, EACCES);
    struct port *port = port_of(fd, &error);
    if (port) {
        harvest(port);
        if (source == PORT_SOURCE_FD)
            error = dissociate_descriptor(port, object);
        else if (source == PORT_SOURCE_FILE)
            error = dissociate_file(port, object);
        else
            error = EINVAL;
        show(port);
    }
    if (error)
        return fail(entry, error);
    leave(entry);
    return 0;
}

/* ---- getn --------------------------------------------------------------------------------------- */

static struct waiter *new_waiter(struct port *port, int fd, unsigned wants)
{
    pid_t thread = (pid_t)syscall(SYS_gettid);
    struct waiter *found = NULL;
    for (size_t i = 0; i < sizeof waiters / sizeof *waiters; i++) {
        /* One that left by siglongjmp() is not there any more. */
        if (waiters[i].port && waiters[i].thread == thread)
            waiters[i].port = NULL;
        if (!waiters[i].port && !found)
            found = &waiters[i];
    }
    if (found)
        *found = (struct waiter){port, fd, thread, wants, ++waits, false};
    return found;
}

/* 3.9: the one that wants least, and of those the last to come. */
static bool is_first(const struct waiter *waiter)
{
    for (size_t i = 0; i < sizeof waiters / sizeof *waiters; i++) {
        const struct waiter *other = &waiters[i];
        if (other->port == waiter->port && other != waiter &&
            (other->wants < waiter->wants || (other->wants == waiter->wants && other->came > waiter->came)))
            return false;
    }
    return true;
}

/*
 * Sleeps with the caller's mask until the port may have enough. False: a handler has run. Who cannot have what there is
 * looks again by the clock: the epoll goes on being readable.
 */
static bool sleep_on(struct port *port, int fd, bool by_clock, int64_t deadline, struct entry entry)
{
    int64_t left = deadline - now();
    if (left < 0)
        left = 0;
    if (by_clock && left > 1000000)
        left = 1000000;
    struct timespec time = {left / 1000000000, left % 1000000000};
    struct pollfd one = {.fd = fd, .events = POLLIN};
    struct entry held = {~UINT64_C(0), PTHREAD_CANCEL_DISABLE};
    (void)port;
    leave(held);
    bool slept = syscall(SYS_ppoll, &one, by_clock ? 0 : 1, deadline == INT64_MAX && !by_clock ? NULL : &time,
                         &entry.mask, sizeof entry.mask) >= 0;
    enter();
    return slept;
}

int port_getn(int fd, port_event_t list[], unsigned max, unsigned *nget, struct timespec *timeout)
{
    int error = 0;
    struct entry entry = enter();
    struct port *port = port_of(fd, &error);
    if (!port)
        return fail(entry, error);
    harvest(port);
    /* 3.1, in that order */
    if (!nget || (max > 0 && *nget > max))
        return fail(entry, EINVAL);
    if (max == 0) {
        *nget = port->length;
        leave(entry);
        return 0;
    }
    if (!list)
        return fail(entry, EFAULT);
    if (*nget == 0) {
        leave(entry);
        return 0;
    }
    int64_t deadline = INT64_MAX;
    bool at_once = false;
    struct waiter *waiter = NULL;
    for (;;) {
        if (waiter && waiter->closed) {
            error = EBADF;
            break;
        }
        if (port->alert) {
            list[0] = (port_event_t){port->alert, PORT_SOURCE_ALERT, 0, 0, port->alert_user};
            *nget = 1;
            break;
        }
        bool enough = port->length >= *nget && (!waiter || is_first(waiter));
        bool over = at_once || (waiter && now() >= deadline);
        if (enough || over) {
            if (!enough && !at_once)
                error = PORT_ETIME;
            for (*nget = 0; *nget < max && port->first; ++*nget)
                take(port, &list[*nget]);
            break;
        }
        if (!waiter) {
            if (timeout && (timeout->tv_sec < 0 || timeout->tv_nsec < 0 || timeout->tv_nsec >= 1000000000)) {
                error = EINVAL;
                break;
            }
            if (timeout) {
                int64_t time = timeout->tv_sec * INT64_C(1000000000) + timeout->tv_nsec;
                at_once = time == 0;
                deadline = now() + (time < TICK ? TICK : time);
            }
            if (at_once)
                continue;
            waiter = new_waiter(port, fd, *nget);
            if (!waiter) {
                error = ENOMEM;
                break;
            }
        }
        bool slept = sleep_on(port, fd, port->length > 0, deadline, entry);
        if (!slept && !waiter->closed) {
            error = EINTR;
            break;
        }
        if (!waiter->closed)
            harvest(port);
    }
    if (waiter)
        waiter->port = NULL;
    if (port->used)
        show(port);
    if (error)
        return fail(entry, error);
    leave(entry);
    return 0;
}

int port_get(int fd, port_event_t *event, struct timespec *timeout)
{
    unsigned one = 1;
    /* 3.10: with nothing there and no time to wait it says 0, and has filled nothing. */
    return port_getn(fd, event, 1, &one, timeout);
}

/* ---- poll(), for calls.c ------------------------------------------------------------------------ */

/* How often who polls the port was told; `*ready`: something is queued. */
uint64_t times_told(int fd, bool *is_port, bool *ready)
{
    int error;
    struct port *port = port_of(fd, &error);
    *is_port = port != NULL;
    if (!port)
        return 0;
    harvest(port);
    *ready = port->length > 0;
    return port->told;
}

/* How many events are queued; -1: it is no port. */
long queue_length(int fd)
{
    bool is_port, ready;
    times_told(fd, &is_port, &ready);
    return is_port ? (long)number(fd)->port->length : -1;
}
