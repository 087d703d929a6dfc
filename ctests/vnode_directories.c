/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * EVFILT_VNODE on directories (5.2, 5.3): what is made, removed and renamed in them, and what becomes of
 * themselves.
 *
 * Before each action there are dir (watched) with file, other, sub, spare and full/file in it, and beside it
 * file, sub and elsewhere. Each action is tried with every wish.
 */
#define SUITE "vnode_directories"
#include "suite.h"

#include "vnodes.h"

#ifdef EVFILT_VNODE

#include <dirent.h>

/* Of NOTE_EXTEND and NOTE_TRUNCATE of a directory only the cases at their own place ask. */
#define DIRECTORY_NOTES (CHANGES & ~(NOTE_EXTEND | NOTE_TRUNCATE))

static void one_wish(int kq, void (*act)(int), unsigned wanted, unsigned expected)
{
    static int round;
    char directory[32];
    snprintf(directory, sizeof directory, "round%d", round++);
    OK(mkdir(directory, 0755));
    OK(chdir(directory));
    OK(mkdir("sub", 0755));
    OK(mkdir("elsewhere", 0755));
    touch_file("file");
    int fd = new_directory("dir");
    touch_file("dir/file");
    touch_file("dir/other");
    OK(mkdir("dir/sub", 0755));
    OK(mkdir("dir/spare", 0755));
    OK(mkdir("dir/full", 0755));
    touch_file("dir/full/file");
    printf("wanted %#x, expected %#x\n", wanted, expected);
    watch(kq, fd, wanted, 0xfeed);
    act(fd);
    if (expected)
        EXPECT_NOTES(kq, fd, expected, 0xfeed);
    OK(chdir(".."));
    silent(kq);
    change(kq, fd, EVFILT_VNODE, EV_DELETE, 0, 0, 0);
    OK(close(fd));
}

static void every_wish(void (*act)(int), unsigned notes, unsigned decided)
{
    int kq = queue();
    one_wish(kq, act, decided, notes);
    one_wish(kq, act, decided & ~notes, 0);
    for (unsigned note = 1; note <= decided; note <<= 1)
        if (note & decided)
            one_wish(kq, act, note, notes & note);
}

#define ACTION_OF(name, rules, notes, decided)                                                              \
    static void name(int fd);                                                                               \
    TEST(name, rules)                                                                                       \
    {                                                                                                       \
        every_wish(name, notes, decided);                                                                   \
    }                                                                                                       \
    static void name(int fd)

#define ACTION(name, rules, notes)                                                                          \
    ACTION_OF(name, rules, notes, DIRECTORY_NOTES)

/* ---- 5.2 Entries that are no directories ---------------------------------------------------------- */

ACTION(making_a_file, "5.2 5.3", NOTE_WRITE)
{
    (void)fd;
    touch_file("dir/new");
}

ACTION(making_a_file_at_the_descriptor, "5.2 5.3", NOTE_WRITE)
{
    OK(close(OK(openat(fd, "new", O_RDWR | O_CREAT, 0644))));
}

ACTION(making_a_link, "5.2 5.3", NOTE_WRITE)
{
    (void)fd;
    OK(link("file", "dir/new"));
}

ACTION(making_a_symbolic_link, "5.2 5.3", NOTE_WRITE)
{
    (void)fd;
    OK(symlink("/", "dir/new"));
}

ACTION(making_a_fifo, "5.2 5.3", NOTE_WRITE)
{
    (void)fd;
    OK(mkfifo("dir/new", 0600));
}

ACTION(making_a_socket, "5.2 5.3", NOTE_WRITE)
{
    (void)fd;
    struct sockaddr_un name = {.sun_family = AF_UNIX, .sun_path = "dir/new"};
    int bound_fd = OK(socket(AF_UNIX, SOCK_STREAM, 0));
    OK(bind(bound_fd, (struct sockaddr *)&name, sizeof name));
    OK(close(bound_fd));
}

