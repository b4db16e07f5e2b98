/* Preloaded into a process, it sees and falsifies what that does to files under FAULTS_ROOT.

   FAULTS_ROOT     a directory, without symbolic links in its path
   FAULTS_CONTROL  a file of 4096 bytes, zeros at first, outside the root: `struct control`. Whoever
                   maps it turns faults on and off while the process runs.
   FAULTS_LOG      optional, outside the root: every change is appended as a `struct record`, with
                   its path, other path and data behind it, in the order in which they happened
   FAULTS_SUFFIX   optional: faults are only for files whose path ends so

   Calls go to the kernel by number, so this needs no dlsym and may run before any constructor. Files
   are known by their inode (fstat) and path (/proc/self/fd) at each call, never by a table of
   descriptors: so dup, fork, exec and close need no attention. What changes files in a way that is
   not recorded (links, splices, preallocation) answers EOPNOTSUPP under the root, as some file systems
   do; writing through mmap and glibc's own stdio on descriptors (fdopen) are not seen, fopen is. */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { OFF, GROWTH, ALL };        /* control.write_fault: which writes answer ENOSPC */
enum { NEW, BEING_MADE, MADE };   /* control.lock_state */

struct control {
    _Atomic int32_t write_fault, writes_before; /* that many succeed first */
    _Atomic int32_t read_fault, reads_before;   /* EIO */
    _Atomic int32_t sync_fault, syncs_before;   /* EIO */
    _Atomic int32_t failed;                     /* calls that were refused so far */
    _Atomic int32_t lock_state;
    pthread_mutex_t lock; /* makes a change and its record one step among all processes */
};

struct record {
    uint32_t kind, path_length, other_length, data_length;
    uint64_t inode, offset;
};

struct place {
    int fd;
    struct stat status;
    char buffer[PATH_MAX];
    const char *path; /* relative to the root, "" for the root itself */
};

static struct control *control;
static const char *root, *suffix;
static size_t root_length;
static int log_fd = -1;

static void append(const void *data, size_t length) {
    while (length) {
        long written = syscall(SYS_write, log_fd, data, length);
        if (written <= 0) abort();
        data = (const char *)data + written;
        length -= written;
    }
}

static void record(char kind, const char *path, const char *other, uint64_t inode, uint64_t offset,
                   const struct iovec *data, size_t length) {
    struct record head = {kind, strlen(path), strlen(other), length, inode, offset};
    append(&head, sizeof head);
    append(path, head.path_length);
    append(other, head.other_length);
    for (; length; data++) {
        size_t part = data->iov_len < length ? data->iov_len : length;
        append(data->iov_base, part);
        length -= part;
    }
}

static void lock(void) {
    if (pthread_mutex_lock(&control->lock) == EOWNERDEAD) pthread_mutex_consistent(&control->lock);
}

static void unlock(void) {
    int kept = errno;
    pthread_mutex_unlock(&control->lock);
    errno = kept;
}

static void make_lock(void) {
    int32_t expected = NEW;
    if (atomic_compare_exchange_strong(&control->lock_state, &expected, BEING_MADE)) {
        pthread_mutexattr_t kind;
        pthread_mutexattr_init(&kind);
        pthread_mutexattr_setpshared(&kind, PTHREAD_PROCESS_SHARED);
        pthread_mutexattr_setrobust(&kind, PTHREAD_MUTEX_ROBUST);
        pthread_mutex_init(&control->lock, &kind);
        atomic_store(&control->lock_state, MADE);
    }
    while (atomic_load(&control->lock_state) != MADE) sched_yield();
}

