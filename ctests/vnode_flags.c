/* SPDX-License-Identifier: BSD-2-Clause */
/* EVFILT_VNODE: what the EV_ flags of a change do (section 2; 5.1, 5.4). */
#define SUITE "vnode_flags"
#include "suite.h"

#include "vnodes.h"

#ifdef EVFILT_VNODE

enum { SIZE = 10 };

#define GROWTH (NOTE_WRITE | NOTE_EXTEND)

/* ---- 2.1 EV_ADD on a knote that exists ------------------------------------------------------------ */

/* 2.1 It updates udata and fflags, never the flags, and duplicates nothing. */
TEST(add_again_updates, "2.1 1.11 1.15")
{
    int kq = queue(), fd = new_file("file", SIZE);
    watch(kq, fd, NOTE_WRITE, 1);
    change(kq, fd, EVFILT_VNODE, EV_ADD, NOTE_ATTRIB, 0, 2);
    overwrite(fd);
    silent(kq);
    OK(fchmod(fd, 0600));
    EXPECT_NOTES(kq, fd, NOTE_ATTRIB, 2);
    change(kq, fd, EVFILT_VNODE, EV_ADD | EV_ONESHOT, NOTE_ATTRIB | NOTE_WRITE, 0, 3);
    overwrite(fd);
    EXPECT_NOTES(kq, fd, NOTE_WRITE, 3);
    OK(fchmod(fd, 0600));
    EXPECT_NOTES(kq, fd, NOTE_ATTRIB, 3);
    silent(kq);
    change(kq, fd, EVFILT_VNODE, EV_DELETE, 0, 0, 0);
    CHECK_EQ(change_errno(kq, fd, EVFILT_VNODE, EV_DELETE, 0, 0, 0), ENOENT);
    overwrite(fd);
    nothing(kq);
}

/* 2.1 5.1 What is pending is not lost, and not withdrawn when the wish changes; udata is the new one. */
TEST(pending_survives_another_wish, "2.1 5.1")
{
    int kq = queue(), fd = new_file("file", SIZE);
    watch(kq, fd, NOTE_WRITE, 1);
    append_to("file", 1);
    watch(kq, fd, NOTE_ATTRIB, 2);
    EXPECT_NOTES(kq, fd, GROWTH, 2);
    append_to("file", 1);
    silent(kq);
    OK(fchmod(fd, 0600));
    watch(kq, fd, NOTE_WRITE, 3);
    overwrite(fd);
    watch(kq, fd, NOTE_LINK, 4);
    OK(fchmod(fd, 0600));
    overwrite(fd);
    OK(link("file", "second"));
    watch(kq, fd, 0, 5);
    EXPECT_NOTES(kq, fd, NOTE_ATTRIB | NOTE_WRITE | NOTE_LINK, 5);
    silent(kq);
}

/* 5.1 The same for a wish that a change without EV_ADD replaces, and for a level knote. */
TEST(pending_survives_a_level_wish, "2.3 2.10 5.1")
{
    int kq = queue(), fd = new_file("file", SIZE);
    change(kq, fd, EVFILT_VNODE, EV_ADD, NOTE_WRITE, 0, 1);
    overwrite(fd);
    change(kq, fd, EVFILT_VNODE, 0, NOTE_ATTRIB, 0, 2);
    EXPECT_NEXT(kq, fd, EVFILT_VNODE, EV_ADD, NOTE_WRITE, 0, 2);
    OK(fchmod(fd, 0600));
    EXPECT_NEXT(kq, fd, EVFILT_VNODE, EV_ADD, NOTE_WRITE | NOTE_ATTRIB, 0, 2);
}

/* 5.1 What happened before it was wanted is not reported, whoever else wants it, collected or not. */
TEST(earlier_events_of_a_new_wish, "5.1 5.4")
{
    int kq = queue(), fd = new_file("file", SIZE), other = OK(open("file", O_RDONLY));
    watch(kq, other, NOTE_ATTRIB | NOTE_WRITE, 2);
    OK(fchmod(fd, 0600));
    watch(kq, fd, NOTE_LINK, 1);
    append_to("file", 5);
    watch(kq, fd, NOTE_ATTRIB | NOTE_WRITE | NOTE_EXTEND, 1);
    EXPECT_NOTES(kq, other, NOTE_ATTRIB | GROWTH, 2);
    silent(kq);
    overwrite(fd);
    change(kq, other, EVFILT_VNODE, EV_DELETE, 0, 0, 0);
    EXPECT_NOTES(kq, fd, NOTE_WRITE, 1);
    silent(kq);
}

