/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Random sequences of changes, I/O and collections, the same in every run, held against what must be true
 * of all of them. The output of a failed case is the sequence that led there.
 */
#define SUITE "sequence"
#include "suite.h"

#include "sockets.h"

#include <stdio.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

static const struct timespec no_wait = {0, 0};

static uint64_t state;

static unsigned pick(unsigned n)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (unsigned)((state >> 33) % n);
}

/* What the sequences play with: both ends of two connections, and a few user events. */
enum { ENDS = 4, ROOM = 32, CHANGES = 6 };

static int ends[ENDS];
static int queued[ENDS]; /* bytes to read at each end */

static void new_ends(void)
{
    for (int i = 0; i < ENDS; i += 2)
        socket_pair(&ends[i]);
    memset(queued, 0, sizeof queued);
}

/* A sequence begins: what the former ones printed is no longer of interest. */
static void begin(unsigned seed, uint64_t factor)
{
    OK(ftruncate(STDOUT_FILENO, 0));
    printf("seed %u\n", seed);
    state = seed * factor;
    new_ends();
}

static void close_ends(void)
{
    for (int i = 0; i < ENDS; i++)
        OK(close(ends[i]));
}

static struct kevent random_change(int with_errors)
{
    static const unsigned short actions[] = {
        EV_ADD, EV_ADD, EV_ADD, EV_DELETE, EV_ENABLE, EV_ENABLE, EV_DISABLE, 0, EV_ADD | EV_DISABLE,
    };
    static const unsigned short modes[] = {0, EV_CLEAR, EV_ONESHOT, EV_DISPATCH};
    unsigned short flags = actions[pick(COUNT(actions))];
    uintptr_t udata = pick(1000) + 1;
    if (flags & EV_ADD)
        flags |= modes[pick(COUNT(modes))];
    else if (pick(8) == 0)
        flags |= EV_KEEPUDATA;
    if (with_errors && pick(12) == 0)
        flags |= EV_ENABLE | EV_DISABLE;
    if (with_errors && pick(8) == 0)
        flags |= EV_RECEIPT;
    if (pick(4) == 0)
        return EVENT(pick(3), EVFILT_USER, flags, pick(2) ? NOTE_TRIGGER : 0, pick(50), udata);
    short filter = pick(2) ? EVFILT_READ : EVFILT_WRITE;
    unsigned mark = filter == EVFILT_READ && pick(4) == 0 ? 1 + pick(6) : 0;
    return EVENT(ends[pick(ENDS)], filter, flags, mark ? NOTE_LOWAT : 0, mark, udata);
}

/* Moves some bytes, or none. */
static void random_io(void)
{
    unsigned from = pick(ENDS);
    if (pick(3) == 0) {
        int n = queued[from] ? (int)pick((unsigned)queued[from] + 1) : 0;
        take(ends[from], (size_t)n);
        queued[from] -= n;
        printf("take %d from %d\n", n, ends[from]);
    } else if (pick(2) == 0) {
        int n = 1 + (int)pick(4);
        if (queued[from ^ 1] > 40)
            return;
        put(ends[from], (size_t)n);
        queued[from ^ 1] += n;
        printf("put %d into %d\n", n, ends[from]);
    }
}

static void print_event(const char *what, const struct kevent *ev)
{
    printf("%s ident %ju filter %d flags %#x fflags %#x data %jd udata %ju\n", what, (uintmax_t)ev->ident, ev->filter,
           ev->flags, ev->fflags, (intmax_t)ev->data, (uintmax_t)(uintptr_t)ev->udata);
}

static int order(const void *a, const void *b)
{
    const struct kevent *left = a, *right = b;
    if (left->filter != right->filter)
        return left->filter < right->filter ? -1 : 1;
    return left->ident < right->ident ? -1 : left->ident > right->ident;
}

static void same_events(struct kevent *a, int na, struct kevent *b, int nb, const char *which)
{
    qsort(a, (size_t)na, sizeof *a, order);
    qsort(b, (size_t)nb, sizeof *b, order);
    for (int i = 0; i < na; i++)
        print_event("  one call:   ", &a[i]);
    for (int i = 0; i < nb; i++)
        print_event("  one by one: ", &b[i]);
    if (na != nb)
        FAIL("%s: %d from one changelist, %d from changes one by one", which, na, nb);
    for (int i = 0; i < na; i++)
        EXPECT_EVENT(a[i], b[i].ident, b[i].filter, b[i].flags, b[i].fflags, b[i].data, b[i].udata);
}

