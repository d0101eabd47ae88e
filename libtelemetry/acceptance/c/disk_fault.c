/*
 * Preloaded: a call on a file fails when a test says so.
 *
 * The test writes /run/fault: `OPERATION ERRNO PATTERN [COUNT]`. The next call of
 * that operation, or of any, on a path that matches PATTERN, see fnmatch(3),
 * fails with ERRNO, and the file is renamed to /run/fault-done. Before it, COUNT
 * calls of the process are let pass. `OPERATION! ...`: all such calls fail.
 *
 * Calls on files below /var are noted in /run/calls, and the one that failed in
 * /run/fault-done, if these files exist: `OPERATION PATH`.
 */

#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Calls that the fault could have been for. */
static atomic_int passed;

#define NEXT(function) ((__typeof__(&(function)))dlsym(RTLD_NEXT, #function))

static void note(const char *file, const char *operation, const char *path)
{
	char line[600];
	int len, fd = (int)syscall(SYS_openat, AT_FDCWD, file, O_WRONLY | O_APPEND | O_CLOEXEC);

	if (fd >= 0) {
		len = snprintf(line, sizeof line, "%s %s\n", operation, path);
		syscall(SYS_write, fd, line, (size_t)len);
		syscall(SYS_close, fd);
	}
}

/* Whether this call is to fail; errno is then set. */
static bool fails(const char *operation, const char *path)
{
	char fault[600], wanted[32], pattern[512];
	int number, count = 0, fd, before = errno;
	bool always, taken;
	ssize_t len;

	if (strncmp(path, "/var/", 5) != 0) {
		return false;
	}
	note("/run/calls", operation, path);
	fd = (int)syscall(SYS_openat, AT_FDCWD, "/run/fault", O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		errno = before;
		return false;
	}
	len = syscall(SYS_read, fd, fault, sizeof fault - 1);
	syscall(SYS_close, fd);
	errno = before;
	fault[len < 0 ? 0 : len] = '\0';
	if (sscanf(fault, "%31s %d %511s %d", wanted, &number, pattern, &count) < 3) {
		return false;
	}
	always = wanted[strlen(wanted) - 1] == '!';
	if (always) {
		wanted[strlen(wanted) - 1] = '\0';
	}
	if ((strcmp(wanted, operation) != 0 && strcmp(wanted, "any") != 0) || fnmatch(pattern, path, 0) != 0 ||
	    atomic_fetch_add(&passed, 1) < count) {
		return false;
	}
	/* Of two threads, one gets it. */
	taken = always || syscall(SYS_renameat, AT_FDCWD, "/run/fault", AT_FDCWD, "/run/fault-done") == 0;
	if (taken) {
		note("/run/fault-done", operation, path);
	}
	errno = taken ? number : before;
	return taken;
}

static bool fails_fd(const char *operation, int fd)
{
	char link[64], path[512];
	int before = errno;
	ssize_t len;

	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	len = readlink(link, path, sizeof path - 1);
	errno = before;
	if (len < 0) {
		return false;
	}
	path[len] = '\0';
	return fails(operation, path);
}

int open64(const char *path, int flags, ...)
{
	mode_t mode = 0;

	if (flags & O_CREAT) {
		va_list arguments;

		va_start(arguments, flags);
		mode = va_arg(arguments, mode_t);
		va_end(arguments);
	}
	if (fails(flags & O_CREAT ? "create" : "open", path)) {
		return -1;
	}
	return NEXT(open64)(path, flags, mode);
}

ssize_t write(int fd, const void *bytes, size_t len)
{
	return fails_fd("write", fd) ? -1 : NEXT(write)(fd, bytes, len);
}

ssize_t read(int fd, void *bytes, size_t len)
{
	return fails_fd("read", fd) ? -1 : NEXT(read)(fd, bytes, len);
}

int fsync(int fd)
{
	return fails_fd("fsync", fd) ? -1 : NEXT(fsync)(fd);
}

int fdatasync(int fd)
{
	return fails_fd("fdatasync", fd) ? -1 : NEXT(fdatasync)(fd);
}

int rename(const char *from, const char *to)
{
	return fails("rename", from) ? -1 : NEXT(rename)(from, to);
}

int unlink(const char *path)
{
	return fails("unlink", path) ? -1 : NEXT(unlink)(path);
}

int mkdir(const char *path, mode_t mode)
{
	return fails("mkdir", path) ? -1 : NEXT(mkdir)(path, mode);
}

int statx(int directory, const char *restrict path, int flags, unsigned mask, struct statx *restrict result)
{
	/* Relative paths are those of a directory's entries. */
	char link[64], whole[1024];
	ssize_t len;

	if (path[0] != '/' && path[0] != '\0' && directory >= 0) {
		snprintf(link, sizeof link, "/proc/self/fd/%d", directory);
		len = readlink(link, whole, 500);
		if (len > 0) {
			snprintf(whole + len, sizeof whole - (size_t)len, "/%s", path);
			path = fails("stat", whole) ? NULL : path;
		}
	} else if (path[0] == '/' && fails("stat", path)) {
		path = NULL;
	}
	return path ? NEXT(statx)(directory, path, flags, mask, result) : -1;
}

DIR *opendir(const char *path)
{
	return fails("opendir", path) ? NULL : NEXT(opendir)(path);
}

struct dirent64 *readdir64(DIR *directory)
{
	return fails_fd("readdir", dirfd(directory)) ? NULL : NEXT(readdir64)(directory);
}
