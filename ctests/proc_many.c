/* SPDX-License-Identifier: BSD-2-Clause */
/* EVFILT_PROC: many processes, short eventlists (1.12), and the descriptors that it costs (1.1, 10.3, 10.4). */
#define SUITE "proc"
#include "suite.h"

#ifdef EVFILT_PROC

#include "procs.h"

#include <stdatomic.h>
#include <sys/resource.h>

static const struct timespec no_wait = {0, 0};

/* ---- Crowds: children that all end when a gate is opened ---------------------------------------- */

enum { CROWD = 300 };

struct crowd {
    int gate;
    int size;
    pid_t pids[CROWD];
    int seen[CROWD];
};

static int code_of(int index)
{
    return index % 256;
}

static void gather_crowd(struct crowd *crowd, int size)
{
    int fds[2];
    pipe_pair(fds);
    memset(crowd, 0, sizeof *crowd);
    crowd->gate = fds[1];
    crowd->size = size;
    for (int i = 0; i < size; i++) {
        crowd->pids[i] = OK(fork());
        if (crowd->pids[i] == 0) {
            char byte;
            close(fds[1]);
            _exit(read(fds[0], &byte, 1) == 0 ? code_of(i) : 1);
        }
    }
    OK(close(fds[0]));
}

/* In one changelist; udata is the index and `base`. */
static void watch_crowd(int kq, const struct crowd *crowd, int base)
{
    struct kevent changes[CROWD];
    for (int i = 0; i < crowd->size; i++)
        changes[i] = EVENT(crowd->pids[i], EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, base + i);
    CHECK_EQ(OK(kevent(kq, changes, crowd->size, NULL, 0, NULL)), 0);
}

/* Collects until each was reported: once, with its own status. */
static void collect_crowd(int kq, struct crowd *crowd, int base, int room)
{
    struct kevent ev[64];
    for (int left = crowd->size; left > 0;) {
        int n = collect(kq, ev, room);
        for (int i = 0; i < n; i++) {
            int index = (int)(intptr_t)ev[i].udata - base;
            CHECK(index >= 0 && index < crowd->size);
            EXPECT_EVENT(ev[i], crowd->pids[index], EVFILT_PROC, ENDED, NOTE_EXIT, CODE(code_of(index)), base + index);
            CHECK_EQ(crowd->seen[index]++, 0);
        }
        left -= n;
    }
    nothing(kq);
}

static void reap_crowd(const struct crowd *crowd)
{
    for (int i = 0; i < crowd->size; i++)
        CHECK_EQ(reap(crowd->pids[i]), CODE(code_of(i)));
}

/* 8.2 300 children that exit at once are each reported, once, with a status of their own. */
TEST_LIMIT(crowd_ends_at_once, "8.2 1.12", 60)
{
    static struct crowd crowd;
    need_descriptors(1024);
    for (int zombies = 0; zombies < 2; zombies++) {
        int kq = queue();
        gather_crowd(&crowd, CROWD);
        if (!zombies)
            watch_crowd(kq, &crowd, 1000);
        OK(close(crowd.gate));
        if (zombies) {
            for (int i = 0; i < CROWD; i++)
                until_zombie(crowd.pids[i]);
            watch_crowd(kq, &crowd, 1000);
        }
        collect_crowd(kq, &crowd, 1000, 64);
        reap_crowd(&crowd);
        sleeps(kq);
        CHECK(!readable(kq));
        OK(close(kq));
    }
}

/* 8.2 1,000 in waves: half of each wave is reaped before kevent looks. */
TEST_LIMIT(waves, "8.2 8.4", 60)
{
    enum { WAVES = 10, SIZE = 100 };
    static struct crowd crowd;
    int kq = queue(), descriptors = 0;
    need_descriptors(1024);
    for (int wave = 0; wave < WAVES; wave++) {
        struct kevent ev[SIZE];
        gather_crowd(&crowd, SIZE);
        watch_crowd(kq, &crowd, 0);
        OK(close(crowd.gate));
        for (int i = 0; i < SIZE; i += 2)
            CHECK_EQ(reap(crowd.pids[i]), CODE(i));
        for (int left = SIZE; left > 0;) {
            int n = collect(kq, ev, SIZE);
            for (int i = 0; i < n; i++) {
                int index = (int)(intptr_t)ev[i].udata;
                CHECK(index >= 0 && index < SIZE);
                CHECK_EQ(crowd.seen[index]++, 0);
                EXPECT_EVENT(ev[i], crowd.pids[index], EVFILT_PROC, ENDED, NOTE_EXIT,
                             index % 2 || reaped_status_is_told() ? CODE(index) : 0, index);
            }
            left -= n;
        }
        nothing(kq);
        for (int i = 1; i < SIZE; i += 2)
            CHECK_EQ(reap(crowd.pids[i]), CODE(i));
        if (wave == 0)
            descriptors = open_descriptors();
        CHECK_EQ(open_descriptors(), descriptors);
    }
    sleeps(kq);
}

