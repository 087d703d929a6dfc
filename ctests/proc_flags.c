/* SPDX-License-Identifier: BSD-2-Clause */
/* EVFILT_PROC: what the EV_ flags of a change do to NOTE_EXIT (section 2 and 8.2). */
#define SUITE "proc"
#include "suite.h"

#ifdef EVFILT_PROC

#include "procs.h"

static const struct timespec no_wait = {0, 0};

/* 2.5 An exit while disabled is kept, also when the child was reaped meanwhile, and reported on EV_ENABLE. */
TEST(exit_while_disabled, "2.5 8.2 8.4")
{
    for (int reaped = 0; reaped < 2; reaped++) {
        int kq = queue();
        struct puppet child;
        struct kevent ev;
        give_birth(&child);
        change(kq, child.pid, EVFILT_PROC, EV_ADD, NOTE_EXIT | EXITSTATUS, 0, 1);
        change(kq, child.pid, EVFILT_PROC, EV_DISABLE, 0, 0, 2);
        exits(&child, 4);
        something_comes(kq);
        nothing(kq);
        if (reaped)
            reap(child.pid);
        nothing(kq);
        change(kq, child.pid, EVFILT_PROC, EV_ENABLE, 0, 0, 3);
        wait_event(kq, &ev);
        if (reaped)
            EXPECT_REAPED(ev, child.pid, CODE(4), 3);
        else
            EXPECT_EVENT(ev, child.pid, EVFILT_PROC, ENDED, NOTE_EXIT | EXITSTATUS, CODE(4), 3);
        no_knote(kq, child.pid);
    }
}

/* 2.2 EV_ADD with EV_DISABLE: attached, not reported until EV_ENABLE, of a zombie too. */
TEST(added_disabled, "2.2 8.1 8.2")
{
    for (int zombie = 0; zombie < 2; zombie++) {
        int kq = queue();
        struct puppet child;
        give_birth(&child);
        if (zombie)
            exits(&child, 4);
        change(kq, child.pid, EVFILT_PROC, EV_ADD | EV_DISABLE, NOTE_EXIT, 0, 1);
        if (!zombie)
            exits(&child, 4);
        something_comes(kq);
        nothing(kq);
        change(kq, child.pid, EVFILT_PROC, EV_ENABLE, 0, 0, 2);
        EXPECT_EXIT(kq, child.pid, CODE(4), 2);
        no_knote(kq, child.pid);
    }
}

/* 2.5 An exit that was pending and then disabled waits for EV_ENABLE; EV_ADD enables as well (2.1). */
TEST(disabled_after_the_exit, "2.5 2.1 8.2")
{
    static const unsigned short enabling[] = {EV_ENABLE, EV_ADD, EV_ADD | EV_ENABLE};
    int kq = queue();
    for (size_t i = 0; i < COUNT(enabling); i++) {
        struct puppet child;
        give_birth(&child);
        change(kq, child.pid, EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, 1);
        exits(&child, 4);
        change(kq, child.pid, EVFILT_PROC, EV_DISABLE, 0, 0, 2);
        nothing(kq);
        change(kq, child.pid, EVFILT_PROC, enabling[i], NOTE_EXIT, 0, 3);
        EXPECT_EXIT(kq, child.pid, CODE(4), 3);
        no_knote(kq, child.pid);
    }
}

/* 1.15 The flags of the first EV_ADD come back beside those of the exit; the knote is gone whatever they are. */
TEST(flags_of_the_exit, "1.15 8.2 2.12")
{
    static const unsigned short modes[] = {0,
                                           EV_CLEAR,
                                           EV_ONESHOT,
                                           EV_DISPATCH,
                                           EV_RECEIPT,
                                           EV_ENABLE,
                                           EV_ONESHOT | EV_DISPATCH,
                                           EV_CLEAR | EV_ONESHOT | EV_DISPATCH | EV_RECEIPT};
    int kq = queue();
    for (size_t i = 0; i < COUNT(modes); i++) {
        struct puppet child;
        struct kevent ev[2];
        give_birth(&child);
        struct kevent add = EVENT(child.pid, EVFILT_PROC, EV_ADD | modes[i], NOTE_EXIT, 0, i);
        int receipt = (modes[i] & EV_RECEIPT) != 0;
        CHECK_EQ(kevent(kq, &add, 1, ev, 2, &no_wait), receipt);
        if (receipt)
            EXPECT_EVENT(ev[0], child.pid, EVFILT_PROC, EV_ADD | modes[i] | EV_ERROR, NOTE_EXIT, 0, i);
        exits(&child, 1);
        EXPECT_NEXT(kq, child.pid, EVFILT_PROC, ENDED | (modes[i] & (unsigned short)~EV_ENABLE), NOTE_EXIT, CODE(1), i);
        no_knote(kq, child.pid);
    }
}

