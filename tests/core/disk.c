/* Be a disk that can be watched, for LD_PRELOAD: what a program syncs under $DISK is copied to
 * $PLATTER, as what is left of it after a power loss; once $PLATTER/broken exists, syncing fails. */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Two threads may sync one file at once. */
static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;

static int fail(int code)
{
    errno = code;
    return -1;
}

static int copy(const char *from, const char *to)
{
    char part[PATH_MAX];
    struct stat status;
    snprintf(part, sizeof part, "%s.part", to);
    int in = open(from, O_RDONLY), out = open(part, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (in < 0 || out < 0 || fstat(in, &status))
        return -1;
    for (off_t left = status.st_size; left > 0;) {
        ssize_t done = sendfile(out, in, NULL, left);
        if (done <= 0)
            return -1;
        left -= done;
    }
    close(in);
    close(out);
    return rename(part, to);
}

int fsync(int fd)
{
    const char *disk = getenv("DISK"), *platter = getenv("PLATTER");
    char link[64], path[PATH_MAX], kept[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0)
        return fail(EBADF);
    path[length] = 0;
    size_t inside = disk ? strlen(disk) : 0;
    if (!inside || !platter || strncmp(path, disk, inside) || path[inside] != '/')
        return syscall(SYS_fsync, fd);
    snprintf(kept, sizeof kept, "%s/broken", platter);
    if (!access(kept, F_OK))
        return fail(EIO);
    snprintf(kept, sizeof kept, "%s%s", platter, path + inside);
    pthread_mutex_lock(&turn);
    int failed = copy(path, kept);
    pthread_mutex_unlock(&turn);
    return failed ? fail(EIO) : 0;
}

int fdatasync(int fd)
{
    return fsync(fd);
}
