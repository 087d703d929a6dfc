/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What Rust cannot say: a blocking call that pthread_cancel() may unwind through, weak references to functions that
 * an older libc lacks, and what only some libcs have.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <link.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

extern int epoll_pwait2(int, struct epoll_event *, int, const struct timespec *, const sigset_t *)
    __attribute__((weak));

/*
 * The system call, for a libc that lacks the function and for fully static programs, which a weak reference brings
 * nothing into. A cancellation point all the same, made as libc makes its own.
 */
static int raw_pwait2(int epfd, struct epoll_event *events, int room, const struct timespec *timeout,
    const sigset_t *mask)
{
	int n, type;

	pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &type);
	n = (int)syscall(SYS_epoll_pwait2, epfd, events, room, timeout, mask, (size_t)(_NSIG / 8));
	pthread_setcanceltype(type, &type);
	return n;
}

/* Set once the kernel, or a sandbox, has refused epoll_pwait2. */
static int refused;

static int milliseconds(const struct timespec *t)
{
	if (t == NULL)
		return -1;
	if (t->tv_sec >= INT_MAX / 1000)
		return INT_MAX;
	/* Rounded up: the caller looks at the clock and would come back for the rest. */
	return (int)(t->tv_sec * 1000 + (t->tv_nsec + 999999) / 1000000);
}

/* Waits as epoll_pwait2 does: timeout NULL for ever, mask NULL the thread's own. A cancellation point. */
int kq_epoll_wait(int epfd, struct epoll_event *events, int room, const struct timespec *timeout,
    const sigset_t *mask)
{
	if (timeout != NULL && (timeout->tv_sec != 0 || timeout->tv_nsec != 0) &&
	    !__atomic_load_n(&refused, __ATOMIC_RELAXED)) {
		int n = (epoll_pwait2 != NULL ? epoll_pwait2 : raw_pwait2)(epfd, events, room, timeout, mask);
		if (n != -1 || (errno != ENOSYS && errno != EPERM))
			return n;
		__atomic_store_n(&refused, 1, __ATOMIC_RELAXED);
	}
	if (mask != NULL)
		return epoll_pwait(epfd, events, room, milliseconds(timeout), mask);
	return epoll_wait(epfd, events, room, milliseconds(timeout));
}

#ifdef __GLIBC__
/* A fully static program has but one namespace. */
#pragma weak dladdr1
#endif

/*
 * Not in one that dlmopen() made, with a libc of its own: there we may come before that one, but not before the
 * program's.
 */
int kq_is_in_programs_namespace(void)
{
#ifdef __GLIBC__
	static const char here;
	struct link_map *map;
	Dl_info info;
	Lmid_t namespace;

	if (dladdr1 != NULL && dladdr1(&here, &info, (void **)&map, RTLD_DL_LINKMAP) != 0 &&
	    dlinfo(map, RTLD_DI_LMID, &namespace) == 0)
		return namespace == LM_ID_BASE;
#endif
	return 1;
}
