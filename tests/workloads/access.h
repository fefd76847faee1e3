/* What the access_* workloads share: regions with exact counts, the loop, and the truth.
 *
 *   PROGRAM PATTERN SECONDS [ROUNDS]
 *
 * A program prepares its regions and works one round before "ready", so that page faults and initialisation are over.
 * From then on it works whole rounds for SECONDS, or until ROUNDS are done if that is given and comes first. Each round
 * does the same number of loads and stores in each region; the truth is that number times the rounds. Ahead of "ready"
 * comes "rounds ADDRESS": where the running count stands, for those who measure an interval from outside.
 *
 * Counted are the accesses that the source writes down as volatile, vector or string operations, which is one machine
 * access each, optimised or not. Not counted is what a round does besides: a read of the clock, the loop's spills
 * and its return address, some twenty accesses a round, against at least 16,000 in the regions. Unoptimised code keeps
 * its loop variables on the stack, so there only the shares among the regions hold ("optimised":0 in the truth).
 * tests/suite/workloads.rs holds all of this against valgrind's trace.
 *
 * Does not allocate: regions are mappings of their own with a guard page at either end, so that neighbours cannot merge. */
#ifndef ACCESS_H
#define ACCESS_H

#include "workload.h"

#include <link.h>
#include <sys/mman.h>

#define A_REGIONS 64
#define A_SWITCHES 4096
#define A_PAGE 4096ull
#define A_PHASE_NS 50000000ull
#define KIB 1024ull
#define MIB (1024 * KIB)

/* How often something was done: of a phase or of a thread. `phase` names it where regions take turns. */
struct work {
    const char *phase;
    u64 tid;
    volatile u64 rounds;
};

struct region {
    const char *name;
    const struct work *work;
    u64 start, end;
    u64 loads_each, stores_each; /* a round */
};

static struct region a_regions[A_REGIONS];
static int a_region_count;
static struct work a_work[2]; /* of the two phases; most patterns have but the first */
static u64 a_switches[A_SWITCHES]; /* when phases began, CLOCK_MONOTONIC; they alternate */
static int a_switch_count;
static u64 a_began_ns, a_ended_ns;
static volatile u64 a_sink W_UNUSED;

/* The accesses that count. */
static inline u64 load(const volatile void *at) { return *(const volatile u64 *)at; }
static inline void store(volatile void *at, u64 value) { *(volatile u64 *)at = value; }

W_UNUSED static void a_region(const char *name, const struct work *work, const void *start, u64 bytes, u64 loads_each,
                              u64 stores_each) {
    if (a_region_count == A_REGIONS) _exit(3);
    struct region r = {name, work, (u64)(uintptr_t)start, (u64)(uintptr_t)start + bytes, loads_each, stores_each};
    a_regions[a_region_count++] = r;
}

/* Memory between two pages that nobody may touch; every page of it has been written. */
W_UNUSED static void *a_map(u64 bytes) {
    char *at = (char *)mmap(NULL, bytes + 2 * A_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED || mprotect(at + A_PAGE, bytes, PROT_READ | PROT_WRITE)) _exit(3);
    for (u64 i = 0; i < bytes; i += A_PAGE) at[A_PAGE + i] = 1;
    return at + A_PAGE;
}

/* The same, as a region of the first phase. */
W_UNUSED static void *a_map_region(const char *name, u64 bytes, u64 loads_each, u64 stores_each) {
    void *at = a_map(bytes);
    a_region(name, &a_work[0], at, bytes, loads_each, stores_each);
    return at;
}

/* The mapping around an address, from /proc/self/maps. */
W_UNUSED static void a_around(const char *name, const void *inside, u64 loads_each, u64 stores_each) {
    unsigned long long start, end;
    char line[512];
    FILE *maps = fopen("/proc/self/maps", "r");
    while (maps && fgets(line, sizeof line, maps)) {
        if (sscanf(line, "%llx-%llx", &start, &end) != 2) continue;
        if ((uintptr_t)inside < start || (uintptr_t)inside >= end) continue;
        a_region(name, &a_work[0], (void *)(uintptr_t)start, end - start, loads_each, stores_each);
    }
    if (maps) fclose(maps);
}

/* This thread's stack as far as anybody here uses it: from 1 MiB below the caller to its end. Its mapping may still be
 * shorter. */
W_UNUSED static void a_stack(const void *frame, u64 loads_each, u64 stores_each) {
    a_around("stack", frame, loads_each, stores_each);
    a_regions[a_region_count - 1].start = (u64)(uintptr_t)frame - MIB;
}

/* Fisher and Yates; with `is_cycle` Sattolo's variant, which leaves one cycle through all. */
W_UNUSED static void a_shuffle(uint32_t *items, u64 count, int is_cycle) {
    u64 seed = 7;
    for (u64 i = count - 1; i > 0; i--) {
        const u64 j = w_random(&seed) % (i + !is_cycle);
        const uint32_t kept = items[i];
        items[i] = items[j], items[j] = kept;
    }
}

