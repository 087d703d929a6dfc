// SPDX-License-Identifier: BSD-2-Clause
//
// Dovecot's notifications of a mailbox that changes (io_add_notify), which its own tests do not use. "OK|FAIL name", one line
// a test; each waits for the notification, or to show that none comes, for that of another change after it.

#include "lib.h"
#include "ioloop.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { WAIT_MS = 30000 };

static struct ioloop *loop;

static void noticed(int *count)
{
    ++*count;
    io_loop_stop(loop);
}

static void late(int *is_late)
{
    *is_late = 1;
    io_loop_stop(loop);
}

// Runs until something is noticed; whether it was.
static int wait_for(const int *count)
{
    int is_late = 0, before = *count;
    struct timeout *timeout = timeout_add((unsigned int)WAIT_MS, late, &is_late);

    while (!is_late && *count == before)
        io_loop_run(loop);
    timeout_remove(&timeout);
    return *count > before;
}

static void tell(const char *name, int ok)
{
    printf("%s %s\n", ok ? "OK" : "FAIL", name);
    fflush(stdout);
}

static void append(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);

    if (fd == -1 || write(fd, "x", 1) != 1 || close(fd) != 0)
        i_fatal("%s: %m", path);
}

int main(void)
{
    struct io *directory, *file, *again;
    int in_directory = 0, in_file = 0, in_again = 0, calls;

    lib_init();
    loop = io_loop_create();
    if (mkdir("new", 0700) != 0)
        i_fatal("new: %m");
    append("index");
    tell("missing_is_not_found", io_add_notify("missing", noticed, &in_file, &file) == IO_NOTIFY_NOTFOUND);
    if (io_add_notify("new", noticed, &in_directory, &directory) != IO_NOTIFY_ADDED ||
        io_add_notify("index", noticed, &in_file, &file) != IO_NOTIFY_ADDED)
        i_fatal("nothing can be watched");

    append("new/mail");
    tell("mail_arrives", wait_for(&in_directory));
    rename("new/mail", "new/seen");
    tell("mail_is_renamed", wait_for(&in_directory));
    unlink("new/seen");
    tell("mail_is_expunged", wait_for(&in_directory));
    append("index");
    tell("index_grows", wait_for(&in_file));

    calls = in_directory;
    append("index");
    tell("the_other_is_not_notified", wait_for(&in_file) && in_directory == calls);

    // Two on one file, one of which is removed.
    if (io_add_notify("index", noticed, &in_again, &again) != IO_NOTIFY_ADDED)
        i_fatal("index cannot be watched twice");
    io_remove(&file);
    calls = in_file;
    append("index");
    tell("removed_is_not_notified", wait_for(&in_again) && in_file == calls);

    io_remove(&again);
    io_remove(&directory);
    io_loop_destroy(&loop);
    lib_deinit();
    return 0;
}
