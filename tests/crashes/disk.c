/*
 * The disk under one directory, for programs that are started with LD_PRELOAD: it keeps aside what a
 * power cut would leave there. See disk.py, which builds this file and cuts the power.
 *
 * What counts as being on the disk is what POSIX promises, and no more:
 *   - the content of a file as it was at its last fsync or fdatasync;
 *   - a name (created, renamed, removed) as it was at the last fsync of its directory.
 * Whatever else may reach a real disk (sync_file_range, O_SYNC, msync, the kernel's own writing
 * back) counts for nothing, so this disk forgets too much rather than too little.
 *
 * JOBQUEUE_TEST_DISK     the directory; all below it is on this disk
 * JOBQUEUE_TEST_PLATTER  where its state is kept: data/ID is the content of a file, names/ID the list
 *                        of a directory (a line for each: "f" or "d", ID, name), lock is held while
 *                        something is being written. Whoever holds that lock has stopped the disk.
 *
 * An ID is the number of an inode and its time of birth, since numbers are used again.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { ID_SIZE = 64, PATH_SIZE = PATH_MAX + 128 };

static char disk[PATH_MAX], platter[PATH_MAX];

__attribute__((constructor)) static void plug_in(void) {
    const char *directory = getenv("JOBQUEUE_TEST_DISK"), *state = getenv("JOBQUEUE_TEST_PLATTER");
    if (directory && state && realpath(directory, disk)) {
        snprintf(platter, sizeof platter, "%s", state);
    }
}

/* A disk that can't keep what it promised must not go on. */
static void give_up(const char *what) {
    dprintf(2, "tests/crashes/disk.c: %s: %s\n", what, strerror(errno));
    abort();
}

/* The id of a file, and whether it is 'd', a directory, 'f', a file, or 0, something else. */
static char identify(int fd, const char *path, char id[ID_SIZE]) {
    struct statx about;
    int flags = AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW;
    if (statx(fd, path, flags, STATX_TYPE | STATX_INO | STATX_BTIME, &about)) {
        return 0;
    }
    snprintf(id, ID_SIZE, "%llu-%lld.%09u", (unsigned long long)about.stx_ino,
             (long long)about.stx_btime.tv_sec, about.stx_btime.tv_nsec);
    return S_ISDIR(about.stx_mode) ? 'd' : S_ISREG(about.stx_mode) ? 'f' : 0;
}

/* For disk.py: 0 and the id of what lies at this path, or -1. */
int disk_id(const char *path, char id[ID_SIZE]) {
    return identify(AT_FDCWD, path, id) ? 0 : -1;
}

static int is_on_this_disk(int fd) {
    char link[64], path[PATH_MAX];
    size_t length = strlen(disk);
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t size = readlink(link, path, sizeof path - 1);
    if (!length || size < (ssize_t)length) {
        return 0;
    }
    path[size] = 0;
    return !strncmp(path, disk, length) && (path[length] == '/' || !path[length]);
}

static void write_all(int fd, const char *data, ssize_t size) {
    while (size > 0) {
        ssize_t written = write(fd, data, size);
        if (written < 0) {
            give_up("write");
        }
        data += written, size -= written;
    }
}

/*
 * SQLite's locks are those of fcntl: a process loses them as soon as it closes *any* descriptor of
 * the file. So it is read by the one that is there; only who can't read by it has no such locks.
 */
static void keep_content(int fd, int copy) {
    char link[64], block[1 << 16];
    int source = fd;
    if ((fcntl(fd, F_GETFL) & O_ACCMODE) == O_WRONLY) {
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        source = open(link, O_RDONLY | O_CLOEXEC);
    }
    ssize_t size;
    off_t offset = 0;
    while ((size = pread(source, block, sizeof block, offset)) > 0) {
        write_all(copy, block, size);
        offset += size;
    }
    if (size < 0) {
        give_up("pread");
    }
    if (source != fd) {
        close(source);
    }
}

static void keep_names(int fd, int list) {
    int again = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = again < 0 ? NULL : fdopendir(again);
    if (!directory) {
        give_up("opendir");
    }
    for (struct dirent *entry; (entry = readdir(directory));) {
        char id[ID_SIZE], line[NAME_MAX + ID_SIZE + 8];
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) {
            continue;
        }
        char kind = identify(again, entry->d_name, id);
        if (kind) {
            write_all(list, line, snprintf(line, sizeof line, "%c %s %s\n", kind, id, entry->d_name));
        }
    }
    closedir(directory);
}

/*
 * Under the lock, so that of two copies of a file the later one stays, and each is a copy of all
 * that was written before its sync was asked for.
 */
static void keep(int fd) {
    char id[ID_SIZE], path[PATH_SIZE], new[PATH_SIZE + 8];
    char kind = identify(fd, "", id);
    if (!kind) {
        return;
    }
    snprintf(path, sizeof path, "%s/lock", platter);
    int lock = open(path, O_RDWR | O_CLOEXEC);
    if (lock < 0) {
        give_up(path);
    }
    while (flock(lock, LOCK_EX)) {
        if (errno != EINTR) {
            give_up("flock");
        }
    }
    snprintf(path, sizeof path, "%s/%s/%s", platter, kind == 'd' ? "names" : "data", id);
    snprintf(new, sizeof new, "%s.new", path);
    int copy = open(new, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (copy < 0) {
        give_up(new);
    }
    (kind == 'd' ? keep_names : keep_content)(fd, copy);
    if (close(copy) || rename(new, path)) {
        give_up(path);
    }
    close(lock);
}

static int keep_if_synced(int fd, int result) {
    int error = errno;
    if (!result && is_on_this_disk(fd)) {
        keep(fd);
    }
    errno = error;
    return result;
}

int fsync(int fd) {
    return keep_if_synced(fd, syscall(SYS_fsync, fd));
}

int fdatasync(int fd) {
    return keep_if_synced(fd, syscall(SYS_fdatasync, fd));
}
