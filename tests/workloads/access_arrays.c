/* Accesses to arrays of known shares: what is touched how often follows from the loops (access.h says what counts).
 *
 *   seq         16 MiB read in order, 8 bytes at a time
 *   stride      32 MiB read every 256 bytes
 *   chase       8 MiB of nodes in random order, each read to find the next
 *   hotcold     in any ten reads in a row from the first on, nine fall into 256 KiB and one into 32 MiB
 *   zipf        256 pages, the i-th hottest read in proportion to 1/i, in the order of a table that is read too
 *   two_arrays  three reads of one array, then a write of the other
 *   phases      50 ms: three reads of one array and one of another at random; 50 ms: copying words; and so on */
#include "access.h"

/* ---- seq, stride ---- */

#define SEQ_BYTES (16 * MIB)
#define SEQ_CHUNK (256 * KIB)

static char *array;
static u64 place;

static void seq_prepare(void) { array = a_map_region("array", SEQ_BYTES, SEQ_CHUNK / 8, 0); }

SITE static void seq_round(void) {
    const char *from = array + place;
    u64 sum = 0;
    for (u64 i = 0; i < SEQ_CHUNK; i += 8) sum += load(from + i);
    place = (place + SEQ_CHUNK) % SEQ_BYTES;
    a_sink = sum;
}

#define STRIDE_BYTES (32 * MIB)
#define STRIDE 256

static void stride_prepare(void) { array = a_map_region("array", STRIDE_BYTES, STRIDE_BYTES / STRIDE, 0); }

SITE static void stride_round(void) {
    u64 sum = 0;
    for (u64 i = 0; i < STRIDE_BYTES; i += STRIDE) sum += load(array + i);
    a_sink = sum;
}

/* ---- chase ---- */

#define CHASE_BYTES (8 * MIB)
#define CHASE_STEPS (32 * KIB)
#define NODE 64

static const char *node;

static void chase_prepare(void) {
    const u64 count = CHASE_BYTES / NODE;
    uint32_t *next = a_map(count * sizeof *next);
    array = a_map_region("nodes", CHASE_BYTES, CHASE_STEPS, 0);
    for (u64 i = 0; i < count; i++) next[i] = (uint32_t)i;
    a_shuffle(next, count, 1);
    for (u64 i = 0; i < count; i++) store(array + i * NODE, (u64)(uintptr_t)(array + (u64)next[i] * NODE));
    node = array;
}

SITE static void chase_round(void) {
    const char *at = node;
    for (u64 i = 0; i < CHASE_STEPS; i++) at = (const char *)(uintptr_t)load(at);
    node = at;
}

/* ---- hotcold ---- */

#define HOT_BYTES (256 * KIB)
#define COLD_BYTES (32 * MIB)
#define HOTCOLD_TENS 4096

static char *hot, *cold;
static u64 seed = 1;

static void hotcold_prepare(void) {
    hot = a_map_region("hot", HOT_BYTES, 9 * HOTCOLD_TENS, 0);
    cold = a_map_region("cold", COLD_BYTES, HOTCOLD_TENS, 0);
}

static inline u64 xorshift(u64 x) {
    x ^= x << 13, x ^= x >> 7;
    return x ^ (x << 17);
}

/* Which of the ten is the cold one is random, so that no sampler can fall into step with it. */
SITE static void hotcold_round(void) {
    const char *const hot_base = hot, *const cold_base = cold;
    u64 x = seed, sum = 0;
    for (u64 ten = 0; ten < HOTCOLD_TENS; ten++) {
        const u64 which = (x >> 40) % 10;
        for (u64 i = 0; i < 10; i++) {
            x = xorshift(x);
            const u64 offset = x >> 20 << 3;
            const char *at = i == which ? cold_base + offset % COLD_BYTES : hot_base + offset % HOT_BYTES;
            sum += load(at);
        }
    }
    seed = x;
    a_sink = sum;
}

/* ---- zipf ---- */

#define ZIPF_PAGES 256
#define ZIPF_MOST 10000 /* reads of the hottest page in a round */

static uint32_t *schedule;
static u64 schedule_length;