/* 1.2 A changelist does what its changes do one by one: errors, receipts and the events that follow. */
TEST_LIMIT(changelist_is_its_changes, "1.2 1.5 1.7 2.1 2.3 2.5 2.6 2.14 10.8", 60)
{
    for (unsigned seed = 1; seed <= 300; seed++) {
        int whole = queue(), single = queue();
        begin(seed, UINT64_C(0x9E3779B97F4A7C15));
            for (int step = 0; step < 20; step++) {
            struct kevent changes[CHANGES], a[ROOM], b[ROOM];
            int count = 1 + (int)pick(CHANGES), na, nb = 0;
            for (int i = 0; i < count; i++) {
                changes[i] = random_change(1);
                print_event("change", &changes[i]);
            }
            /* All in one call: entries, or else events. */
            na = OK(kevent(whole, changes, count, a, ROOM, &no_wait));
            for (int i = 0; i < count; i++) {
                struct kevent entry;
                errno = 0;
                int n = kevent(single, &changes[i], 1, NULL, 0, NULL);
                CHECK(n == 0 || n == -1);
                if (n == -1 || (changes[i].flags & EV_RECEIPT)) {
                    entry = changes[i];
                    entry.flags |= EV_ERROR;
                    entry.data = n == -1 ? errno : 0;
                    b[nb++] = entry;
                }
            }
            if (nb > 0) {
                if (na != nb)
                    FAIL("%d entries, expected %d", na, nb);
                for (int i = 0; i < nb; i++)
                    EXPECT_EVENT(a[i], b[i].ident, b[i].filter, b[i].flags, b[i].fflags, b[i].data, b[i].udata);
                na = OK(kevent(whole, NULL, 0, a, ROOM, &no_wait));
            }
            nb = OK(kevent(single, NULL, 0, b, ROOM, &no_wait));
            same_events(a, na, b, nb, "events");
            random_io();
            random_io();
        }
        OK(close(whole));
        OK(close(single));
        close_ends();
    }
}

/* 10.5 Whatever happened: readable if kevent returns something (poll, an outer kqueue), not after it returned 0. */
TEST_LIMIT(readable_says_what_kevent_returns, "10.5 3.8 1.14", 60)
{
    for (unsigned seed = 1; seed <= 300; seed++) {
        int kq = queue(), outer = queue();
        begin(seed, UINT64_C(0xD1342543DE82EF95));
            change(outer, kq, EVFILT_READ, EV_ADD, 0, 0, 1);
        for (int step = 0; step < 40; step++) {
            struct kevent change = random_change(0), ev[ROOM];
            print_event("change", &change);
            kevent(kq, &change, 1, NULL, 0, NULL);
            random_io();
            random_io();
            int room = pick(3) ? ROOM : 1 + (int)pick(2);
            int polled = readable(kq);
            int heard = OK(kevent(outer, NULL, 0, ev, ROOM, &no_wait));
            int n = OK(kevent(kq, NULL, 0, ev, room, &no_wait));
            printf("poll %d, outer %d, kevent %d of %d\n", polled, heard, n, room);
            for (int i = 0; i < n; i++)
                print_event("event", &ev[i]);
            if (n > 0 && !polled)
                FAIL("seed %u step %d: kevent returned %d and poll said nothing", seed, step, n);
            if (n > 0 && !heard)
                FAIL("seed %u step %d: kevent returned %d and the outer kqueue said nothing", seed, step, n);
            if (n == 0 && readable(kq))
                FAIL("seed %u step %d: readable after a kevent that returned 0", seed, step);
            if (n == 0)
                nothing(outer);
        }
        OK(close(kq));
        OK(close(outer));
        close_ends();
    }
}

/* 1.12 With room for one or two, the same events come as with room for all: none is lost, none repeated. */
TEST_LIMIT(short_lists_return_the_same, "1.12 1.14 2.7 2.8 2.9", 60)
{
    for (unsigned seed = 1; seed <= 300; seed++) {
        int wide = queue(), narrow = queue();
        begin(seed, UINT64_C(0xA0761D6478BD642F));
            for (int step = 0; step < 20; step++) {
            struct kevent a[ROOM], b[ROOM];
            int na, nb = 0;
            for (int i = 0; i < 4; i++) {
                struct kevent change = random_change(0);
                print_event("change", &change);
                int one = kevent(wide, &change, 1, NULL, 0, NULL);
                CHECK_EQ(kevent(narrow, &change, 1, NULL, 0, NULL), one);
            }
            random_io();
            random_io();
            na = OK(kevent(wide, NULL, 0, a, ROOM, &no_wait));
            /* Level knotes come again: until each of the expected was there, and no more than fair (1.12). */
            for (int calls = 0; calls < 4 * na + 4; calls++) {
                struct kevent some[2];
                int n = OK(kevent(narrow, NULL, 0, some, 1 + (int)pick(2), &no_wait));
                for (int i = 0; i < n; i++) {
                    int known = 0;
                    for (int j = 0; j < nb; j++)
                        known |= b[j].ident == some[i].ident && b[j].filter == some[i].filter;
                    if (known && (some[i].flags & (EV_CLEAR | EV_ONESHOT | EV_DISPATCH)))
                        FAIL("seed %u step %d: an event came twice", seed, step);
                    if (!known) {
                        CHECK(nb < ROOM);
                        b[nb++] = some[i];
                    }
                }
            }
            same_events(a, na, b, nb, "wide and narrow");
        }
        OK(close(wide));
        OK(close(narrow));
        close_ends();
    }
}