ACTION(removing_a_file, "5.2 5.3", NOTE_WRITE)
{
    (void)fd;
    OK(unlink("dir/file"));
}

ACTION(renaming_a_file_within, "5.2 5.3", NOTE_WRITE)
{
    (void)fd;
    OK(rename("dir/file", "dir/new"));
}

ACTION(renaming_a_file_over_another, "5.2 5.3", NOTE_WRITE)
{
    (void)fd;
    OK(rename("dir/file", "dir/other"));
}

ACTION(moving_a_file_in, "5.2 5.3", NOTE_WRITE)
{
    (void)fd;
    OK(rename("file", "dir/new"));
}

ACTION(moving_a_file_over_another, "5.2 5.3", NOTE_WRITE)
{
    (void)fd;
    OK(rename("file", "dir/file"));
}

ACTION(moving_a_file_out, "5.2 5.3", NOTE_WRITE)
{
    (void)fd;
    OK(rename("dir/file", "elsewhere/file"));
}

/* ---- 5.3 Subdirectories: NOTE_LINK too ----------------------------------------------------------- */

#define SUBDIRECTORIES (NOTE_WRITE | NOTE_LINK)

ACTION(making_a_subdirectory, "5.2 5.3", SUBDIRECTORIES)
{
    (void)fd;
    OK(mkdir("dir/new", 0755));
}

ACTION(removing_a_subdirectory, "5.2 5.3", SUBDIRECTORIES)
{
    (void)fd;
    OK(rmdir("dir/sub"));
}

ACTION(moving_a_subdirectory_in, "5.2 5.3", SUBDIRECTORIES)
{
    (void)fd;
    OK(rename("sub", "dir/new"));
}

ACTION(moving_a_subdirectory_out, "5.2 5.3", SUBDIRECTORIES)
{
    (void)fd;
    OK(rename("dir/sub", "elsewhere/sub"));
}

/* 5.3 ...not when it is renamed inside. */
ACTION(renaming_a_subdirectory_within, "5.2 5.3", NOTE_WRITE)
{
    (void)fd;
    OK(rename("dir/sub", "dir/new"));
}

/* 5.3 One moved out and another moved in: the count is what it was, and both are told. */
ACTION(exchanging_subdirectories, "5.2 5.3", SUBDIRECTORIES)
{
    (void)fd;
    OK(rename("dir/sub", "elsewhere/sub"));
    OK(rename("sub", "dir/sub"));
}

ACTION(making_and_removing_a_subdirectory, "5.2 5.3", SUBDIRECTORIES)
{
    (void)fd;
    OK(mkdir("dir/new", 0755));
    OK(rmdir("dir/new"));
}

/* 5.3 A file that moves in while a subdirectory is renamed inside is no subdirectory that moves. */
ACTION(moving_a_file_beside_a_renamed_subdirectory, "5.2 5.3", NOTE_WRITE)
{
    (void)fd;
    OK(rename("file", "dir/new"));
    OK(rename("dir/sub", "dir/newer"));
    OK(rename("dir/file", "elsewhere/file"));
}

/* 5.3 A subdirectory that another is renamed over is removed. */
ACTION(renaming_a_subdirectory_over_another, "5.2 5.3", SUBDIRECTORIES)
{
    (void)fd;
    OK(rename("dir/sub", "dir/spare"));
}

#ifdef RENAME_EXCHANGE
static void exchange(const char *one, const char *other)
{
    if (renameat2(AT_FDCWD, one, AT_FDCWD, other, RENAME_EXCHANGE) == -1)
        SKIP("no RENAME_EXCHANGE on this file system");
}

/* 5.3 A subdirectory moves out, or in, against a file; and inside, where no count changes. */
ACTION(exchanging_a_subdirectory_for_a_file, "5.2 5.3", SUBDIRECTORIES)
{
    (void)fd;
    exchange("dir/sub", "file");
}