/* 1.12 With room for one, or three, all are reached; the queue stays readable until then. */
TEST_LIMIT(short_eventlist, "1.12 8.2 10.5", 30)
{
    static struct crowd crowd;
    for (int room = 1; room <= 3; room += 2) {
        int kq = queue();
        gather_crowd(&crowd, 50);
        watch_crowd(kq, &crowd, 0);
        OK(close(crowd.gate));
        for (int i = 0; i < crowd.size; i++)
            until_zombie(crowd.pids[i]);
        for (int left = crowd.size; left > 0;) {
            struct kevent ev[3];
            CHECK(readable(kq));
            int n = OK(kevent(kq, NULL, 0, ev, room, &no_wait));
            CHECK_EQ(n, room < left ? room : left);
            for (int i = 0; i < n; i++)
                EXPECT_EVENT(ev[i], crowd.pids[(intptr_t)ev[i].udata], EVFILT_PROC, ENDED, NOTE_EXIT,
                             CODE(code_of((int)(intptr_t)ev[i].udata)), ev[i].udata);
            left -= n;
        }
        nothing(kq);
        CHECK(!readable(kq));
        reap_crowd(&crowd);
    }
}

/* 1.12 Exits are not starved by descriptors that are ready all the time, nor these by exits. */
TEST(fair_beside_descriptors, "1.12 8.2")
{
    enum { PIPES = 6 };
    static struct crowd crowd;
    int kq = queue(), fds[PIPES][2], seen[PIPES] = {0}, ended = 0;
    for (int i = 0; i < PIPES; i++) {
        pipe_pair(fds[i]);
        put(fds[i][1], 1);
        change(kq, fds[i][0], EVFILT_READ, EV_ADD, 0, 0, 100 + i);
    }
    gather_crowd(&crowd, 10);
    watch_crowd(kq, &crowd, 0);
    OK(close(crowd.gate));
    for (int i = 0; i < crowd.size; i++)
        until_zombie(crowd.pids[i]);
    for (int calls = 0; calls < 100; calls++) {
        struct kevent ev;
        CHECK_EQ(collect(kq, &ev, 1), 1);
        if (ev.filter == EVFILT_READ) {
            int index = (int)(intptr_t)ev.udata - 100;
            CHECK(index >= 0 && index < PIPES);
            EXPECT_EVENT(ev, fds[index][0], EVFILT_READ, EV_ADD, 0, 1, 100 + index);
            seen[index]++;
        } else {
            EXPECT_EVENT(ev, crowd.pids[(intptr_t)ev.udata], EVFILT_PROC, ENDED, NOTE_EXIT,
                         CODE((int)(intptr_t)ev.udata), ev.udata);
            ended++;
        }
    }
    CHECK_EQ(ended, crowd.size);
    for (int i = 0; i < PIPES; i++)
        CHECK_GE(seen[i], 1);
}

struct collector {
    int kq;
    atomic_int *count;
    struct crowd *crowd;
};

static void *collect_some(void *argument)
{
    struct collector *collector = argument;
    for (;;) {
        struct kevent ev;
        CHECK_EQ(kevent(collector->kq, NULL, 0, &ev, 1, NULL), 1);
        if (ev.filter == EVFILT_USER)
            return NULL;
        int index = (int)(intptr_t)ev.udata;
        EXPECT_EVENT(ev, collector->crowd->pids[index], EVFILT_PROC, ENDED, NOTE_EXIT, CODE(code_of(index)), index);
        CHECK_EQ(__atomic_fetch_add(&collector->crowd->seen[index], 1, __ATOMIC_SEQ_CST), 0);
        atomic_fetch_add(collector->count, 1);
    }
}