/* 2.1 EV_ADD enables, unless EV_DISABLE is given. */
TEST(add_enables, "2.1 2.5")
{
    int kq = queue(), fd = new_file("file", SIZE);
    watch(kq, fd, NOTE_WRITE, 1);
    change(kq, fd, EVFILT_VNODE, EV_DISABLE, 0, 0, 1);
    overwrite(fd);
    silent(kq);
    change(kq, fd, EVFILT_VNODE, EV_ADD | EV_DISABLE, NOTE_WRITE, 0, 2);
    silent(kq);
    watch(kq, fd, NOTE_WRITE, 3);
    EXPECT_NOTES(kq, fd, NOTE_WRITE, 3);
}

/* ---- 2.2, 2.5 EV_DISABLE, EV_ENABLE --------------------------------------------------------------- */

/* 2.2 Added disabled: attached, and never reported until EV_ENABLE. 5.4 Events while disabled are kept. */
TEST(added_disabled, "2.2 2.5 5.4")
{
    int kq = queue(), fd = new_file("file", SIZE);
    change(kq, fd, EVFILT_VNODE, EV_ADD | EV_CLEAR | EV_DISABLE, CHANGES & ~NOTE_LINK, 0, 1);
    overwrite(fd);
    silent(kq);
    OK(fchmod(fd, 0600));
    OK(rename("file", "other"));
    silent(kq);
    append_to("other", 1);
    change(kq, fd, EVFILT_VNODE, EV_ENABLE, 0, 0, 2);
    CHECK(readable(kq));
    EXPECT_NOTES(kq, fd, GROWTH | NOTE_ATTRIB | NOTE_RENAME, 2);
    silent(kq);
    change(kq, fd, EVFILT_VNODE, EV_DISABLE, 0, 0, 2);
    OK(unlink("other"));
    silent(kq);
    change(kq, fd, EVFILT_VNODE, EV_ENABLE, 0, 0, 3);
    EXPECT_NOTES(kq, fd, NOTE_DELETE, 3);
}

/* 2.5 A pending event that is disabled before it is collected is kept back, then reported. */
TEST(disabled_with_a_pending_event, "2.5 10.5")
{
    int kq = queue(), fd = new_file("file", SIZE);
    look_often(kq);
    watch(kq, fd, NOTE_WRITE | NOTE_ATTRIB, 1);
    for (int round = 0; round < 3; round++) {
        overwrite(fd);
        CHECK(readable(kq));
        change(kq, fd, EVFILT_VNODE, EV_DISABLE, 0, 0, 1);
        silent(kq);
        OK(fchmod(fd, 0600));
        silent(kq);
        change(kq, fd, EVFILT_VNODE, EV_ENABLE, 0, 0, 1);
        EXPECT_NOTES(kq, fd, NOTE_WRITE | NOTE_ATTRIB, 1);
        silent(kq);
    }
}

/* 2.5 Nothing happened while it was disabled: EV_ENABLE has nothing to report. 2.14 Nor what was reported. */
TEST(enabled_without_an_event, "2.5 2.14 5.4")
{
    int kq = queue(), fd = new_file("file", SIZE);
    watch(kq, fd, NOTE_WRITE, 1);
    overwrite(fd);
    EXPECT_NOTES(kq, fd, NOTE_WRITE, 1);
    change(kq, fd, EVFILT_VNODE, EV_DISABLE, 0, 0, 1);
    OK(fchmod(fd, 0600));
    change(kq, fd, EVFILT_VNODE, EV_ENABLE, 0, 0, 1);
    silent(kq);
    change(kq, fd, EVFILT_VNODE, EV_ENABLE, 0, 0, 1);
    watch(kq, fd, NOTE_WRITE, 1);
    silent(kq);
}

/* 2.5 A directory that is removed while its knote is disabled. */
TEST(directory_removed_while_disabled, "2.5 5.3 5.4")
{
    int kq = queue(), fd = new_directory("dir");
    change(kq, fd, EVFILT_VNODE, EV_ADD | EV_CLEAR | EV_DISABLE, NOTE_DELETE, 0, 1);
    OK(rmdir("dir"));
    silent(kq);
    change(kq, fd, EVFILT_VNODE, EV_ENABLE, 0, 0, 1);
    EXPECT_NOTES(kq, fd, NOTE_DELETE, 1);
    silent(kq);
}

/* ---- 2.3 Other changes ---------------------------------------------------------------------------- */