ACTION(exchanging_a_file_for_a_subdirectory, "5.2 5.3", SUBDIRECTORIES)
{
    (void)fd;
    exchange("dir/file", "sub");
}

ACTION(exchanging_within, "5.2 5.3", NOTE_WRITE)
{
    (void)fd;
    exchange("dir/file", "dir/sub");
    exchange("dir/spare", "dir/full");
}
#endif

/* ---- 5.2 What is not the directory's ------------------------------------------------------------- */

/* 5.2 Not writes to its files, nor anything else that becomes of them. */
ACTION_OF(changing_its_files, "5.2 5.3", 0, CHANGES)
{
    (void)fd;
    struct timespec times[2] = {{1000, 0}, {2000, 0}};
    append_to("dir/file", 10);
    OK(truncate("dir/file", 5));
    OK(chmod("dir/file", 0600));
    OK(chown("dir/file", geteuid(), getegid()));
    OK(utimensat(AT_FDCWD, "dir/file", times, 0));
    OK(link("dir/file", "elsewhere/link"));
    OK(unlink("elsewhere/link"));
}

ACTION_OF(changing_its_subdirectories, "5.2 5.3", 0, CHANGES)
{
    (void)fd;
    touch_file("dir/sub/file");
    OK(rename("dir/sub/file", "dir/sub/other"));
    OK(unlink("dir/sub/other"));
    OK(mkdir("dir/sub/sub", 0755));
    OK(rmdir("dir/sub/sub"));
    OK(rename("sub", "dir/sub/sub"));
    OK(rename("dir/full/file", "dir/sub/file"));
    OK(chmod("dir/sub", 0700));
}

ACTION_OF(changing_what_is_beside_it, "5.2 5.3", 0, CHANGES)
{
    (void)fd;
    OK(mkdir("new", 0755));
    OK(rmdir("new"));
    OK(rename("file", "elsewhere/file"));
    OK(rename("sub", "renamed"));
    OK(chmod(".", 0700));
}

ACTION_OF(reading_it, "5.2 5.3", 0, CHANGES)
{
    (void)fd;
    DIR *stream = opendir("dir");
    CHECK(stream != NULL);
    while (readdir(stream))
        continue;
    closedir(stream);
    struct stat st;
    OK(stat("dir/file", &st));
    OK(close(OK(open("dir/file", O_RDWR))));
}

ACTION_OF(failing_in_it, "5.2", 0, CHANGES)
{
    (void)fd;
    CHECK_ERRNO(mkdir("dir/sub", 0755), EEXIST);
    CHECK_ERRNO(unlink("dir/none"), ENOENT);
    CHECK(rmdir("dir/full") == -1);
    CHECK(rename("sub", "dir/full") == -1);
}

#ifdef NOTE_OPEN
/* 5.2 Its files are opened, read, written and closed: the directory is not. */
TEST(using_its_files_is_not_using_it, "5.2 5.3")
{
    int kq = queue(), fd = new_directory("dir");
    OK(close(new_file("dir/file", 10)));
    watch(kq, fd, CHANGES | USES, 0xfeed);
    int file = OK(open("dir/file", O_RDWR));
    take(file, 5);
    put(file, 1);
    OK(close(file));
    OK(close(OK(open("dir/file", O_RDONLY))));
    silent(kq);
}

/* 5.3 A directory that is opened, read and closed, and one in it. */
TEST(using_a_directory, "5.3")
{
    int kq = queue(), fd = new_directory("dir");
    OK(close(new_directory("dir/sub")));
    watch(kq, fd, USES, 0xfeed);
    DIR *stream = opendir("dir");
    CHECK(stream != NULL);
    EXPECT_NOTES(kq, fd, NOTE_OPEN, 0xfeed);
    while (readdir(stream))
        continue;
    EXPECT_NOTES(kq, fd, NOTE_READ, 0xfeed);
    closedir(stream);
    EXPECT_NOTES(kq, fd, NOTE_CLOSE, 0xfeed);
    stream = opendir("dir/sub");
    CHECK(stream != NULL);
    while (readdir(stream))
        continue;
    closedir(stream);
    silent(kq);
}
#endif