/* 8.2 2.7 Several threads collect a crowd: each end goes to one of them. */
TEST_LIMIT(crowd_and_threads, "8.2 2.7", 30)
{
    enum { THREADS = 4 };
    static struct crowd crowd;
    static atomic_int count;
    struct collector collector = {queue(), &count, &crowd};
    struct thread threads[THREADS];
    gather_crowd(&crowd, 100);
    watch_crowd(collector.kq, &crowd, 0);
    for (int i = 0; i < THREADS; i++)
        start(&threads[i], collect_some, &collector);
    OK(close(crowd.gate));
    while (count < crowd.size)
        until_asleep(&threads[0]);
    change(collector.kq, 1, EVFILT_USER, EV_ADD, NOTE_TRIGGER, 0, 0);
    for (int i = 0; i < THREADS; i++)
        join(&threads[i]);
    reap_crowd(&crowd);
}

/* ---- Descriptors -------------------------------------------------------------------------------- */

/* 1.11 Adding and deleting, to the end or before, leaves no descriptor. */
TEST(no_descriptor_is_left, "8.2 2.6")
{
    int kq = queue(), first = 0;
    struct puppet child, other;
    give_birth(&child);
    for (int i = 0; i < 200; i++) {
        change(kq, child.pid, EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, 1);
        if (i % 3 == 0)
            change(kq, child.pid, EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, 2);
        if (i % 3 == 1)
            change(kq, child.pid, EVFILT_PROC, EV_DISABLE, 0, 0, 2);
        change(kq, child.pid, EVFILT_PROC, EV_DELETE, 0, 0, 0);
        change_errno(kq, INT_MAX, EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, 0);
        if (i == 0)
            first = open_descriptors();
        CHECK_EQ(open_descriptors(), first);
    }
    for (int i = 0; i < 20; i++) {
        give_birth(&other);
        change(kq, other.pid, EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, 1);
        order(&other, EXIT, 1);
        EXPECT_EXIT(kq, other.pid, CODE(1), 1);
        OK(close(other.line));
        OK(close(other.far));
        CHECK_EQ(open_descriptors(), first);
        reap(other.pid);
    }
}

/* 8.5 The same of knotes with notes: what the system tells of forks by ends with the queue, at the latest. */
TEST(no_descriptor_is_left_of_notes, "8.5 10.2")
{
    struct puppet child;
    give_birth(&child);
    int before = open_descriptors();
    for (int round = 0; round < 10; round++) {
        int kq = queue(), first = 0;
        for (int i = 0; i < 10; i++) {
            watch_notes(kq, child.pid, EV_ADD, NOTE_FORK | NOTE_EXEC | NOTE_TRACK | NOTE_EXIT, 1);
            change(kq, child.pid, EVFILT_PROC, EV_DELETE, 0, 0, 0);
            if (i == 0)
                first = open_descriptors();
            CHECK_EQ(open_descriptors(), first);
        }
        watch_notes(kq, child.pid, EV_ADD, NOTE_FORK, 1);
        OK(close(kq));
        CHECK_EQ(open_descriptors(), before);
    }
}

/* 10.3 A child of fork has none of our descriptors, whatever is watched; nor has a program (10.4). */
TEST(child_has_none_of_ours, "10.3 10.4 8.5")
{
    int without = open_descriptors(), kq = queue(), program = 0;
    int own = open_descriptors() - without;
    struct puppet children[5];
    for (int i = 0; i < 5; i++)
        give_birth(&children[i]);
    int before = open_descriptors() - own; /* without the kqueue */
    for (int i = 0; i < 5; i++)
        change(kq, children[i].pid, EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, i);
    change_errno(kq, children[0].pid, EVFILT_PROC, EV_ADD, NOTE_FORK | NOTE_TRACK | NOTE_EXIT, 0, 0);
    pid_t pid = OK(fork());
    if (pid == 0) {
        CHECK_EQ(open_descriptors(), before);
        /* 10.3: a queue of its own watches the same processes, to it strangers. */
        int another = queue();
        change(another, children[1].pid, EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, 1);
        nothing(another);
        OK(close(another));
        CHECK_EQ(open_descriptors(), before);
        _exit(0);
    }
    child_succeeds(pid);
    pid = OK(fork());
    if (pid == 0) {
        for (int i = 0; i < 5; i++) {
            OK(close(children[i].line));
            OK(close(children[i].far));
        }
        exec_helper("descriptors", "");
    }
    program = reap(pid);
    CHECK_EQ(program, 0);
    /* The parent's are whole. */
    order(&children[4], EXIT, 3);
    EXPECT_EXIT(kq, children[4].pid, CODE(3), 4);
}

