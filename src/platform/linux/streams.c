/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fclose(), closedir() and freopen() where nothing comes next: in a fully static program ours are the only ones, and
 * the linker takes libc's under the names that it keeps for old programs, or there is none to take.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#ifdef __GLIBC__

/* fclose() and pclose(): glibc's are one function. Not weak: that would not bring it into a static program. */
extern int _IO_fclose(FILE *);
/* What its freopen() is made of; any program with a stream has them. */
extern int _IO_file_close_it(FILE *) __attribute__((weak));
extern FILE *_IO_file_fopen(FILE *, const char *, const char *, int) __attribute__((weak));

/* _IO_FLAGS2_NOCLOSE of glibc: the stream is closed, its descriptor is not. */
enum { KEEPS_DESCRIPTOR = 32 };

int kq_static_fclose(FILE *stream)
{
	return _IO_fclose(stream);
}

/* glibc's DIR is one piece of memory. */
int kq_static_closedir(DIR *directory)
{
	int fd;

	if (directory == NULL) {
		errno = EINVAL;
		return -1;
	}
	fd = dirfd(directory);
	free(directory);
	return close(fd);
}

/* As libc's, the new file gets the number of the old one, which is free for nobody in between. */
FILE *kq_static_freopen(const char *path, const char *mode, FILE *stream)
{
	int fd = fileno(stream), flags;
	char same[32];
	FILE *result;

	if (_IO_file_close_it == NULL || _IO_file_fopen == NULL) {
		errno = ENOSYS;
		return NULL;
	}
#ifdef KQUEUE_POSIX
	if (path == NULL) {
		errno = ENOSYS;
		return NULL;
	}
#endif
	if (path == NULL) {
		snprintf(same, sizeof same, "/proc/self/fd/%d", fd);
		path = same;
	}
	flockfile(stream);
	stream->_flags2 |= KEEPS_DESCRIPTOR;
	_IO_file_close_it(stream);
	stream->_flags2 &= ~KEEPS_DESCRIPTOR;
	result = _IO_file_fopen(stream, path, mode, 0);
	if (result != NULL)
		result->_mode = 0;
	if (result == NULL) {
		int error = errno;
		if (fd >= 0)
			close(fd);
		errno = error;
	} else if (fd >= 0 && result->_fileno != fd) {
		flags = fcntl(result->_fileno, F_GETFD);
		dup3(result->_fileno, fd, flags & FD_CLOEXEC ? O_CLOEXEC : 0);
		close(result->_fileno);
		result->_fileno = fd;
	}
	funlockfile(stream);
	return result;
}

#else

int kq_static_fclose(FILE *stream)
{
	(void)stream;
	errno = ENOSYS;
	return EOF;
}

int kq_static_closedir(DIR *directory)
{
	(void)directory;
	errno = ENOSYS;
	return -1;
}

FILE *kq_static_freopen(const char *path, const char *mode, FILE *stream)
{
	(void)path, (void)mode, (void)stream;
	errno = ENOSYS;
	return NULL;
}

#endif
