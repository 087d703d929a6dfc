/* SPDX-License-Identifier: BSD-2-Clause */
/* The emulation's own memory: the lock, numbers, slots, ports. */
#include "emulation.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { MOST_SLOTS = 1 << 18 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct number *numbers;
static struct slot *slots;
static unsigned used_slots;
static struct slot *free_slots;
static pid_t owner;

static void *map(size_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

static void prepare(void);
static void parent(void);
static void child(void);

/* Before the program, and before the library that is tested, so that its own fork handlers run inside of these. */
__attribute__((constructor(101))) static void begin(void)
{
    numbers = map(MOST_NUMBERS * sizeof *numbers);
    slots = map(MOST_SLOTS * sizeof *slots);
    owner = getpid();
    pthread_atfork(prepare, parent, child);
}

static long change_mask(uint64_t new, uint64_t *old)
{
    return syscall(SYS_rt_sigprocmask, SIG_SETMASK, &new, old, sizeof new);
}

struct entry enter(void)
{
    struct entry entry = {0};
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &entry.cancel);
    change_mask(~UINT64_C(0), &entry.mask);
    pthread_mutex_lock(&lock);
    return entry;
}

void leave(struct entry entry)
{
    int error = errno;
    pthread_mutex_unlock(&lock);
    change_mask(entry.mask, NULL);
    pthread_setcancelstate(entry.cancel, &entry.cancel);
    errno = error;
}

int fail(struct entry entry, int error)
{
    leave(entry);
    errno = error;
    return -1;
}

bool is_ours(void)
{
    return numbers && slots && owner == getpid();
}

struct number *number(int fd)
{
    return fd >= 0 && fd < MOST_NUMBERS ? &numbers[fd] : NULL;
}

struct port *port_of(int fd, int *error)
{
    struct number *found = is_ours() ? number(fd) : NULL;
    if (found && found->port && !found->port->inherited)
        return found->port;
    *error = fcntl(fd, F_GETFD) == -1 || (found && found->port) ? EBADF : PORT_EBADFD;
    return NULL;
}

struct slot *new_slot(struct port *port, unsigned short source)
{
    if (port->slots >= port->limit)
        return NULL;
    struct slot *slot = free_slots;
    if (slot)
        free_slots = slot->next;
    else if (used_slots < MOST_SLOTS)
        slot = &slots[used_slots++];
    else
        return NULL;
    *slot = (struct slot){.port = port, .source = source, .birth = slot->birth + 1, .helper = -1, .parent = -1};
    port->slots++;
    return slot;
}

void free_slot(struct slot *slot)
{
    dequeue(slot);
    slot->port->slots--;
    slot->port = NULL;
    slot->next = free_slots;
    free_slots = slot;
}

uint64_t key_of(const struct slot *slot)
{
    return (uint64_t)slot->birth << 32 | (uint64_t)(slot - slots + 1);
}

struct slot *slot_of(uint64_t key)
{
    uint64_t index = (key & UINT32_MAX) - 1;
    struct slot *slot = index < used_slots ? &slots[index] : NULL;
    return slot && slot->port && slot->birth == key >> 32 ? slot : NULL;
}

/* ---- The emulation's own descriptors ------------------------------------------------------------ */

static bool kept[MOST_NUMBERS];

int keep(int fd)
{
    if (fd < 0)
        return -1;
    int high = (int)syscall(SYS_fcntl, fd, F_DUPFD_CLOEXEC, 600);
    if (high < 0)
        high = (int)syscall(SYS_fcntl, fd, F_DUPFD_CLOEXEC, 3);
    raw_close(fd);
    if (high >= 0 && high < MOST_NUMBERS)
        kept[high] = true;
    return high;
}

bool is_kept(int fd)
{
    return fd >= 0 && fd < MOST_NUMBERS && kept[fd];
}

void unkeep(int fd)
{
    if (is_kept(fd)) {
        kept[fd] = false;
        raw_close(fd);
    }
}

int raw_close(int fd)
{
    return (int)syscall(SYS_close, fd);
}

/* ---- fork: what the parent made is not the child's, but for the numbers, which it may close ------ */

static struct entry forking;

static void prepare(void)
{
    forking = enter();
}

static void parent(void)
{
    leave(forking);
}

void begin_child(struct number *numbers);

static void child(void)
{
    owner = getpid();
    begin_child(numbers);
    leave(forking);
}
