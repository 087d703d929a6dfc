/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Event ports as illumos declares them (port_create(3C), port_associate(3C), port_get(3C), port_send(3C),
 * port_alert(3C); sys/port.h), for the emulation and its tests. The names of system calls that Linux has with other
 * types begin with `port_` here: the timers' sigevent is another one there.
 */
#ifndef PORT_H
#define PORT_H

#include <stdint.h>
#include <sys/types.h>
#include <time.h>

enum { PORT_SOURCE_TIMER = 2, PORT_SOURCE_USER = 3, PORT_SOURCE_FD = 4, PORT_SOURCE_ALERT = 5, PORT_SOURCE_FILE = 7 };
enum { PORT_ALERT_SET = 1, PORT_ALERT_UPDATE = 2, PORT_ALERT_INVALID = 3 };

/* errno.h */
#define PORT_ETIME 62
#define PORT_EBADFD 81

/* sys/poll.h, which differs from Linux's in the last one */
#define PORT_POLLIN 1
#define PORT_POLLPRI 2
#define PORT_POLLOUT 4
#define PORT_POLLERR 8
#define PORT_POLLHUP 0x10
#define PORT_POLLRDHUP 0x4000

/* sys/stat.h */
#define S_IFPORT 0xe000

/* sys/port.h: of a file */
#define FILE_ACCESS 0x1
#define FILE_MODIFIED 0x2
#define FILE_ATTRIB 0x4
#define FILE_DELETE 0x10
#define FILE_RENAME_TO 0x20
#define FILE_RENAME_FROM 0x40
#define FILE_TRUNC 0x100000
#define FILE_NOFOLLOW 0x10000000

typedef struct {
    int portev_events;
    unsigned short portev_source;
    unsigned short portev_pad;
    uintptr_t portev_object;
    void *portev_user;
} port_event_t;

typedef struct {
    int portnfy_port;
    void *portnfy_user;
} port_notify_t;

typedef struct {
    struct timespec fo_atime, fo_mtime, fo_ctime;
    uintptr_t fo_pad[3];
    char *fo_name;
} file_obj_t;

_Static_assert(sizeof(port_event_t) == 24 && sizeof(port_notify_t) == 16 && sizeof(file_obj_t) == 80, "LP64");

int port_create(void);
int port_associate(int port, int source, uintptr_t object, int events, void *user);
int port_dissociate(int port, int source, uintptr_t object);
int port_getn(int port, port_event_t list[], unsigned max, unsigned *nget, struct timespec *timeout);
int port_get(int port, port_event_t *event, struct timespec *timeout);
int port_send(int port, int events, void *user);
int port_sendn(int ports[], int errors[], unsigned count, int events, void *user);
int port_alert(int port, int flags, int events, void *user);

/* timer_create() with SIGEV_PORT, and what is done to such a timer. */
int port_timer_create(clockid_t clock, const port_notify_t *notify, int *timer);
int port_timer_settime(int timer, int flags, const struct itimerspec *value, struct itimerspec *old);
int port_timer_delete(int timer);

#endif
