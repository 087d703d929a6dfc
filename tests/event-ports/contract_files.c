/* SPDX-License-Identifier: BSD-2-Clause */
/* PORT_SOURCE_FILE. */
#include "contract.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

enum { FROM = PORT_SOURCE_FILE };

static char name[] = "contract.XXXXXX";
static file_obj_t object;

static int a_file(void)
{
    int file = GOOD(mkstemp(name));
    put(file, "text");
    object = (file_obj_t){.fo_name = name};
    return file;
}

static void set_times(int file)
{
    struct stat status;
    GOOD(fstat(file, &status));
    object.fo_atime = status.st_atim;
    object.fo_mtime = status.st_mtim;
    object.fo_ctime = status.st_ctim;
}

static int watch(int wanted, int user)
{
    return port_associate(p, FROM, (uintptr_t)&object, wanted, USER(user));
}

static void watch_descriptor(int file, int wanted, int user)
{
    static char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    object.fo_name = path;
    GOOD(watch(wanted, user));
}

CASE(5_4_a_write)
{
    int file = a_file();
    set_times(file);
    GOOD(watch(FILE_MODIFIED, 1));
    EQ(taken(p), 0);
    put(file, "x");
    one(p);
    IS(events[0], FROM, &object, FILE_MODIFIED, 1);
    put(file, "x");
    EQ(taken(p), 0);
    unlink(name);
}

CASE(5_3_times_are_compared)
{
    int file = a_file();
    set_times(file);
    /* Stamps move by ticks of the clock. */
    struct stat before, after;
    GOOD(fstat(file, &before));
    do {
        put(file, "x");
        GOOD(fstat(file, &after));
    } while (memcmp(&before.st_mtim, &after.st_mtim, sizeof before.st_mtim) == 0);
    GOOD(watch(FILE_MODIFIED, 1));
    EQ(taken(p), 1);
    IS(events[0], FROM, &object, FILE_MODIFIED, 1);
    GOOD(watch(FILE_ACCESS, 2));
    EQ(taken(p), 0);
    object = (file_obj_t){.fo_name = name};
    GOOD(watch(FILE_MODIFIED, 3));
    EQ(taken(p), 0);
    unlink(name);
}