/* 2.3 fflags are replaced by EV_ADD, 0 as well; by another change only where it gives some. udata is, by all. */
TEST(fflags_kept_and_replaced, "2.3")
{
    static const unsigned short actions[] = {0, EV_ENABLE};
    int kq = queue(), fd = new_file("file", SIZE);
    for (int i = 0; i < 2; i++) {
        watch(kq, fd, NOTE_WRITE, 1);
        change(kq, fd, EVFILT_VNODE, actions[i], 0, 0, 2);
        overwrite(fd);
        EXPECT_NOTES(kq, fd, NOTE_WRITE, 2);
        change(kq, fd, EVFILT_VNODE, actions[i], NOTE_ATTRIB, 0, 3);
        overwrite(fd);
        silent(kq);
        OK(fchmod(fd, 0600));
        EXPECT_NOTES(kq, fd, NOTE_ATTRIB, 3);
        change(kq, fd, EVFILT_VNODE, actions[i] | EV_KEEPUDATA, NOTE_WRITE, 0, 4);
        overwrite(fd);
        EXPECT_NOTES(kq, fd, NOTE_WRITE, 3);
    }
    change(kq, fd, EVFILT_VNODE, EV_DISABLE, NOTE_LINK, 0, 5);
    overwrite(fd);
    OK(link("file", "second"));
    change(kq, fd, EVFILT_VNODE, EV_ENABLE, 0, 0, 6);
    EXPECT_NOTES(kq, fd, NOTE_LINK, 6);
    watch(kq, fd, 0, 7);
    OK(link("file", "third"));
    overwrite(fd);
    silent(kq);
}

/* 2.4 Nothing but EV_ADD works without a knote, another filter's knote is none. */
TEST(no_knote, "2.4")
{
    static const unsigned short actions[] = {0, EV_ENABLE, EV_DISABLE, EV_DELETE, EV_CLEAR, EV_FORCEONESHOT};
    int kq = queue(), fd = new_file("file", SIZE);
    change(kq, fd, EVFILT_READ, EV_ADD | EV_DISABLE, 0, 0, 0);
    for (size_t i = 0; i < sizeof actions / sizeof *actions; i++)
        CHECK_EQ(change_errno(kq, fd, EVFILT_VNODE, actions[i], NOTE_WRITE, 0, 0), ENOENT);
    overwrite(fd);
    nothing(kq);
    OK(close(fd));
    for (size_t i = 0; i < sizeof actions / sizeof *actions; i++)
        CHECK_EQ(change_errno(kq, fd, EVFILT_VNODE, actions[i], NOTE_WRITE, 0, 0), EBADF);
}

/* ---- 2.6 EV_DELETE -------------------------------------------------------------------------------- */

/* 2.6 EV_DELETE removes the pending event; added again, in the same list too, the knote knows nothing of it. */
TEST(delete_with_a_pending_event, "2.6 10.8 10.5")
{
    int kq = queue(), fd = new_file("file", SIZE);
    watch(kq, fd, CHANGES, 1);
    append_to("file", 1);
    change(kq, fd, EVFILT_VNODE, EV_DELETE, 0, 0, 0);
    unready(kq);
    watch(kq, fd, CHANGES, 2);
    silent(kq);
    for (int i = 3; i < 20; i++) {
        append_to("file", 1);
        OK(fchmod(fd, 0600));
        struct kevent changes[] = {
            EVENT(fd, EVFILT_VNODE, EV_DELETE, 0, 0, 0),
            EVENT(fd, EVFILT_VNODE, EV_ADD | EV_CLEAR, CHANGES, 0, i),
        };
        struct kevent ev[4];
        CHECK_EQ(kevent(kq, changes, 2, ev, 4, &(struct timespec){0, 0}), 0);
        silent(kq);
        overwrite(fd);
        EXPECT_NOTES(kq, fd, NOTE_WRITE, i);
    }
}

/* 2.6 One of two knotes on a file is deleted with events pending: the other has its own. */
TEST(delete_beside_another_descriptor, "2.6 5.5")
{
    int kq = queue(), fd = new_file("file", SIZE), other = OK(open("file", O_RDWR));
    watch(kq, fd, NOTE_WRITE | NOTE_ATTRIB, 1);
    watch(kq, other, NOTE_WRITE, 2);
    overwrite(fd);
    change(kq, fd, EVFILT_VNODE, EV_DELETE, 0, 0, 0);
    EXPECT_NOTES(kq, other, NOTE_WRITE, 2);
    OK(fchmod(fd, 0600));
    silent(kq);
    append_to("file", 1);
    EXPECT_NOTES(kq, other, GROWTH, 2);
    change(kq, other, EVFILT_VNODE, EV_DELETE, 0, 0, 0);
    append_to("file", 1);
    silent(kq);
}

