/* Blocks of malloc, some of them used, some in part, some never (access.h says how it works and what counts).
 *
 *   never_touched   allocates after "ready", by four sites, 8 blocks of 256 KiB each, and then reads those of the first:
 *                     site_hot        written from end to end, read all the time, and every fourth word written
 *                     site_cold       written from end to end, and never used again
 *                     site_half       the first half written, nothing of the second
 *                     site_untouched  nothing written but what malloc keeps ahead of the block
 *
 * The truth adds "parts": by site, the live bytes and those on pages nobody has touched, as mincore(2) has it at the
 * end. Huge pages are off in this process, or a touch would give memory to neighbours. */
#include "access.h"

#include <sys/prctl.h>

#define BLOCKS 8
#define BLOCK (256 * KIB) /* beyond malloc's threshold: each a mapping of its own, page by page */
#define WORDS (8 * KIB)   /* a round of one block */

static char *hot[BLOCKS], *cold[BLOCKS], *half[BLOCKS], *untouched[BLOCKS];
static u64 place;

static void write_block(char *block, u64 bytes) {
    for (u64 i = 0; i < bytes; i += 8) store(block + i, i);
}

#define ALLOCATE(site) \
    SITE static void site_##site(void) { \
        for (int i = 0; i < BLOCKS; i++) { \
            site[i] = malloc(BLOCK); \
            KEEP(site[i]); \
            if (!site[i]) _exit(3); \
        } \
    }
ALLOCATE(hot) ALLOCATE(cold) ALLOCATE(half) ALLOCATE(untouched)

static void prepare(void) { prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0); }

static void start(void) {
    site_hot(), site_cold(), site_half(), site_untouched();
    for (int i = 0; i < BLOCKS; i++) {
        write_block(hot[i], BLOCK);
        write_block(cold[i], BLOCK);
        write_block(half[i], BLOCK / 2);
        a_region("hot", &a_work[0], hot[i], BLOCK, WORDS, WORDS / 4);
    }
}

/* Nothing is there to be used before "ready". */
SITE static void round_(void) {
    if (!hot[0]) return;
    for (int i = 0; i < BLOCKS; i++) {
        char *at = hot[i] + place;
        for (u64 word = 0; word < 8 * WORDS; word += 32) {
            const u64 sum = load(at + word) + load(at + word + 8) + load(at + word + 16) + load(at + word + 24);
            store(at + word, sum);
        }
    }
    place = (place + 8 * WORDS) % BLOCK;
}

/* Bytes of a block on pages without memory. */
static u64 untouched_bytes(const char *block) {
    static unsigned char resident[BLOCK / A_PAGE + 2];
    const u64 first = (u64)(uintptr_t)block, last = first + BLOCK, page = first & ~(A_PAGE - 1);
    u64 bytes = 0;
    if (mincore((void *)(uintptr_t)page, last - page, resident)) _exit(3);
    for (u64 at = page; at < last; at += A_PAGE) {
        if (resident[(at - page) / A_PAGE] & 1) continue;
        const u64 from = at < first ? first : at, to = at + A_PAGE > last ? last : at + A_PAGE;
        bytes += to - from;
    }
    return bytes;
}

static void put_site(const char *name, char *const *blocks) {
    u64 untouched_sum = 0;
    for (int i = 0; i < BLOCKS; i++) untouched_sum += untouched_bytes(blocks[i]);
    w_comma();
    w_put("{");
    w_string("name", name);
    w_number("alloc_count", BLOCKS);
    w_number("live_bytes", BLOCKS * BLOCK);
    w_number("untouched_bytes", untouched_sum);
    w_put("}");
}

static void more(void) {
    w_put(",\"parts\":[");
    put_site("site_hot", hot);
    put_site("site_cold", cold);
    put_site("site_half", half);
    put_site("site_untouched", untouched);
    w_put("]");
}

static const struct pattern patterns[] = {
    {"never_touched", prepare, round_, NULL, start},
    {NULL, NULL, NULL, NULL, NULL},
};

int main(int argc, char **argv) { return a_main(argc, argv, patterns, more); }