/* 5.2 NOTE_EXTEND of a directory: an entry moved in or out (F), and nothing else makes it. */
TEST(moved_entries_extend, "5.2")
{
    int kq = queue(), fd = new_directory("dir");
    OK(close(new_directory("elsewhere")));
    touch_file("file");
    watch(kq, fd, NOTE_WRITE | NOTE_EXTEND, 0xfeed);
    OK(rename("file", "dir/file"));
    EXPECT_NOTES(kq, fd, NOTE_WRITE | NOTE_EXTEND, 0xfeed);
    OK(rename("dir/file", "elsewhere/file"));
    EXPECT_NOTES(kq, fd, NOTE_WRITE | NOTE_EXTEND, 0xfeed);
    touch_file("dir/file");
    EXPECT_NOTES(kq, fd, NOTE_WRITE, 0xfeed);
    OK(rename("dir/file", "dir/other"));
    EXPECT_NOTES(kq, fd, NOTE_WRITE, 0xfeed);
    OK(unlink("dir/other"));
    EXPECT_NOTES(kq, fd, NOTE_WRITE, 0xfeed);
    silent(kq);
}

/* ---- 5.3 The directory itself -------------------------------------------------------------------- */

static void empty(void)
{
    OK(unlink("dir/file"));
    OK(unlink("dir/other"));
    OK(rmdir("dir/sub"));
    OK(rmdir("dir/spare"));
    OK(unlink("dir/full/file"));
    OK(rmdir("dir/full"));
}

ACTION(setting_its_mode, "5.3", NOTE_ATTRIB)
{
    OK(fchmod(fd, 0700));
}

ACTION(setting_its_times, "5.3", NOTE_ATTRIB)
{
    (void)fd;
    OK(utimensat(AT_FDCWD, "dir", NULL, 0));
}

/* 5.3 Its own attributes beside what is made in it, seen at once. */
ACTION(setting_its_times_before_a_subdirectory_is_made, "5.1 5.3", NOTE_ATTRIB | SUBDIRECTORIES)
{
    (void)fd;
    OK(utimensat(AT_FDCWD, "dir", NULL, 0));
    OK(mkdir("dir/new", 0755));
}

ACTION(renaming_it, "5.3", NOTE_RENAME)
{
    (void)fd;
    OK(rename("dir", "renamed"));
}

ACTION(moving_it, "5.3", NOTE_RENAME)
{
    (void)fd;
    OK(rename("dir", "elsewhere/dir"));
}

ACTION(renaming_it_over_another, "5.3", NOTE_RENAME)
{
    (void)fd;
    OK(rename("dir", "sub"));
}

/* 5.3 NOTE_DELETE: directories too. (What of its link count, the systems differ.) */
ACTION_OF(removing_it, "5.3", NOTE_DELETE | NOTE_WRITE, DIRECTORY_NOTES & ~NOTE_LINK)
{
    (void)fd;
    empty();
    OK(rmdir("dir"));
}

ACTION_OF(removing_it_after_it_was_moved, "5.3", NOTE_DELETE | NOTE_WRITE | NOTE_RENAME, DIRECTORY_NOTES & ~NOTE_LINK)
{
    (void)fd;
    empty();
    OK(rename("dir", "elsewhere/dir"));
    OK(rmdir("elsewhere/dir"));
}

ACTION_OF(moving_another_over_it, "5.3", NOTE_DELETE | NOTE_WRITE, DIRECTORY_NOTES & ~NOTE_LINK)
{
    (void)fd;
    empty();
    OK(rename("sub", "dir"));
}

#endif