/* ---- 2.7, 2.8, 2.9, 2.10, 2.12 -------------------------------------------------------------------- */

/* 2.7 EV_ONESHOT is reported once, then deleted. 5.4 Unwanted events do not consume it. */
TEST(oneshot, "2.7 5.4")
{
    int kq = queue(), fd = new_file("file", SIZE);
    for (int round = 0; round < 3; round++) {
        change(kq, fd, EVFILT_VNODE, EV_ADD | EV_ONESHOT, NOTE_ATTRIB | NOTE_EXTEND, 0, 1);
        overwrite(fd);
        silent(kq);
        OK(rename("file", "other"));
        OK(rename("other", "file"));
        overwrite(fd);
        silent(kq);
        OK(fchmod(fd, 0600));
        append_to("file", 1);
        EXPECT_NEXT(kq, fd, EVFILT_VNODE, EV_ADD | EV_ONESHOT, NOTE_ATTRIB | GROWTH, 0, 1);
        append_to("file", 1);
        silent(kq);
        CHECK_EQ(change_errno(kq, fd, EVFILT_VNODE, EV_DELETE, 0, 0, 0), ENOENT);
    }
}

/* 2.8 EV_DISPATCH is reported once, then disabled, and records; EV_ENABLE and EV_ADD report what came since. */
TEST(dispatch, "2.8 2.5 5.4")
{
    int kq = queue(), fd = new_file("file", SIZE);
    const unsigned short flags = EV_ADD | EV_DISPATCH | EV_CLEAR;
    change(kq, fd, EVFILT_VNODE, flags, NOTE_WRITE | NOTE_ATTRIB, 0, 1);
    OK(rename("file", "other"));
    silent(kq);
    overwrite(fd);
    EXPECT_NEXT(kq, fd, EVFILT_VNODE, flags, NOTE_WRITE, 0, 1);
    OK(fchmod(fd, 0600));
    silent(kq);
    change(kq, fd, EVFILT_VNODE, EV_ENABLE, 0, 0, 2);
    EXPECT_NEXT(kq, fd, EVFILT_VNODE, flags, NOTE_ATTRIB, 0, 2);
    overwrite(fd);
    silent(kq);
    change(kq, fd, EVFILT_VNODE, EV_ADD, NOTE_WRITE | NOTE_ATTRIB, 0, 3);
    EXPECT_NEXT(kq, fd, EVFILT_VNODE, flags, NOTE_WRITE, 0, 3);
    change(kq, fd, EVFILT_VNODE, EV_ENABLE, 0, 0, 4);
    silent(kq);
    overwrite(fd);
    EXPECT_NEXT(kq, fd, EVFILT_VNODE, flags, NOTE_WRITE, 0, 4);
}

/* 2.8 2.10 Without EV_CLEAR what was dispatched is still there when it is enabled, with what came since. */
TEST(dispatch_without_clear, "2.8 2.10 5.1")
{
    int kq = queue(), fd = new_file("file", SIZE);
    change(kq, fd, EVFILT_VNODE, EV_ADD | EV_DISPATCH, NOTE_WRITE | NOTE_ATTRIB, 0, 1);
    overwrite(fd);
    EXPECT_NEXT(kq, fd, EVFILT_VNODE, EV_ADD | EV_DISPATCH, NOTE_WRITE, 0, 1);
    silent(kq);
    OK(fchmod(fd, 0600));
    silent(kq);
    change(kq, fd, EVFILT_VNODE, EV_ENABLE, 0, 0, 1);
    EXPECT_NEXT(kq, fd, EVFILT_VNODE, EV_ADD | EV_DISPATCH, NOTE_WRITE | NOTE_ATTRIB, 0, 1);
    silent(kq);
}

/* 2.10 5.1 Without EV_CLEAR events keep being reported, and add up; deleted and added it begins anew. */
TEST(level_keeps_being_reported, "2.10 5.1 10.5")
{
    int kq = queue(), fd = new_file("file", SIZE);
    look_often(kq);
    change(kq, fd, EVFILT_VNODE, EV_ADD, CHANGES & ~NOTE_LINK, 77, 1);
    overwrite(fd);
    for (int i = 0; i < 3; i++) {
        CHECK(readable(kq));
        EXPECT_NEXT(kq, fd, EVFILT_VNODE, EV_ADD, NOTE_WRITE, 0, 1);
    }
    OK(fchmod(fd, 0600));
    append_to("file", 1);
    for (int i = 0; i < 3; i++)
        EXPECT_NEXT(kq, fd, EVFILT_VNODE, EV_ADD, GROWTH | NOTE_ATTRIB, 0, 1);
    OK(unlink("file"));
    EXPECT_NEXT(kq, fd, EVFILT_VNODE, EV_ADD, GROWTH | NOTE_ATTRIB | NOTE_DELETE, 0, 1);
    change(kq, fd, EVFILT_VNODE, EV_ADD, NOTE_ATTRIB, 0, 2);
    EXPECT_NEXT(kq, fd, EVFILT_VNODE, EV_ADD, GROWTH | NOTE_ATTRIB | NOTE_DELETE, 0, 2);
    change(kq, fd, EVFILT_VNODE, EV_DELETE, 0, 0, 0);
    change(kq, fd, EVFILT_VNODE, EV_ADD, CHANGES, 0, 3);
    silent(kq);
}

