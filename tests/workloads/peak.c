/* A live curve with one known peak, known temporaries, and two populations of lifetimes.
 *
 * peak [PHASE...]: curve, temporaries, lifetimes; all unless some are named. Only the curve lives long enough to
 * matter for the peak, and it runs first. */
#include "workload.h"

#define BLOCK 4096
#define BASE_BLOCKS 256  /* 1 MiB, kept */
#define TOP_BLOCKS 512   /* 2 MiB more: the peak is 3 MiB */
#define SECOND_BLOCKS 300
#define TEMPORARIES 1000
#define SHORT_LIVED 2000
#define LONG_LIVED 200
#define LONG_LIFE_US 50000
#define LONG_LIFE_LOG2 25 /* 33.6 ms: the largest power of two, in ns, below LONG_LIFE_US */

static void *blocks[TOP_BLOCKS];

#define DEFINE_ALLOCATING(function)                                                       \
    static struct account function##_account = {.name = #function};                       \
    SITE static void function(int n, u64 size) {                                          \
        for (int i = 0; i < n; i++) blocks[i] = w_alloc(&function##_account, malloc(size), size); \
    }
DEFINE_ALLOCATING(peak_base)
DEFINE_ALLOCATING(peak_top)
DEFINE_ALLOCATING(peak_second)
DEFINE_ALLOCATING(long_lived)

SITE static void release(struct account *site, int n, u64 size) {
    for (int i = 0; i < n; i++) {
        w_free(site, blocks[i], size);
        free(blocks[i]);
    }
}

static void curve(void) {
    peak_base(BASE_BLOCKS, BLOCK);
    peak_top(TOP_BLOCKS, BLOCK);
    release(&peak_top_account, TOP_BLOCKS, BLOCK);
    peak_second(SECOND_BLOCKS, BLOCK);
    release(&peak_second_account, SECOND_BLOCKS / 2, BLOCK);
}

static struct account temporary_account = {.name = "temporary"};
SITE static void temporary(void) {
    for (int i = 0; i < TEMPORARIES; i++) {
        void *p = w_alloc(&temporary_account, malloc(100), 100);
        w_free(&temporary_account, p, 100);
        free(p);
    }
}

/* In pairs freed in the order of their allocation: the first of a pair is not temporary, the second is. */
static struct account not_temporary_account = {.name = "not_temporary"};
SITE static void not_temporary(void) {
    for (int i = 0; i < TEMPORARIES; i++) {
        void *p = w_alloc(&not_temporary_account, malloc(80), 80);
        void *q = w_alloc(&not_temporary_account, malloc(72), 72);
        w_free(&not_temporary_account, p, 80);
        free(p);
        w_free(&not_temporary_account, q, 72);
        free(q);
    }
}

static void temporaries(void) {
    temporary();
    not_temporary();
}

static u64 short_that_took_long; /* preempted in between: the program's own clock around the pair */

static struct account short_lived_account = {.name = "short_lived"};
SITE static void short_lived(void) {
    for (int i = 0; i < SHORT_LIVED; i++) {
        u64 before = w_clock_ns(CLOCK_MONOTONIC);
        void *p = w_alloc(&short_lived_account, malloc(64), 64);
        w_free(&short_lived_account, p, 64);
        free(p);
        short_that_took_long += w_clock_ns(CLOCK_MONOTONIC) - before >= 1ull << LONG_LIFE_LOG2;
    }
}

static void lifetimes(void) {
    long_lived(LONG_LIVED, 128);
    short_lived();
    w_sleep_us(LONG_LIFE_US);
    release(&long_lived_account, LONG_LIVED, 128);
}

static const struct {
    const char *name;
    void (*run)(void);
} phases[] = {{"curve", curve}, {"temporaries", temporaries}, {"lifetimes", lifetimes}};

static int wanted(int argc, char **argv, const char *name) {
    for (int i = 1; i < argc; i++)
        if (!strcmp(argv[i], name)) return 1;
    return argc <= 1;
}

static struct account *const accounts[] = {
    &peak_base_account,     &peak_top_account,    &peak_second_account, &temporary_account,
    &not_temporary_account, &short_lived_account, &long_lived_account,
};

int main(int argc, char **argv) {
    for (size_t i = 0; i < sizeof accounts / sizeof *accounts; i++) w_part(accounts[i]);
    w_ready();
    for (size_t i = 0; i < sizeof phases / sizeof *phases; i++)
        if (wanted(argc, argv, phases[i].name)) phases[i].run();
    w_truth_begin();
    w_truth_accounts(&w_total);
    w_number("long_lived_count", long_lived_account.free_count);
    w_number("short_lived_count", short_lived_account.free_count);
    w_number("short_that_took_long", short_that_took_long);
    w_number("long_life_log2", LONG_LIFE_LOG2);
    w_truth_end();
    _exit(0);
}