/* Pages lie in random order, and so do the reads. */
static void zipf_prepare(void) {
    uint32_t page_of_rank[ZIPF_PAGES];
    for (uint32_t i = 0; i < ZIPF_PAGES; i++) page_of_rank[i] = i, schedule_length += ZIPF_MOST / (i + 1);
    a_shuffle(page_of_rank, ZIPF_PAGES, 0);
    schedule = a_map_region("schedule", schedule_length * sizeof *schedule, schedule_length, 0);
    array = a_map_region("pages", ZIPF_PAGES * A_PAGE, schedule_length, 0);
    u64 filled = 0;
    for (u64 rank = 0; rank < ZIPF_PAGES; rank++)
        for (u64 i = 0; i < ZIPF_MOST / (rank + 1); i++, filled++)
            schedule[filled] = page_of_rank[rank] * (uint32_t)A_PAGE + (uint32_t)(filled * 8 % A_PAGE);
    a_shuffle(schedule, schedule_length, 0);
}

SITE static void zipf_round(void) {
    const volatile uint32_t *next = schedule;
    u64 sum = 0;
    for (u64 i = 0; i < schedule_length; i++) sum += load(array + next[i]);
    a_sink = sum;
}

/* ---- two_arrays ---- */

#define TWO_BYTES (4 * MIB)
#define TWO_WRITES (32 * KIB)

static char *written;

static void two_arrays_prepare(void) {
    array = a_map_region("read", TWO_BYTES, 3 * TWO_WRITES, 0);
    written = a_map_region("written", TWO_BYTES, 0, TWO_WRITES);
}

SITE static void two_arrays_round(void) {
    const char *const from = array;
    char *const to = written;
    u64 at = place;
    for (u64 i = 0; i < TWO_WRITES; i++) {
        const u64 sum = load(from + at) + load(from + (at + 1 * MIB) % TWO_BYTES) + load(from + (at + 2 * MIB) % TWO_BYTES);
        store(to + at, sum);
        at = (at + 8) % TWO_BYTES;
    }
    place = at;
}

/* ---- phases ---- */

#define PHASES_BYTES (2 * MIB)
#define PHASES_STEPS (16 * KIB)

static char *near, *far, *source, *copy;

static void phases_prepare(void) {
    a_work[0].phase = "lookup";
    a_work[1].phase = "copy";
    near = a_map_region("near", 64 * KIB, 3 * PHASES_STEPS, 0);
    far = a_map_region("far", 8 * MIB, PHASES_STEPS, 0);
    source = a_map(PHASES_BYTES), copy = a_map(PHASES_BYTES);
    a_region("source", &a_work[1], source, PHASES_BYTES, PHASES_STEPS, 0);
    a_region("copy", &a_work[1], copy, PHASES_BYTES, 0, PHASES_STEPS);
}

SITE static void lookup_round(void) {
    const char *const small = near, *const large = far;
    u64 x = seed, sum = 0;
    for (u64 i = 0; i < PHASES_STEPS; i++) {
        x = xorshift(x);
        const u64 offset = x >> 20 << 3;
        sum += load(large + offset % (8 * MIB)) + load(small + offset % (64 * KIB));
        sum += load(small + (offset >> 4 << 3) % (64 * KIB)) + load(small + (offset >> 8 << 3) % (64 * KIB));
    }
    seed = x;
    a_sink = sum;
}

SITE static void copy_round(void) {
    const char *const from = source + place;
    char *const to = copy + place;
    for (u64 i = 0; i < 8 * PHASES_STEPS; i += 8) store(to + i, load(from + i));
    place = (place + 8 * PHASES_STEPS) % PHASES_BYTES;
}

static const struct pattern patterns[] = {
    {"seq", seq_prepare, seq_round, NULL, NULL},
    {"stride", stride_prepare, stride_round, NULL, NULL},
    {"chase", chase_prepare, chase_round, NULL, NULL},
    {"hotcold", hotcold_prepare, hotcold_round, NULL, NULL},
    {"zipf", zipf_prepare, zipf_round, NULL, NULL},
    {"two_arrays", two_arrays_prepare, two_arrays_round, NULL, NULL},
    {"phases", phases_prepare, lookup_round, copy_round, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

int main(int argc, char **argv) { return a_main(argc, argv, patterns, NULL); }