/* 2.13 EV_EOF and EV_ERROR mean nothing going in; data in means nothing here. */
TEST(input_that_means_nothing, "2.13 1.10")
{
    int kq = queue();
    struct puppet child;
    give_birth(&child);
    change(kq, child.pid, EVFILT_PROC, EV_ADD | EV_EOF | EV_ERROR, NOTE_EXIT, 99, 1);
    something_comes(kq);
    change(kq, child.pid, EVFILT_PROC, EV_ENABLE | EV_EOF, 0, 98, 1);
    something_comes(kq);
    exits(&child, 0);
    EXPECT_EXIT(kq, child.pid, 0, 1);
}

/* 1.11 One knote for a process: EV_ADD again changes udata and fflags, and reports once. */
TEST(added_again, "1.11 2.1")
{
    int kq = queue();
    struct puppet child;
    give_birth(&child);
    for (int i = 0; i < 3; i++)
        change(kq, child.pid, EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, i);
    exits(&child, 5);
    EXPECT_EXIT(kq, child.pid, CODE(5), 2);
    nothing(kq);
    no_knote(kq, child.pid);
}

/* 2.1 EV_ADD replaces fflags: an exit that was not wanted is, and the other way round (8.6). */
TEST(wish_changed, "2.1 2.3 8.6")
{
    int kq = queue();
    struct puppet wanted, unwanted, kept, given;
    give_birth(&wanted);
    give_birth(&unwanted);
    give_birth(&kept);
    give_birth(&given);
    change(kq, wanted.pid, EVFILT_PROC, EV_ADD, 0, 0, 1);
    change(kq, wanted.pid, EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, 2);
    change(kq, unwanted.pid, EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, 3);
    change(kq, unwanted.pid, EVFILT_PROC, EV_ADD, 0, 0, 4);
    /* 2.3 Another change leaves fflags where it gives none, and replaces them where it does. */
    change(kq, kept.pid, EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, 5);
    change(kq, kept.pid, EVFILT_PROC, EV_DISABLE, 0, 0, 6);
    change(kq, kept.pid, EVFILT_PROC, EV_ENABLE, 0, 0, 7);
    change(kq, given.pid, EVFILT_PROC, EV_ADD, 0, 0, 8);
    change(kq, given.pid, EVFILT_PROC, EV_ENABLE, NOTE_EXIT, 0, 9);
    exits(&unwanted, 1);
    exits(&wanted, 2);
    EXPECT_EXIT(kq, wanted.pid, CODE(2), 2);
    nothing(kq);
    no_knote(kq, unwanted.pid);
    exits(&kept, 3);
    EXPECT_EXIT(kq, kept.pid, CODE(3), 7);
    exits(&given, 4);
    EXPECT_EXIT(kq, given.pid, CODE(4), 9);
}

/* 2.1 An exit that is pending is not lost by a change, also when the process has been reaped: the knote exists. */
TEST(changed_after_the_exit, "2.1 2.3 8.4")
{
    static const unsigned short actions[] = {EV_ADD, EV_ENABLE, 0, EV_ADD | EV_ENABLE};
    int kq = queue();
    for (size_t i = 0; i < COUNT(actions); i++) {
        for (int reaped = 0; reaped < 2; reaped++) {
            struct puppet child;
            struct kevent ev;
            give_birth(&child);
            change(kq, child.pid, EVFILT_PROC, EV_ADD, NOTE_EXIT | EXITSTATUS, 0, 1);
            exits(&child, 5);
            if (reaped)
                reap(child.pid);
            change(kq, child.pid, EVFILT_PROC, actions[i], NOTE_EXIT | EXITSTATUS, 0, 2);
            wait_event(kq, &ev);
            if (reaped)
                EXPECT_REAPED(ev, child.pid, CODE(5), 2);
            else
                EXPECT_EVENT(ev, child.pid, EVFILT_PROC, ENDED, NOTE_EXIT | EXITSTATUS, CODE(5), 2);
            nothing(kq);
            no_knote(kq, child.pid);
        }
    }
}

#ifdef EV_KEEPUDATA
/* 2.3 EV_KEEPUDATA leaves udata. */
TEST(udata_kept, "2.3")
{
    int kq = queue();
    struct puppet child;
    give_birth(&child);
    change(kq, child.pid, EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, 1);
    change(kq, child.pid, EVFILT_PROC, EV_ENABLE | EV_KEEPUDATA, 0, 0, 2);
    exits(&child, 5);
    EXPECT_EXIT(kq, child.pid, CODE(5), 1);
}
#endif

/* 2.6 EV_DELETE before the exit and after it: nothing is reported, and a second one is ENOENT. */
TEST(deleted, "2.6 2.4")
{
    int kq = queue();
    struct puppet before, after;
    give_birth(&before);
    give_birth(&after);
    change(kq, before.pid, EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, 1);
    change(kq, after.pid, EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, 2);
    change(kq, before.pid, EVFILT_PROC, EV_DELETE, 0, 0, 0);
    no_knote(kq, before.pid);
    exits(&before, 1);
    exits(&after, 2);
    CHECK(readable(kq));
    change(kq, after.pid, EVFILT_PROC, EV_DELETE, 0, 0, 0);
    nothing(kq);
    no_knote(kq, before.pid);
    no_knote(kq, after.pid);
    sleeps(kq);
}