__attribute__((constructor)) static void begin(void) {
    const char *control_file = getenv("FAULTS_CONTROL"), *log_file = getenv("FAULTS_LOG");
    struct stat status;
    if (!(root = getenv("FAULTS_ROOT")) || !control_file) return;
    root_length = strlen(root);
    suffix = getenv("FAULTS_SUFFIX");
    int fd = syscall(SYS_openat, AT_FDCWD, control_file, O_RDWR | O_CLOEXEC, 0);
    struct control *mapped =
        mmap(NULL, sizeof *mapped, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (mapped == MAP_FAILED || stat(root, &status)) abort();
    syscall(SYS_close, fd);
    control = mapped;
    make_lock();
    if (!log_file) return;
    fd = syscall(SYS_openat, AT_FDCWD, log_file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    log_fd = fcntl(fd, F_DUPFD_CLOEXEC, 900); /* out of the way of those who expect small ones */
    if (log_fd < 0) log_fd = fd;
    else syscall(SYS_close, fd);
    lock();
    record('R', "", "", status.st_ino, 0, NULL, 0);
    unlock();
}

static int recording(void) { return control && log_fd >= 0; }

/* The part of an absolute path below the root, or NULL if it is elsewhere. */
static const char *below(const char *path) {
    if (strncmp(path, root, root_length)) return NULL;
    path += root_length;
    return *path == '/' ? path + 1 : *path ? NULL : path;
}

/* Whether fd is a file or directory under the root; says which. */
static int find(int fd, struct place *place) {
    char link[40];
    int kept = errno;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    long length = syscall(SYS_readlinkat, AT_FDCWD, link, place->buffer, PATH_MAX - 1);
    errno = kept;
    if (length < 0) return 0;
    place->buffer[length] = 0;
    if (!(place->path = below(place->buffer)) || fstat(fd, &place->status)) return 0;
    place->fd = fd;
    return S_ISREG(place->status.st_mode) || S_ISDIR(place->status.st_mode);
}

/* Likewise for a name that need not exist: its directory is resolved, its last part is not. */
static int locate(int directory, const char *path, struct place *place) {
    char parent[PATH_MAX], last[NAME_MAX + 1];
    size_t length = strlen(path);
    int kept = errno;
    while (length > 1 && path[length - 1] == '/') length--;
    if (!length || length >= PATH_MAX) return 0;
    memcpy(parent, path, length);
    parent[length] = 0;
    char *slash = strrchr(parent, '/'), *name = slash ? slash + 1 : parent;
    if (strlen(name) > NAME_MAX) return 0;
    strcpy(last, name);
    if (slash == parent) strcpy(parent, "/");
    else if (slash) *slash = 0;
    else strcpy(parent, ".");
    int fd = syscall(SYS_openat, directory, parent, O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
    int found = fd >= 0 && find(fd, place);
    if (fd >= 0) syscall(SYS_close, fd);
    errno = kept;
    if (!found) return 0;
    length = strlen(place->buffer);
    if (length + strlen(last) + 2 > PATH_MAX) return 0;
    place->buffer[length] = '/';
    strcpy(place->buffer + length + 1, last);
    place->path = below(place->buffer);
    return 1;
}

static int chosen(const char *path) {
    size_t length = strlen(path), tail = suffix ? strlen(suffix) : 0;
    return length >= tail && (!tail || !strcmp(path + length - tail, suffix));
}

/* Counts down what may still succeed; from then on every call is refused. */
static int refused(_Atomic int32_t *before, int error) {
    int32_t left = atomic_load(before);
    while (left > 0)
        if (atomic_compare_exchange_weak(before, &left, left - 1)) return 0;
    atomic_fetch_add(&control->failed, 1);
    errno = error;
    return 1;
}

/* ---- data ---- */

/* offset -1: at the descriptor's own, which then moves. */
static ssize_t put(struct place *place, const struct iovec *data, int count, off_t offset) {
    int fd = place->fd, kind = atomic_load(&control->write_fault);
    ssize_t written;
    size_t wanted = 0;
    for (int i = 0; i < count; i++) wanted += data[i].iov_len;
    if (kind && chosen(place->path)) {
        int appends = fcntl(fd, F_GETFL) & O_APPEND;
        off_t at = appends ? place->status.st_size : offset < 0 ? lseek(fd, 0, SEEK_CUR) : offset;
        int grows = at + (off_t)wanted > place->status.st_size;
        if ((kind == ALL || grows) && refused(&control->writes_before, ENOSPC)) return -1;
    }
    if (recording()) lock();
    if (offset < 0) written = syscall(SYS_writev, fd, data, count);
    else written = syscall(SYS_pwritev, fd, data, count, offset, 0);
    if (recording()) {
        if (written > 0) {
            off_t at = offset < 0 ? lseek(fd, 0, SEEK_CUR) - written : offset;
            record('W', place->path, "", place->status.st_ino, at, data, written);
        }
        unlock();
    }
    return written;
}

static int writing(int fd, struct place *place) {
    return control && (log_fd >= 0 || atomic_load(&control->write_fault)) && find(fd, place);
}

ssize_t write(int fd, const void *data, size_t length) {
    struct place place;
    struct iovec one = {(void *)data, length};
    return writing(fd, &place) ? put(&place, &one, 1, -1) : syscall(SYS_write, fd, data, length);
}

ssize_t writev(int fd, const struct iovec *data, int count) {
    struct place place;
    return writing(fd, &place) ? put(&place, data, count, -1)
                               : syscall(SYS_writev, fd, data, count);
}

ssize_t pwrite(int fd, const void *data, size_t length, off_t offset) {
    struct place place;
    struct iovec one = {(void *)data, length};
    return offset >= 0 && writing(fd, &place) ? put(&place, &one, 1, offset)
                                              : syscall(SYS_pwrite64, fd, data, length, offset);
}
ssize_t pwrite64(int, const void *, size_t, off_t) __attribute__((alias("pwrite")));

ssize_t pwritev(int fd, const struct iovec *data, int count, off_t offset) {
    struct place place;
    return offset >= 0 && writing(fd, &place) ? put(&place, data, count, offset)
                                              : syscall(SYS_pwritev, fd, data, count, offset, 0);
}
ssize_t pwritev64(int, const struct iovec *, int, off_t) __attribute__((alias("pwritev")));

static int unreadable(int fd) {
    struct place place;
    return control && atomic_load(&control->read_fault) && find(fd, &place) &&
           chosen(place.path) && refused(&control->reads_before, EIO);
}

ssize_t read(int fd, void *data, size_t length) {
    return unreadable(fd) ? -1 : syscall(SYS_read, fd, data, length);
}
ssize_t readv(int fd, const struct iovec *data, int count) {
    return unreadable(fd) ? -1 : syscall(SYS_readv, fd, data, count);
}
ssize_t pread(int fd, void *data, size_t length, off_t offset) {
    return unreadable(fd) ? -1 : syscall(SYS_pread64, fd, data, length, offset);
}
ssize_t pread64(int, void *, size_t, off_t) __attribute__((alias("pread")));
/* What callers compiled with _FORTIFY_SOURCE call instead. */
ssize_t __read_chk(int fd, void *data, size_t length, size_t room) {
    if (length > room) abort();
    return read(fd, data, length);
}
ssize_t __pread_chk(int fd, void *data, size_t length, off_t offset, size_t room) {
    if (length > room) abort();
    return pread(fd, data, length, offset);
}
ssize_t __pread64_chk(int, void *, size_t, off_t, size_t) __attribute__((alias("__pread_chk")));

static int synchronise(int fd, long call) {
    struct place place;
    int known = control && (log_fd >= 0 || atomic_load(&control->sync_fault)) && find(fd, &place);
    if (known && atomic_load(&control->sync_fault) && chosen(place.path) &&
        refused(&control->syncs_before, EIO))
        return -1;
    if (!known || !recording()) return syscall(call, fd);
    lock();
    int answer = syscall(call, fd);
    if (!answer) record('S', place.path, "", place.status.st_ino, 0, NULL, 0);
    unlock();
    return answer;
}
int fsync(int fd) { return synchronise(fd, SYS_fsync); }
int fdatasync(int fd) { return synchronise(fd, SYS_fdatasync); }

int ftruncate(int fd, off_t length) {
    struct place place;
    if (!recording() || !find(fd, &place)) return syscall(SYS_ftruncate, fd, length);
    lock();
    int answer = syscall(SYS_ftruncate, fd, length);
    if (!answer) record('T', place.path, "", place.status.st_ino, length, NULL, 0);
    unlock();
    return answer;
}
int ftruncate64(int, off_t) __attribute__((alias("ftruncate")));

/* ---- names ---- */

static int open_at(int directory, const char *path, int flags, mode_t mode) {
    struct place place;
    if (!recording() || !(flags & (O_CREAT | O_TRUNC)))
        return syscall(SYS_openat, directory, path, flags, mode);
    if ((flags & O_TMPFILE) == O_TMPFILE && locate(directory, path, &place)) {
        errno = EOPNOTSUPP;
        return -1;
    }
    lock();
    int fd = syscall(SYS_openat, directory, path, flags, mode);
    if (fd >= 0 && find(fd, &place)) { /* created, or it was there: the replay knows */
        record('O', place.path, "", place.status.st_ino, 0, NULL, 0);
        if (flags & O_TRUNC) record('T', place.path, "", place.status.st_ino, 0, NULL, 0);
    }
    unlock();
    return fd;
}

#define MODE_OF(flags, mode)                                  \
    mode_t mode = 0;                                          \
    if ((flags) & O_CREAT || ((flags)&O_TMPFILE) == O_TMPFILE) { \
        va_list more;                                         \
        va_start(more, flags);                                \
        mode = va_arg(more, mode_t);                          \
        va_end(more);                                         \
    }

int open(const char *path, int flags, ...) {
    MODE_OF(flags, mode)
    return open_at(AT_FDCWD, path, flags, mode);
}
int open64(const char *, int, ...) __attribute__((alias("open")));
int openat(int directory, const char *path, int flags, ...) {
    MODE_OF(flags, mode)
    return open_at(directory, path, flags, mode);
}
int openat64(int, const char *, int, ...) __attribute__((alias("openat")));
int creat(const char *path, mode_t mode) {
    return open_at(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}
int creat64(const char *, mode_t) __attribute__((alias("creat")));
int __open_2(const char *path, int flags) { return open_at(AT_FDCWD, path, flags, 0); }
int __open64_2(const char *, int) __attribute__((alias("__open_2")));
int __openat_2(int directory, const char *path, int flags) {
    return open_at(directory, path, flags, 0);
}
int __openat64_2(int, const char *, int) __attribute__((alias("__openat_2")));

int mkdirat(int directory, const char *path, mode_t mode) {
    struct place place;
    struct stat status;
    if (!recording() || !locate(directory, path, &place))
        return syscall(SYS_mkdirat, directory, path, mode);
    lock();
    int answer = syscall(SYS_mkdirat, directory, path, mode);
    if (!answer && !fstatat(directory, path, &status, AT_SYMLINK_NOFOLLOW))
        record('M', place.path, "", status.st_ino, 0, NULL, 0);
    unlock();
    return answer;
}
int mkdir(const char *path, mode_t mode) { return mkdirat(AT_FDCWD, path, mode); }

int unlinkat(int directory, const char *path, int flags) {
    struct place place;
    if (!recording() || !locate(directory, path, &place))
        return syscall(SYS_unlinkat, directory, path, flags);
    lock();
    int answer = syscall(SYS_unlinkat, directory, path, flags);
    if (!answer) record('U', place.path, "", 0, 0, NULL, 0);
    unlock();
    return answer;
}
int unlink(const char *path) { return unlinkat(AT_FDCWD, path, 0); }
int rmdir(const char *path) { return unlinkat(AT_FDCWD, path, AT_REMOVEDIR); }

int renameat2(int from, const char *path, int to, const char *other, unsigned flags) {
    struct place old, new;
    int inside = recording() ? locate(from, path, &old) + locate(to, other, &new) : 0;
    if (!inside) return syscall(SYS_renameat2, from, path, to, other, flags);
    if (inside == 1 || flags & ~RENAME_NOREPLACE) { /* over the border, as between file systems */
        errno = inside == 1 ? EXDEV : EINVAL;
        return -1;
    }
    lock();
    int answer = syscall(SYS_renameat2, from, path, to, other, flags);
    if (!answer) record('N', old.path, new.path, 0, 0, NULL, 0);
    unlock();
    return answer;
}
int renameat(int from, const char *path, int to, const char *other) {
    return renameat2(from, path, to, other, 0);
}
int rename(const char *path, const char *other) {
    return renameat2(AT_FDCWD, path, AT_FDCWD, other, 0);
}

/* ---- stdio: glibc's would call its own open and write ---- */

static ssize_t stream_read(void *fd, char *data, size_t length) {
    return read((intptr_t)fd, data, length);
}
static ssize_t stream_write(void *fd, const char *data, size_t length) {
    ssize_t written = write((intptr_t)fd, data, length);
    return written < 0 ? 0 : written; /* fopencookie's way to say that it failed */
}
static int stream_seek(void *fd, off64_t *offset, int whence) {
    off64_t answer = lseek((intptr_t)fd, *offset, whence);
    if (answer < 0) return -1;
    *offset = answer;
    return 0;
}
static int stream_close(void *fd) { return syscall(SYS_close, (int)(intptr_t)fd); }

FILE *fopen(const char *path, const char *mode) {
    cookie_io_functions_t calls = {stream_read, stream_write, stream_seek, stream_close};
    struct place place;
    int flags = strchr(mode, '+') ? O_RDWR : *mode == 'r' ? O_RDONLY : O_WRONLY;
    if (*mode != 'r') flags |= O_CREAT | (*mode == 'w' ? O_TRUNC : O_APPEND);
    if (strchr(mode, 'x')) flags |= O_EXCL;
    if (strchr(mode, 'e')) flags |= O_CLOEXEC;
    int fd = open_at(AT_FDCWD, path, flags, 0666);
    if (fd < 0) return NULL;
    int known = control && find(fd, &place) && !S_ISDIR(place.status.st_mode);
    FILE *stream = known ? fopencookie((void *)(intptr_t)fd, mode, calls) : fdopen(fd, mode);
    if (!stream) syscall(SYS_close, fd);
    return stream;
}
FILE *fopen64(const char *, const char *) __attribute__((alias("fopen")));

/* ---- what is not recorded is not to be had ---- */

static int not_supported(int fd) {
    struct place place;
    if (!recording() || !find(fd, &place)) return 0;
    errno = EOPNOTSUPP;
    return 1;
}
static int not_supported_at(int directory, const char *path) {
    struct place place;
    if (!recording() || !locate(directory, path, &place)) return 0;
    errno = EOPNOTSUPP;
    return 1;
}

ssize_t sendfile(int to, int from, off_t *offset, size_t length) {
    return not_supported(to) ? -1 : syscall(SYS_sendfile, to, from, offset, length);
}
ssize_t sendfile64(int, int, off_t *, size_t) __attribute__((alias("sendfile")));
ssize_t copy_file_range(int from, off64_t *start, int to, off64_t *end, size_t length,
                        unsigned flags) {
    if (not_supported(to)) return -1;
    return syscall(SYS_copy_file_range, from, start, to, end, length, flags);
}
ssize_t pwritev2(int fd, const struct iovec *data, int count, off_t offset, int flags) {
    if (!flags && offset >= 0) return pwritev(fd, data, count, offset);
    return not_supported(fd) ? -1 : syscall(SYS_pwritev2, fd, data, count, offset, 0, flags);
}
ssize_t pwritev64v2(int, const struct iovec *, int, off_t, int) __attribute__((alias("pwritev2")));
int fallocate(int fd, int mode, off_t offset, off_t length) {
    return not_supported(fd) ? -1 : syscall(SYS_fallocate, fd, mode, offset, length);
}
int fallocate64(int, int, off_t, off_t) __attribute__((alias("fallocate")));
int posix_fallocate(int fd, off_t offset, off_t length) {
    if (not_supported(fd)) return EOPNOTSUPP;
    return syscall(SYS_fallocate, fd, 0, offset, length) ? errno : 0;
}
int posix_fallocate64(int, off_t, off_t) __attribute__((alias("posix_fallocate")));
int truncate(const char *path, off_t length) {
    return not_supported_at(AT_FDCWD, path) ? -1 : syscall(SYS_truncate, path, length);
}
int truncate64(const char *, off_t) __attribute__((alias("truncate")));
int linkat(int from, const char *path, int to, const char *other, int flags) {
    return not_supported_at(to, other) ? -1 : syscall(SYS_linkat, from, path, to, other, flags);
}
int link(const char *path, const char *other) {
    return linkat(AT_FDCWD, path, AT_FDCWD, other, 0);
}
int symlinkat(const char *target, int directory, const char *path) {
    return not_supported_at(directory, path) ? -1
                                             : syscall(SYS_symlinkat, target, directory, path);
}
int symlink(const char *target, const char *path) { return symlinkat(target, AT_FDCWD, path); }
