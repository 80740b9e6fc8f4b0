/*-------------------------------------------------------------------------
 * disk_full.c
 *		To be preloaded into a server: while the file exists that the environment
 *		variable DISK_FULL names, no table can grow.
 *-------------------------------------------------------------------------
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

/* Would writing up to there make a table longer, now that there is no room? */
static int
no_room(int fd, long end)
{
	const char *flag = getenv("DISK_FULL");
	char		link[64];
	char		path[4096];
	struct stat st;
	ssize_t		n;

	if (flag == NULL || access(flag, F_OK) != 0 || fstat(fd, &st) != 0 || end <= st.st_size)
		return 0;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	if (n < 0)
		return 0;
	path[n] = '\0';
	if (strstr(path, "/base/") == NULL)
		return 0;
	errno = ENOSPC;
	return 1;
}

static size_t
length(const struct iovec *iov, int n)
{
	size_t		sum = 0;

	while (n-- > 0)
		sum += iov[n].iov_len;
	return sum;
}

#define WRITE(name) \
ssize_t \
name(int fd, const void *buf, size_t n, long offset) \
{ \
	ssize_t		(*next) (int, const void *, size_t, long) = \
	(ssize_t (*) (int, const void *, size_t, long)) dlsym(RTLD_NEXT, #name); \
	return no_room(fd, offset + (long) n) ? -1 : next(fd, buf, n, offset); \
}

#define WRITEV(name) \
ssize_t \
name(int fd, const struct iovec *iov, int n, long offset) \
{ \
	ssize_t		(*next) (int, const struct iovec *, int, long) = \
	(ssize_t (*) (int, const struct iovec *, int, long)) dlsym(RTLD_NEXT, #name); \
	return no_room(fd, offset + (long) length(iov, n)) ? -1 : next(fd, iov, n, offset); \
}

#define ALLOCATE(name) \
int \
name(int fd, long offset, long n) \
{ \
	int			(*next) (int, long, long) = (int (*) (int, long, long)) dlsym(RTLD_NEXT, #name); \
	return no_room(fd, offset + n) ? ENOSPC : next(fd, offset, n); \
}

WRITE(pwrite)
WRITE(pwrite64)
WRITEV(pwritev)
WRITEV(pwritev64)
ALLOCATE(posix_fallocate)
ALLOCATE(posix_fallocate64)
