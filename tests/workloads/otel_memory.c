/* An allocator that samples, and hands its samples out by otel_memory:alloc and otel_memory:free.
 *
 * otel_memory [BLOCKS [PERIOD_BYTES [flat-out]]]
 *
 * The truth is what the probes were fired with. Sampling is by a counter of bytes, without chance, and only while somebody
 * watches: so that an unwatched run must show nothing. The sites differ in where the probe finds its arguments: registers,
 * constants, the stack, an array; a fifth has 32-bit and signed ones. Blocks of 0 and 1 modulo 4 are freed again. */
#include "workload.h"
#include "static_probe.h"

SEMAPHORE(otel_memory, alloc);
SEMAPHORE(otel_memory, free);

static u64 period, until, unwatched, asked_bytes;

/* Every block carries its weight before it; 0 if it was not sampled. */
struct header {
    u64 weight, size;
};

/* How many periods end within the block: that times the period is its weight. */
static u64 weigh(u64 size) {
    if (!WATCHED(otel_memory, alloc)) {
        unwatched++;
        return 0;
    }
    if (size < until) {
        until -= size;
        return 0;
    }
    const u64 over = size - until, samples = 1 + over / period;
    until = period - over % period;
    return samples * period;
}

static struct header *new_block(u64 size) {
    struct header *block = malloc(sizeof *block + size);
    asked_bytes += size;
    if (!block) _exit(4);
    block->size = size;
    block->weight = weigh(size);
    return block + 1;
}

static struct account sites[] = {
    {.name = "in_registers"}, {.name = "as_constants"}, {.name = "on_the_stack"}, {.name = "in_an_array"}, {.name = "in_halves"},
};

/* In 1/65536 of an allocation, as waytrace counts them: sums of these are exact on both sides. */
static u64 fraction(u64 weight, u64 size) { return (weight << 16) / size; }

static u64 fractions, freed_fractions, samples, freed_samples;

static void told(struct account *site, u64 weight, u64 size) {
    struct account *all[] = {site, &w_total};
    for (int i = 0; i < 2; i++) {
        all[i]->alloc_count++;
        all[i]->alloc_bytes += weight;
        all[i]->live_bytes += weight;
    }
    if (w_total.live_bytes > w_total.peak_live_bytes) w_total.peak_live_bytes = w_total.live_bytes;
    fractions += fraction(weight, size);
    samples++;
}

/* What stands between the program and the probe, and is to be seen through: by its name it is an allocator's. */
SITE static void *je_malloc(struct account *site, u64 size) {
    struct header *user = new_block(size);
    const u64 weight = user[-1].weight;
    if (weight) {
        PROBE3(otel_memory, alloc, user, size, weight);
        told(site, weight, size);
    }
    return user;
}

SITE static void *in_registers(u64 size) {
    void *p = je_malloc(&sites[0], size);
    KEEP(p);
    return p;
}

/* The probe in the caller itself, as where an allocator is inlined. */
SITE static void *as_constants(u64 size) {
    (void)size;
    struct header *user = new_block(20000);
    if (user[-1].weight == 65536) {
        PROBE3(otel_memory, alloc, user, 20000, 65536);
        told(&sites[1], 65536, 20000);
    } else {
        user[-1].weight = 0; /* another period: not told */
    }
    return user;
}

SITE static void *on_the_stack(u64 size) {
    volatile u64 arguments[4] = {7, 0, 0, 9};
    struct header *user = new_block(size);
    if (user[-1].weight) {
        arguments[1] = size;
        arguments[2] = user[-1].weight;
        __asm__ volatile(PROBE_NOTE("otel_memory", "alloc", "otel_memory_alloc_semaphore", "8@%0 8@%1 8@%2")
                         : : "r"(user), "m"(arguments[1]), "m"(arguments[2]));
        told(&sites[2], user[-1].weight, size);
    }
    return user;
}

static u64 table[16];

SITE static void *in_an_array(u64 size) {
    struct header *user = new_block(size);
    if (user[-1].weight) {
        table[5] = user[-1].weight;
        /* By base, index, scale and displacement. */
        __asm__ volatile(PROBE_NOTE("otel_memory", "alloc", "otel_memory_alloc_semaphore", "8@%0 8@%1 8@16(%2,%3,8)")
                         : : "r"(user), "r"(size), "r"(table), "r"(3ul) : "memory");
        told(&sites[3], user[-1].weight, size);
    }
    return user;
}

/* Registers whose upper halves are not part of the argument, and a signed one. */
SITE static void *in_halves(u64 size) {
    struct header *user = new_block(size);
    if (user[-1].weight) {
        const u64 dirty = size | 0xdeadbeefull << 32;
        __asm__ volatile(PROBE_NOTE("otel_memory", "alloc", "otel_memory_alloc_semaphore", "8@%0 4@%k1 -4@%k2")
                         : : "r"(user), "r"(dirty), "r"(user[-1].weight));
        told(&sites[4], user[-1].weight, size);
    }
    return user;
}

SITE static void give_back(struct account *site, void *pointer) {
    struct header *user = pointer;
    const u64 weight = user[-1].weight, size = user[-1].size;
    if (weight && WATCHED(otel_memory, free)) {
        PROBE1(otel_memory, free, user);
        struct account *all[] = {site, &w_total};
        for (int i = 0; i < 2; i++) {
            all[i]->free_count++;
            all[i]->freed_bytes += weight;
            all[i]->live_bytes -= weight;
        }
        freed_fractions += fraction(weight, size);
        freed_samples++;
    }
    free(user - 1);
}

/* Another provider's probe of the same name says nothing of memory. */
SEMAPHORE(other_memory, alloc);

int main(int argc, char **argv) {
    const u64 blocks = w_arg(argc, argv, 1, 5000);
    period = until = w_arg(argc, argv, 2, 65536);
    const int flat_out = argc > 3;
    void *(*const make[])(u64) = {in_registers, as_constants, on_the_stack, in_an_array, in_halves};
    for (int i = 0; i < 5; i++) w_part(&sites[i]);
    w_ready();
    const u64 watched = (u64)otel_memory_alloc_semaphore << 16 | otel_memory_free_semaphore;
    for (u64 i = 0; i < blocks; i++) {
        const int site = (int)(i % 5);
        void *p = make[site](i % 50 ? 100 + i * 7 % 3000 : 150000); /* a large one is several samples */
        KEEP(p);
        if (other_memory_alloc_semaphore) PROBE3(other_memory, alloc, 1, 2, 3);
        if (flat_out || i % 4 < 2) give_back(&sites[site], p);
        if (i % 2 && !flat_out) w_sleep_us(2000); /* so slow that every sample's stack is taken */
    }
    w_truth_begin();
    w_number("samples", samples);
    w_number("freed_samples", freed_samples);
    w_number("fractions", fractions);
    w_number("freed_fractions", freed_fractions);
    w_number("watched", watched);
    w_number("unwatched", unwatched);
    w_number("asked_bytes", asked_bytes);
    w_truth_accounts(&w_total);
    w_truth_end();
    w_put("semaphores %u %u\n", otel_memory_alloc_semaphore, otel_memory_free_semaphore);
    w_flush();
    w_wait_line();
    return 0;
}
