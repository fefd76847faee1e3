/* Preloaded: the clocks a program sees go wrong while it runs, and those of the machine do not.
 *
 * $SET_CLOCKS names a file of two 64-bit integers, nanoseconds to be added from the next reading on: to CLOCK_REALTIME, to CLOCK_BOOTTIME. The first
 * alone is a wall clock that is set; the same in both is a machine that slept, for CLOCK_MONOTONIC stands still meanwhile. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t *ahead_ns;

__attribute__((constructor)) static void find(void) {
    const char *path = getenv("SET_CLOCKS");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0) return;
    void *shared = mmap(NULL, 2 * sizeof *ahead_ns, PROT_READ, MAP_SHARED, file, 0);
    close(file);
    if (shared != MAP_FAILED) ahead_ns = shared;
}

int clock_gettime(clockid_t clock, struct timespec *at) {
    int result = (int)syscall(SYS_clock_gettime, clock, at);
    if (result || !ahead_ns || (clock != CLOCK_REALTIME && clock != CLOCK_BOOTTIME)) return result;
    int64_t ns = (int64_t)at->tv_sec * 1000000000 + at->tv_nsec + ahead_ns[clock == CLOCK_BOOTTIME];
    at->tv_sec = ns / 1000000000;
    at->tv_nsec = ns % 1000000000;
    return 0;
}