/* 2.6 EV_DELETE of an exit that was reaped already succeeds: it was not reported yet. */
TEST(deleted_after_the_reap, "2.6 8.4")
{
    int kq = queue();
    struct puppet child;
    give_birth(&child);
    change(kq, child.pid, EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, 1);
    order(&child, EXIT, 1);
    reap(child.pid);
    change(kq, child.pid, EVFILT_PROC, EV_DELETE, 0, 0, 0);
    no_knote(kq, child.pid);
    nothing(kq);
    sleeps(kq);
}

/* 2.6 Deleted and added in one changelist: a knote with other flags; of a zombie it reports at once. */
TEST(deleted_and_added, "2.6 1.15 8.1")
{
    int kq = queue();
    struct puppet child;
    struct kevent ev[2];
    give_birth(&child);
    change(kq, child.pid, EVFILT_PROC, EV_ADD | EV_DISPATCH, NOTE_EXIT, 0, 1);
    for (int zombie = 0; zombie < 2; zombie++) {
        struct kevent changes[] = {EVENT(child.pid, EVFILT_PROC, EV_DELETE, 0, 0, 0),
                                   EVENT(child.pid, EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, 2 + zombie)};
        CHECK_EQ(kevent(kq, changes, 2, ev, 2, &no_wait), zombie);
        if (!zombie)
            exits(&child, 3);
    }
    EXPECT_EVENT(ev[0], child.pid, EVFILT_PROC, ENDED, NOTE_EXIT, CODE(3), 3);
    no_knote(kq, child.pid);
}

/* 2.12 EV_FORCEONESHOT of a process that lives reports at once, without a note, and deletes. */
TEST(forced, "2.12")
{
    int kq = queue();
    struct puppet child;
    give_birth(&child);
    change(kq, child.pid, EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, 1);
    change(kq, child.pid, EVFILT_PROC, EV_FORCEONESHOT, 0, 0, 2);
    EXPECT_NEXT(kq, child.pid, EVFILT_PROC, LIVES | EV_ONESHOT, 0, 0, 2);
    no_knote(kq, child.pid);
    exits(&child, 3);
    something_comes(kq);
    nothing(kq);
}

/* 1.11 PROC, USER and TIMER knotes with the number of a process are each their own. */
TEST(number_of_other_filters, "1.11")
{
    int kq = queue();
    struct puppet child;
    give_birth(&child);
    change(kq, child.pid, EVFILT_USER, EV_ADD, 0, 0, 1);
    change(kq, child.pid, EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, 2);
    change(kq, child.pid, EVFILT_USER, EV_DELETE, 0, 0, 0);
    exits(&child, 3);
    change(kq, child.pid, EVFILT_USER, EV_ADD, 0, 0, 3);
    EXPECT_EXIT(kq, child.pid, CODE(3), 2);
    change(kq, child.pid, EVFILT_USER, 0, NOTE_TRIGGER, 0, 4);
    EXPECT_NEXT(kq, child.pid, EVFILT_USER, EV_ADD, 0, 0, 4);
}

/* 1.6 Error entries come alone; the exit comes with the next call. */
TEST(errors_before_the_exit, "1.6 8.2")
{
    int kq = queue();
    struct puppet child;
    struct kevent ev[4], bad = EVENT(0, EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, 1);
    give_birth(&child);
    change(kq, child.pid, EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, 2);
    exits(&child, 3);
    CHECK_EQ(kevent(kq, &bad, 1, ev, 4, NULL), 1);
    EXPECT_EVENT(ev[0], 0, EVFILT_PROC, EV_ADD | EV_ERROR, NOTE_EXIT, ESRCH, 1);
    EXPECT_EXIT(kq, child.pid, CODE(3), 2);
}

/* 10.2 A kqueue closed with knotes, alive, pending and disabled: nothing is left of it, and the children are ours. */
TEST(kqueue_closed, "10.2 8.2")
{
    int before = open_descriptors();
    int kq = queue();
    struct puppet alive, ended, disabled;
    give_birth(&alive);
    give_birth(&ended);
    give_birth(&disabled);
    change(kq, alive.pid, EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, 1);
    change(kq, ended.pid, EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, 2);
    change(kq, disabled.pid, EVFILT_PROC, EV_ADD | EV_DISABLE, NOTE_EXIT, 0, 3);
    exits(&ended, 2);
    exits(&disabled, 3);
    OK(close(kq));
    CHECK_EQ(open_descriptors(), before + 6); /* the lines */
    exits(&alive, 1);
    CHECK_EQ(reap(alive.pid), CODE(1));
    CHECK_EQ(reap(ended.pid), CODE(2));
    CHECK_EQ(reap(disabled.pid), CODE(3));
}

#endif
