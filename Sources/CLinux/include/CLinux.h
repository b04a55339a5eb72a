// GNU and Linux interfaces that Swift's Glibc overlay hides or cannot import: peer credentials, bytes in a socket's queue,
// thread names, futexes, the spin-wait hint, the processors a process may use, pages of a map that are gone. Plain types
// everywhere, and inline functions but for the last.

#ifndef CLINUX_H
#define CLINUX_H

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <linux/sockios.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

// Linux's `struct ucred`, by another name: <sys/socket.h> shows it only to translation units that set _GNU_SOURCE
// before their first header, which an importer of this module cannot promise.
struct caked_ucred {
    int32_t pid;
    uint32_t uid;
    uint32_t gid;
};

/// Who connected the Unix stream socket `fd`, as the kernel recorded it at connect (SO_PEERCRED, unix(7)).
/// Returns 0, or the errno. A uid without a mapping in this user namespace reads 65534.
static inline int caked_peer_credentials(int fd, int32_t *_Nonnull pid, uint32_t *_Nonnull uid,
                                         uint32_t *_Nonnull gid) {
    struct caked_ucred credentials = {0, 0, 0};
    socklen_t length = sizeof(credentials);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &length) != 0) return errno;
    if (length != sizeof(credentials)) return EINVAL;
    *pid = credentials.pid;
    *uid = credentials.uid;
    *gid = credentials.gid;
    return 0;
}

/// The memory of what was sent on the Unix stream socket `fd` and not read yet, in bytes (SIOCOUTQ); it falls when the
/// peer has read a whole buffer of the kernel's, 36 KiB at most. Negative: the errno.
static inline int caked_unread_bytes(int fd) {
    int bytes = 0;
    return ioctl(fd, SIOCOUTQ, &bytes) == 0 ? bytes : -errno;
}

/// Names the calling thread for ps, top and debuggers: the first 15 bytes of `name` are used, the kernel's limit.
static inline void caked_set_thread_name(const char *_Nonnull name) {
    extern int pthread_setname_np(pthread_t, const char *);
    char cut[16];
    strncpy(cut, name, sizeof(cut) - 1);
    cut[sizeof(cut) - 1] = '\0';
    (void)pthread_setname_np(pthread_self(), cut);
}

/// Writes the calling thread's name, at most 15 bytes and a NUL, into `name`. Returns 0, or the errno.
static inline int caked_get_thread_name(char *_Nonnull name, size_t capacity) {
    extern int pthread_getname_np(pthread_t, char *, size_t);
    return pthread_getname_np(pthread_self(), name, capacity);
}

/// Sleeps while `*word == expected`, until woken or for `timeout_nanoseconds` (negative: no limit). futex(2), private.
/// Returns 0 when woken, EAGAIN when `*word` already differed, ETIMEDOUT, or EINTR: in every case read the word again.
static inline int caked_futex_wait(const uint32_t *_Nonnull word, uint32_t expected, int64_t timeout_nanoseconds) {
    struct timespec limit = {0, 0};
    struct timespec *wait = NULL;
    if (timeout_nanoseconds >= 0) {
        limit.tv_sec = (time_t)(timeout_nanoseconds / 1000000000);
        limit.tv_nsec = (long)(timeout_nanoseconds % 1000000000);
        wait = &limit;
    }
    long result = syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, wait, NULL, 0);
    return result == 0 ? 0 : errno;
}

/// Wakes at most `count` threads that wait on `word` (INT_MAX: all). Returns how many woke.
static inline int caked_futex_wake(uint32_t *_Nonnull word, int count) {
    long woken = syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, count, NULL, NULL, 0);
    return woken < 0 ? 0 : (int)woken;
}

/// Tells the core that this is a spin loop, so that an SMT sibling gets the execution units.
static inline void caked_spin_pause(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb" ::: "memory");
#else
    __asm__ volatile("" ::: "memory");
#endif
}

/// How many processors this process may run on: `taskset` and containers can make them fewer than the machine has.
/// sched_getaffinity(2), by its number because <sched.h> hides it without _GNU_SOURCE.
static inline int caked_available_processors(void) {
    unsigned long mask[1024 / sizeof(unsigned long)];  // 8192 processors, what the largest kernels are built for
    long bytes = syscall(SYS_sched_getaffinity, 0, sizeof(mask), mask);
    if (bytes <= 0) return 1;
    int processors = 0;
    for (size_t word = 0; word < (size_t)bytes / sizeof(mask[0]); word++) {
        processors += __builtin_popcountl(mask[word]);
    }
    return processors > 0 ? processors : 1;
}

/// Remembers a file that this process has mapped, so that it can be named when it is found cut short of `bytes`.
void caked_watch_mapped_file(const char *_Nonnull path, int64_t bytes);

/// From now on a page of a map that its file has lost (SIGBUS with BUS_ADRERR, mmap(2)) ends the process with one line
/// on standard error, which begins with `start`, and exit status `status`.
void caked_end_on_lost_pages(const char *_Nonnull start, int status);

/// Keeps libdispatch from writing into the system's log, at every start of a program without privilege, that the thread of
/// its timers could not become more urgent than others (setpriority(2)), which it need not be. Before its first thread
/// starts, and after Swift has found the program's arguments, which it looks for behind an environment that has not moved.
/// Who sets the variable reads what libdispatch says all the same.
static inline void caked_silence_libdispatch(void) {
    setenv("LIBDISPATCH_LOG", "NO", 0);
}

#endif