/* ---- the loop ---- */

struct pattern {
    const char *name;
    void (*prepare)(void);
    void (*round)(void);
    void (*other)(void); /* the second phase's round, or NULL */
    void (*start)(void); /* done after "ready", or NULL */
};

W_UNUSED static u64 a_end_ns(u64 seconds) {
    a_began_ns = w_clock_ns(CLOCK_MONOTONIC);
    return seconds ? a_began_ns + seconds * 1000000000ull : UINT64_MAX;
}

W_UNUSED static void a_ready(const volatile u64 *rounds) {
    w_put("rounds %p\n", (const void *)rounds);
    w_ready();
}

W_UNUSED static void a_loop(const struct pattern *pattern, u64 seconds, u64 most_rounds) {
    const u64 end_ns = a_end_ns(seconds);
    u64 phase_end_ns = a_began_ns + A_PHASE_NS, now_ns = a_began_ns, rounds = 0;
    int phase = 0;
    a_switches[a_switch_count++] = a_began_ns;
    while (now_ns < end_ns && rounds < most_rounds) {
        if (phase) pattern->other();
        else pattern->round();
        a_work[phase].rounds++, rounds++;
        now_ns = w_clock_ns(CLOCK_MONOTONIC);
        if (!pattern->other || now_ns < phase_end_ns || a_switch_count == A_SWITCHES) continue;
        phase = !phase;
        a_switches[a_switch_count++] = now_ns;
        phase_end_ns = now_ns + A_PHASE_NS;
    }
    a_ended_ns = now_ns;
}

/* ---- the truth ---- */

static void a_put_region(const struct region *r, u64 of_phase) {
    const u64 loads = r->loads_each * r->work->rounds, stores = r->stores_each * r->work->rounds;
    w_comma();
    w_put("{");
    w_string("name", r->name);
    if (r->work->phase) w_string("phase", r->work->phase);
    if (r->work->tid) w_number("tid", r->work->tid);
    w_number("start", r->start);
    w_number("end", r->end);
    w_number("loads", loads);
    w_number("stores", stores);
    w_put(",\"share\":%.6f}", of_phase ? (double)(loads + stores) / (double)of_phase : 0.0);
}

static int a_same_phase(const struct region *a, const struct region *b) {
    const char *x = a->work->phase, *y = b->work->phase;
    return x && y ? !strcmp(x, y) : x == y;
}

/* The accesses of all regions, or of those in one's phase. */
static u64 a_sum(const struct region *like, int loads, int stores) {
    u64 sum = 0;
    for (int i = 0; i < a_region_count; i++) {
        const struct region *r = &a_regions[i];
        if (like && !a_same_phase(like, r)) continue;
        sum += r->work->rounds * ((loads ? r->loads_each : 0) + (stores ? r->stores_each : 0));
    }
    return sum;
}

/* Regions with their share of their phase, the total, and when phases began. More fields may follow. */
W_UNUSED static void a_put_truth(const char *pattern) {
    w_string("pattern", pattern);
#ifdef __OPTIMIZE__
    w_number("optimised", 1);
#else
    w_number("optimised", 0);
#endif
    w_number("elapsed_ns", a_ended_ns - a_began_ns);
    w_put(",\"regions\":[");
    for (int i = 0; i < a_region_count; i++) a_put_region(&a_regions[i], a_sum(&a_regions[i], 1, 1));
    w_put("],\"total\":{\"loads\":%llu,\"stores\":%llu}", (unsigned long long)a_sum(NULL, 1, 0),
          (unsigned long long)a_sum(NULL, 0, 1));
    if (!a_work[1].phase) return;
    w_put(",\"switches_ns\":[");
    for (int i = 0; i < a_switch_count; i++) {
        w_comma();
        w_put("%llu", (unsigned long long)a_switches[i]);
    }
    w_put("]");
}

/* The whole of a single-threaded program. `more` adds fields to the truth, or is NULL. */
W_UNUSED static int a_main(int argc, char **argv, const struct pattern *patterns, void (*more)(void)) {
    for (const struct pattern *p = patterns; argc > 2 && p->name; p++) {
        if (strcmp(p->name, argv[1])) continue;
        p->prepare();
        p->round();
        if (p->other) p->other();
        a_ready(&a_work[0].rounds);
        if (p->start) p->start();
        a_loop(p, w_arg(argc, argv, 2, 0), w_arg(argc, argv, 3, UINT64_MAX));
        w_truth_begin();
        a_put_truth(p->name);
        if (more) more();
        w_truth_end();
        return 0;
    }
    fprintf(stderr, "usage: %s PATTERN SECONDS [ROUNDS]; SECONDS 0 is for ever; patterns:", argv[0]);
    for (const struct pattern *p = patterns; p->name; p++) fprintf(stderr, " %s", p->name);
    fprintf(stderr, "\n");
    return 2;
}

#endif