/* 2.12 EV_FORCEONESHOT reports at once, though nothing happened; the knote is gone then. */
TEST(forceoneshot, "2.12")
{
    int kq = queue(), fd = new_file("file", SIZE);
    watch(kq, fd, NOTE_WRITE, 1);
    change(kq, fd, EVFILT_VNODE, EV_FORCEONESHOT, 0, 0, 2);
    EXPECT_NEXT(kq, fd, EVFILT_VNODE, EV_ADD | EV_CLEAR | EV_ONESHOT, 0, 0, 2);
    overwrite(fd);
    silent(kq);
    CHECK_EQ(change_errno(kq, fd, EVFILT_VNODE, EV_DELETE, 0, 0, 0), ENOENT);
    watch(kq, fd, NOTE_WRITE, 3);
    overwrite(fd);
    change(kq, fd, EVFILT_VNODE, EV_ENABLE | EV_FORCEONESHOT, 0, 0, 4);
    EXPECT_NEXT(kq, fd, EVFILT_VNODE, EV_ADD | EV_CLEAR | EV_ONESHOT, NOTE_WRITE, 0, 4);
    CHECK_EQ(change_errno(kq, fd, EVFILT_VNODE, EV_DELETE, 0, 0, 0), ENOENT);
    change(kq, fd, EVFILT_VNODE, EV_ADD | EV_ONESHOT | EV_DISPATCH, NOTE_WRITE, 0, 5);
    overwrite(fd);
    EXPECT_NEXT(kq, fd, EVFILT_VNODE, EV_ADD | EV_ONESHOT | EV_DISPATCH, NOTE_WRITE, 0, 5);
    CHECK_EQ(change_errno(kq, fd, EVFILT_VNODE, EV_DELETE, 0, 0, 0), ENOENT);
}

static void *count_own(void *argument)
{
    int kq = *(int *)argument;
    intptr_t own = 0;
    for (;;) {
        struct kevent ev;
        CHECK_EQ(kevent(kq, NULL, 0, &ev, 1, NULL), 1);
        if (ev.filter == EVFILT_USER)
            return (void *)own;
        EXPECT_EVENT_ANY(ev, 0, EVFILT_VNODE, 0, NOTE_WRITE, 0, 1, ANY_IDENT | ANY_FLAGS);
        own++;
    }
}

/* 2.7 2.9 With several waiters exactly one gets it. */
TEST(one_waiter_gets_it, "2.7 2.8 2.9")
{
    enum { WAITERS = 3, ROUNDS = 20 };
    static const unsigned short modes[] = {EV_ONESHOT, EV_CLEAR, EV_CLEAR | EV_DISPATCH};
    struct thread threads[WAITERS];
    int fd = new_file("file", SIZE);
    for (int mode = 0; mode < 3; mode++) {
        for (int round = 0; round < ROUNDS; round++) {
            int kq = queue();
            intptr_t sum = 0;
            change(kq, 1, EVFILT_USER, EV_ADD, 0, 0, 2);
            change(kq, fd, EVFILT_VNODE, EV_ADD | modes[mode], NOTE_WRITE, 0, 1);
            for (int i = 0; i < WAITERS; i++)
                start(&threads[i], count_own, &kq);
            if (round % 2)
                for (int i = 0; i < WAITERS; i++)
                    until_asleep(&threads[i]);
            overwrite(fd);
            if (round % 4 > 1)
                sched_yield();
            change(kq, 1, EVFILT_USER, 0, NOTE_TRIGGER, 0, 2);
            for (int i = 0; i < WAITERS; i++)
                sum += (intptr_t)join(&threads[i]);
            struct kevent ev[4];
            int left = collect(kq, ev, 4) - 1; /* none of the three came to it before the other event */
            CHECK_EQ(sum + left, 1);
            OK(close(kq));
        }
    }
}

#endif
