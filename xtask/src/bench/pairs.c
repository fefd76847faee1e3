/* A loop of malloc/free pairs that tells what it has done while it runs, so that a benchmark can measure any
 * interval of it without stopping it: the target of `budgeted` and `exact`.
 *
 * pairs BOARD WORK_NS [PAIRS_PER_S]
 *   BOARD        a file of at least one page, shared with the benchmark (struct board)
 *   WORK_NS      CPU time spent between two pairs, roughly: calibrated once at the start
 *   PAIRS_PER_S  0 (default): as fast as it goes; else in bursts, asleep in between
 * Sizes are 16..271 bytes, uniform. Does not read its own CPU time: the benchmark reads the process's clock. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

typedef uint64_t u64;

enum { PAUSE, RUN, QUIT };
#define BURST 64

struct board {
    volatile u64 command; /* written by the benchmark */
    volatile u64 state;   /* the command last obeyed */
    volatile u64 pid, pairs, bytes;
};

static struct board *board;
static u64 spins, seed = 1;

static u64 now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (u64)t.tv_sec * 1000000000ull + (u64)t.tv_nsec;
}

static void sleep_1ms(void) {
    const struct timespec t = {0, 1000000};
    nanosleep(&t, NULL);
}

/* Work that no compiler can shorten: each step needs the one before. */
static void work(u64 steps) {
    u64 x = seed;
    for (u64 i = 0; i < steps; i++) x ^= x << 13, x ^= x >> 7, x ^= x << 17;
    seed = x;
}

/* The fastest of many short trials: the one nobody interrupted. */
static u64 calibrate(u64 work_ns) {
    const u64 steps = 100000;
    u64 best_ns = UINT64_MAX;
    for (int i = 0; i < 50; i++) {
        const u64 start = now_ns();
        work(steps);
        const u64 spent = now_ns() - start;
        if (spent < best_ns) best_ns = spent;
    }
    return work_ns * steps / best_ns;
}

static void one_pair(void) {
    seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
    const u64 size = 16 + seed % 256;
    char *block = malloc(size);
    if (!block) _exit(3);
    __asm__ volatile("" : : "r"(block) : "memory");
    *block = 1;
    free(block);
    __asm__ volatile("" : : : "memory");
    board->pairs++;
    board->bytes += size;
    work(spins);
}

static void obey(u64 pairs_per_s) {
    const u64 start = now_ns(), before = board->pairs;
    while (board->command == RUN) {
        u64 count = BURST;
        if (pairs_per_s) {
            const u64 due = (u64)((double)(now_ns() - start) * 1e-9 * (double)pairs_per_s);
            const u64 done = board->pairs - before;
            count = due > done ? due - done : 0;
        }
        while (count--) one_pair();
        if (pairs_per_s) sleep_1ms();
    }
}

int main(int argc, char **argv) {
    if (argc < 3) return 2;
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* a benchmark that dies leaves nothing that spins */
    const int file = open(argv[1], O_RDWR | O_CLOEXEC);
    board = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (file < 0 || board == MAP_FAILED) return 2;
    const u64 work_ns = strtoull(argv[2], NULL, 10);
    const u64 pairs_per_s = argc > 3 ? strtoull(argv[3], NULL, 10) : 0;
    spins = work_ns ? calibrate(work_ns) : 0;
    free(malloc(1)); /* the allocator's own beginnings are nobody's account */
    board->pid = (u64)getpid();
    while (board->command != QUIT) {
        board->state = board->command;
        if (board->command == RUN) obey(pairs_per_s);
        else sleep_1ms();
    }
    _exit(0);
}
