/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of the emulation share. README says how it works. */
#ifndef EMULATION_H
#define EMULATION_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "port.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

/* The kernel's: project.max-port-ids, process.max-port-events, timer_max. */
enum { MOST_PORTS = 8192, MOST_EVENTS = 65536, MOST_TIMERS = 32, MOST_NUMBERS = 1 << 20 };

/*
 * One slot of a port: an event that was sent, or something that is watched, with its event where that is queued. Slots
 * come from a pool that is mapped once: a signal handler may send.
 */
struct slot {
    struct slot *next, *previous; /* in the port's queue, while `queued` */
    struct slot *other;           /* the next one that is about the same number, or in the port's list of its kind */
    struct port *port;            /* NULL: free */
    uint32_t birth;               /* tells it from an earlier one in the same place */
    unsigned short source;
    bool queued, armed, listed; /* listed: the epoll has an item for it */
    int wanted, events;
    uintptr_t object;
    void *user;
    int helper;     /* a timer's timerfd; a file's inotify watch */
    int parent;     /* a file's watch on the directory that its name is in */
    bool named;     /* a file that is watched by its own name */
    bool directory; /* it is one */
    int64_t size, modified; /* of a file, when it was last looked at */
    char name[256];
};

struct port {
    bool used;
    bool inherited; /* the parent's: in a child nothing but close() works */
    bool shown;     /* the epoll is readable because something is queued */
    int number;     /* a descriptor that is open on it */
    int copies;     /* how many are */
    struct slot *first, *last;
    unsigned length, slots, limit;
    unsigned watched; /* what the pump has to look at */
    unsigned descriptors; /* associations, armed or not */
    struct slot *timers, *files;
    int inotify;
    bool had_files; /* it has watched a file at some time */
    int alert; /* the events of the alert mode; 0: not in it */
    void *alert_user;
    uint64_t told; /* how often a thread that polls the port was told of something (3.12) */
    uint64_t shown_told; /* how often when it was last shown */
    bool beacon; /* by which of the two */
};

/* A thread in port_getn(). */
struct waiter {
    struct port *port; /* NULL: free */
    int number;
    pid_t thread;
    unsigned wants;
    uint64_t came;
    bool closed;
};

/* What is known of a descriptor number. */
struct number {
    struct port *port;
    struct slot *watchers;
};

/* Every entry point is between these two: no handler runs in it, and no thread is cancelled there. */
struct entry {
    uint64_t mask;
    int cancel;
};
struct entry enter(void);
void leave(struct entry);
/* leave(), and -1 with that errno. */
int fail(struct entry, int error);

/* Whether the memory is this process's: it is not in a child that knows nothing of its birth. */
bool is_ours(void);
struct number *number(int fd);
/* The port that is open under the number; else `*error` is EBADF or EBADFD. */
struct port *port_of(int fd, int *error);
struct slot *new_slot(struct port *, unsigned short source);
void free_slot(struct slot *);
/* Puts the slot at the tail of its port's queue. `told`: a thread that polls is told. */
void enqueue(struct slot *, bool told);
void dequeue(struct slot *);
/* Makes the port's descriptor readable if and only if something is queued. */
void show(struct port *);
/* What goes into an epoll for a slot, and the way back; NULL: it is not that one any more. */
uint64_t key_of(const struct slot *);
struct slot *slot_of(uint64_t key);

/* Queues what has happened since. The pump does that all the time, and every call for the port it is about. */
void harvest(struct port *);
void start_pump(void);
/* The kernel's close of the number, without the closing: associations and ports go. */
void forget_number(int fd);
/* A descriptor of the emulation's own, out of the way; the program cannot close it. */
int keep(int fd);
bool is_kept(int fd);
void unkeep(int fd);
int raw_close(int fd);

int associate_descriptor(struct port *, uintptr_t object, int events, void *user);
int dissociate_descriptor(struct port *, uintptr_t object);
void descriptor_is_ready(struct slot *, uint32_t events);
void drop_descriptor(struct slot *);

int associate_file(struct port *, uintptr_t object, int events, void *user);
int dissociate_file(struct port *, uintptr_t object);
void read_files(struct port *);
void drop_file(struct slot *);

/* Takes up what has expired since. */
void look_at_timer(struct slot *);
void drop_timer(struct slot *);

/* Everything that this process made there goes. */
void drop_all(struct port *);

#define FILES_KEY (~UINT64_C(0) - 1)

#endif
