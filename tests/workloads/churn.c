/* A steady stream of allocations: what budgeted mode estimates, and what benchmarks slow down.
 *
 * churn SECONDS [PAIRS_PER_S [SIZES [THREADS [LIVE [WORK]]]]]
 *   PAIRS_PER_S  per thread; 0 (default): flat out
 *   SIZES        bytes, or "mix": three in four log-uniform in 16..1023, one in four in 1024..8191
 *   LIVE         blocks kept alive per thread, freed oldest first; 0 (default): each freed at once
 *   WORK         rounds of arithmetic between two pairs, a nanosecond or two each; 0 (default): none
 * Threads start after "ready". The truth has elapsed_ns and cpu_ns of the work alone, summed over threads for CPU. */
#include "workload.h"

#include <pthread.h>

#define MAX_THREADS 64
#define MAX_LIVE 65536
#define CLOCK_EVERY 256 /* pairs between two looks at the clock when flat out */

static u64 seconds, pairs_per_s, fixed_size, live, work;

struct worker {
    pthread_t thread;
    u64 seed, noise, tid, pairs, bytes, free_count, freed_bytes, cpu_ns;
    void **blocks;
    u64 *sizes;
} __attribute__((aligned(128))); /* threads must not share a cache line */

static struct worker workers[MAX_THREADS];
static int finished[2];

static u64 next_size(u64 *seed) {
    if (fixed_size) return fixed_size;
    const u64 r = w_random(seed);
    if (r % 4) {
        const u64 base = 16ull << (r >> 8) % 6;
        return base + (r >> 16) % base;
    }
    return 1024 + (r >> 8) % 7168;
}

SITE static void *churn_alloc(u64 size) {
    void *p = malloc(size);
    KEEP(p);
    return p;
}

SITE static void churn_free(void *p) {
    free(p);
    KEEP(p);
}

static void one_pair(struct worker *self) {
    for (u64 i = 0; i < work; i++) self->noise = w_random(&self->noise);
    const u64 size = next_size(&self->seed), slot = live ? self->pairs % live : 0;
    void *p = churn_alloc(size);
    void *old = p;
    u64 old_size = size;
    self->pairs++;
    self->bytes += size;
    if (live) {
        old = self->blocks[slot];
        old_size = self->sizes[slot];
        self->blocks[slot] = p;
        self->sizes[slot] = size;
    }
    if (!old) return;
    self->free_count++;
    self->freed_bytes += old_size;
    churn_free(old);
}

/* In bursts of 1 ms when a rate is set; a late burst is caught up, so the total is the rate's. */
static void run_at_rate(struct worker *self, u64 start, u64 end) {
    for (u64 now = start; now < end; now = w_clock_ns(CLOCK_MONOTONIC)) {
        const u64 due = (u64)((double)(now - start) * 1e-9 * (double)pairs_per_s);
        while (self->pairs < due) one_pair(self);
        w_sleep_us(1000);
    }
}

static void *worker_main(void *argument) {
    struct worker *self = argument;
    self->tid = w_tid();
    const u64 start = w_clock_ns(CLOCK_MONOTONIC), end = start + seconds * 1000000000ull;
    if (pairs_per_s) run_at_rate(self, start, end);
    else
        while (w_clock_ns(CLOCK_MONOTONIC) < end)
            for (int i = 0; i < CLOCK_EVERY; i++) one_pair(self);
    self->cpu_ns = w_clock_ns(CLOCK_THREAD_CPUTIME_ID);
    /* No return: an ending thread makes glibc free its cache, frees that no account here has. */
    while (write(finished[1], "x", 1) < 0) continue;
    for (;;) pause();
    return NULL;
}

int main(int argc, char **argv) {
    static void *all_blocks[MAX_LIVE];
    static u64 all_sizes[MAX_LIVE];
    seconds = w_arg(argc, argv, 1, 5);
    pairs_per_s = w_arg(argc, argv, 2, 0);
    fixed_size = w_arg(argc, argv, 3, 64); /* "mix" reads as 0 */
    const u64 threads = w_arg(argc, argv, 4, 1);
    live = w_arg(argc, argv, 5, 0);
    work = w_arg(argc, argv, 6, 0);
    if (!threads || threads > MAX_THREADS || live * threads > MAX_LIVE) return 2;
    if (pipe(finished)) return 3;
    w_ready();
    const u64 start = w_clock_ns(CLOCK_MONOTONIC);
    for (u64 i = 0; i < threads; i++) {
        struct worker *w = &workers[i];
        w->seed = i + 1;
        w->blocks = all_blocks + i * live;
        w->sizes = all_sizes + i * live;
        if (pthread_create(&w->thread, NULL, worker_main, w)) return 3;
    }
    char c;
    for (u64 i = 0; i < threads; i++)
        while (read(finished[0], &c, 1) < 0) continue;
    struct worker sum = {0};
    for (u64 i = 0; i < threads; i++) {
        sum.pairs += workers[i].pairs;
        sum.bytes += workers[i].bytes;
        sum.free_count += workers[i].free_count;
        sum.freed_bytes += workers[i].freed_bytes;
        sum.cpu_ns += workers[i].cpu_ns;
    }
    const u64 elapsed = w_clock_ns(CLOCK_MONOTONIC) - start;
    w_truth_begin();
    w_number("alloc_count", sum.pairs);
    w_number("alloc_bytes", sum.bytes);
    w_number("free_count", sum.free_count);
    w_number("freed_bytes", sum.freed_bytes);
    w_number("elapsed_ns", elapsed);
    w_number("cpu_ns", sum.cpu_ns);
    w_truth_end();
    _exit(0);
}
