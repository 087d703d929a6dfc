/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Were threads inside kevent() together? A case about threads proves little where they took turns, so every call of
 * kevent(), change() and change_errno() in a file that includes this is counted, and the case ends with
 *
 *     were_together(20);
 *
 * which prints how many calls found another thread inside, and fails where they were less than 20 in a hundred. Not
 * for threads that leave a call by cancellation or siglongjmp(): they stay counted as inside.
 */
#ifndef TOGETHER_H
#define TOGETHER_H

#include <stdatomic.h>
#include <stdio.h>

static struct {
    atomic_int inside;
    atomic_long calls;
    atomic_long met; /* calls that found another thread inside */
} together;

static inline void together_enter(void)
{
    atomic_fetch_add_explicit(&together.calls, 1, memory_order_relaxed);
    if (atomic_fetch_add_explicit(&together.inside, 1, memory_order_relaxed) > 0)
        atomic_fetch_add_explicit(&together.met, 1, memory_order_relaxed);
}

static inline void together_leave(void)
{
    atomic_fetch_sub_explicit(&together.inside, 1, memory_order_relaxed);
}

static inline int together_kevent(int kq, const struct kevent *changes, int nchanges, struct kevent *events, int nevents,
                                  const struct timespec *timeout)
{
    together_enter();
    int n = kevent(kq, changes, nchanges, events, nevents, timeout);
    together_leave(); /* touches no errno */
    return n;
}

static inline void together_change(const char *file, int line, int kq, struct kevent change)
{
    together_enter();
    suite_change(file, line, kq, change);
    together_leave();
}

static inline int together_change_errno(const char *file, int line, int kq, struct kevent change)
{
    together_enter();
    int error = suite_change_errno(file, line, kq, change);
    together_leave();
    return error;
}

#define kevent(...) together_kevent(__VA_ARGS__)
#undef change
#define change(kq, ident, filter, flags, fflags, data, udata)                                               \
    together_change(__FILE__, __LINE__, kq, EVENT(ident, filter, flags, fflags, data, udata))
#undef change_errno
#define change_errno(kq, ident, filter, flags, fflags, data, udata)                                         \
    together_change_errno(__FILE__, __LINE__, kq, EVENT(ident, filter, flags, fflags, data, udata))

/* At the end of a case, when its threads have ended. Begins to count anew. */
#define were_together(percent)                                                                              \
    do {                                                                                                    \
        long calls_ = atomic_exchange(&together.calls, 0), met_ = atomic_exchange(&together.met, 0);        \
        printf("%ld calls, %ld of them with another thread inside\n", calls_, met_);                        \
        CHECK_GE(met_ * 100, (percent) * calls_);                                                           \
        CHECK_GE(met_, 1);                                                                                  \
    } while (0)

#endif