static atomic_int stop;

struct hammer {
    int kq;
    pid_t pid;
    unsigned fflags;
};

static void *add_and_delete(void *argument)
{
    struct hammer *hammer = argument;
    while (!stop) {
        watch_notes(hammer->kq, hammer->pid, EV_ADD, hammer->fflags, 1);
        change(hammer->kq, hammer->pid, EVFILT_PROC, EV_DELETE, 0, 0, 0);
    }
    return NULL;
}

/* Children that are forked while another thread adds and deletes have none of our descriptors. */
static void fork_while_added(unsigned fflags)
{
    struct thread thread;
    struct puppet child;
    give_birth(&child);
    int before = open_descriptors();
    struct hammer hammer = {queue(), child.pid, fflags};
    start(&thread, add_and_delete, &hammer);
    for (int i = 0; i < 200; i++) {
        pid_t pid = OK(fork());
        if (pid == 0) {
            CHECK_EQ(open_descriptors(), before);
            _exit(0);
        }
        child_succeeds(pid);
    }
    stop = 1;
    join(&thread);
}

TEST_LIMIT(fork_while_processes_are_added, "10.3", 60)
{
    fork_while_added(NOTE_EXIT);
}

TEST_LIMIT(fork_while_notes_are_added, "10.3 8.5", 60)
{
    fork_while_added(NOTE_FORK | NOTE_TRACK | NOTE_EXIT);
}

/* 8.5 Another thread adds and deletes notes in the same queue: no fork of a watched process is lost by it. */
TEST_LIMIT(notes_beside_changes, "8.5", 60)
{
    struct thread thread;
    struct puppet child, other;
    give_birth(&child);
    give_birth(&other);
    struct hammer hammer = {queue(), other.pid, NOTE_FORK | NOTE_TRACK | NOTE_EXIT};
    watch_notes(hammer.kq, child.pid, EV_ADD, NOTE_FORK | NOTE_EXIT, 2);
    start(&thread, add_and_delete, &hammer);
    for (int i = 0; i < 200; i++) {
        tell(&child, BRIEF, 1);
        EXPECT_NEXT(hammer.kq, child.pid, EVFILT_PROC, LIVES, NOTE_FORK, 0, 2);
    }
    stop = 1;
    join(&thread);
    order(&child, EXIT, 1);
    EXPECT_EXIT(hammer.kq, child.pid, CODE(1), 2);
}

/* 1.1 No descriptor left: EMFILE, as the errno and as an entry; what was watched is not lost. */
TEST(no_descriptor_for_a_process, "1.1 1.5 8.2")
{
    int kq = queue();
    struct puppet watched, other;
    struct rlimit limit, none;
    struct kevent ev[4];
    give_birth(&watched);
    give_birth(&other);
    change(kq, watched.pid, EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, 1);
    OK(getrlimit(RLIMIT_NOFILE, &limit));
    none = limit;
    none.rlim_cur = (rlim_t)OK(dup(0)); /* the lowest number that is free */
    OK(close((int)none.rlim_cur));
    OK(setrlimit(RLIMIT_NOFILE, &none));
    int error = change_errno(kq, other.pid, EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, 2);
    if (error) {
        CHECK_EQ(error, EMFILE);
        no_knote(kq, other.pid);
        struct kevent add = EVENT(other.pid, EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, 2);
        CHECK_EQ(kevent(kq, &add, 1, ev, 4, &no_wait), 1);
        EXPECT_EVENT(ev[0], other.pid, EVFILT_PROC, EV_ADD | EV_ERROR, NOTE_EXIT, EMFILE, 2);
    }
    change(kq, watched.pid, EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, 3);
    exits(&watched, 1);
    EXPECT_EXIT(kq, watched.pid, CODE(1), 3);
    CHECK_EQ(change_errno(kq, INT_MAX, EVFILT_PROC, EV_DELETE, 0, 0, 0), ENOENT);
    OK(setrlimit(RLIMIT_NOFILE, &limit));
    change(kq, other.pid, EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, 4);
    exits(&other, 2);
    EXPECT_EXIT(kq, other.pid, CODE(2), 4);
}

#endif