CASE(5_2_what_is_refused)
{
    int ends[2];
    a_file();
    ERROR(port_dissociate(p, FROM, (uintptr_t)&object), EINVAL);
    ERROR(watch(FILE_DELETE | FILE_MODIFIED, 1), EINVAL);
    ERROR(watch(FILE_RENAME_FROM | FILE_MODIFIED, 1), EINVAL);
    unlink(name);
    ERROR(watch(FILE_MODIFIED, 1), ENOENT);
    object.fo_name = NULL;
    ERROR(watch(FILE_MODIFIED, 1), EFAULT);
    GOOD(socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", ends[0]);
    object.fo_name = path;
    ERROR(watch(FILE_MODIFIED, 1), ENOTSUP);
}

CASE(5_4_bits_of_one_operation)
{
    int file = a_file();
    GOOD(watch(FILE_MODIFIED | FILE_ATTRIB | FILE_ACCESS | FILE_TRUNC, 1));
    GOOD(fchmod(file, 0640));
    one(p);
    IS(events[0], FROM, &object, FILE_ATTRIB, 1);
    GOOD(watch(FILE_MODIFIED | FILE_ATTRIB | FILE_ACCESS | FILE_TRUNC, 2));
    put(file, "x");
    one(p);
    IS(events[0], FROM, &object, FILE_MODIFIED | FILE_ATTRIB, 2);
    GOOD(watch(FILE_MODIFIED | FILE_ATTRIB | FILE_ACCESS | FILE_TRUNC, 3));
    GOOD(ftruncate(file, 0));
    one(p);
    IS(events[0], FROM, &object, FILE_TRUNC | FILE_MODIFIED | FILE_ATTRIB, 3);
    unlink(name);
}

CASE(5_4_a_read_is_an_access)
{
    int file = a_file();
    GOOD(lseek(file, 0, SEEK_SET));
    GOOD(watch(FILE_ACCESS, 1));
    get(file, 4);
    one(p);
    IS(events[0], FROM, &object, FILE_ACCESS, 1);
    unlink(name);
}

CASE(5_4_opening_is_nothing)
{
    int file = a_file();
    GOOD(watch(FILE_MODIFIED | FILE_ATTRIB | FILE_ACCESS, 1));
    close(GOOD(open(name, O_RDONLY)));
    EQ(taken(p), 0);
    close(file);
    EQ(taken(p), 0);
    unlink(name);
}

CASE(5_4_an_entry_of_a_directory)
{
    a_file();
    object.fo_name = ".";
    GOOD(watch(FILE_MODIFIED | FILE_ATTRIB, 1));
    unlink(name);
    one(p);
    IS(events[0], FROM, &object, FILE_MODIFIED | FILE_ATTRIB, 1);
}

CASE(5_5_unlink_by_name)
{
    int file = a_file();
    GOOD(watch(FILE_ATTRIB, 1));
    unlink(name);
    one(p);
    IS(events[0], FROM, &object, FILE_DELETE, 1);
    ERROR(port_dissociate(p, FROM, (uintptr_t)&object), ENOENT);
    close(file);
}

CASE(5_6_unlink_by_descriptor)
{
    int file = a_file();
    watch_descriptor(file, FILE_ATTRIB, 1);
    unlink(name);
    one(p);
    IS(events[0], FROM, &object, FILE_ATTRIB, 1);
    /* It can be watched again, and goes by what is open. */
    watch_descriptor(file, FILE_MODIFIED, 2);
    put(file, "x");
    one(p);
    IS(events[0], FROM, &object, FILE_MODIFIED, 2);
}

CASE(5_6_rename)
{
    int file = a_file();
    char other[sizeof name + 1];
    snprintf(other, sizeof other, "%sx", name);
    GOOD(watch(FILE_ATTRIB, 1));
    GOOD(rename(name, other));
    one(p);
    IS(events[0], FROM, &object, FILE_RENAME_FROM, 1);
    watch_descriptor(file, FILE_ATTRIB, 2);
    GOOD(rename(other, name));
    one(p);
    IS(events[0], FROM, &object, FILE_ATTRIB, 2);
    unlink(name);
}

CASE(5_6_a_directory_by_descriptor)
{
    char directory[] = "contract.XXXXXX";
    TRUE(mkdtemp(directory) != NULL);
    int fd = GOOD(open(directory, O_RDONLY | O_DIRECTORY));
    object = (file_obj_t){0};
    watch_descriptor(fd, FILE_ATTRIB, 1);
    GOOD(rmdir(directory));
    one(p);
    IS(events[0], FROM, &object, FILE_DELETE, 1);
}

CASE(5_8_dissociate)
{
    int file = a_file();
    GOOD(watch(FILE_MODIFIED, 1));
    EQ(port_dissociate(p, FROM, (uintptr_t)&object), 0);
    put(file, "x");
    EQ(taken(p), 0);
    GOOD(watch(FILE_MODIFIED, 1));
    put(file, "x");
    until_queued(p, 1);
    EQ(port_dissociate(p, FROM, (uintptr_t)&object), 0);
    EQ(taken(p), 0);
    ERROR(port_dissociate(p, FROM, (uintptr_t)&object), ENOENT);
    unlink(name);
}

CASE(5_4_one_shot)
{
    int file = a_file();
    GOOD(watch(FILE_MODIFIED, 1));
    put(file, "x");
    one(p);
    put(file, "y");
    EQ(taken(p), 0);
    ERROR(port_dissociate(p, FROM, (uintptr_t)&object), ENOENT);
    unlink(name);
}
