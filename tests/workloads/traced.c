/* More large blocks than fit into memory for long, among small ones: what is traced one by one and what is not.
 *
 * traced [ROUNDS]: ROUNDS (200000) times a large block from `even` or `odd` each, and a small one. The large ones live for
 * LIVE rounds; those of the last rounds remain. After all rounds: "step ended", when no more will end. */
#include "workload.h"

#define LIVE 500       /* rounds a large block lives; what all hold stays below glibc's threshold for trimming */
#define LARGE 4096     /* the default of --min-size; sizes go up to eight times that in odd steps */
#define SMALL 64

static struct account even_account = {.name = "even"}, odd_account = {.name = "odd"}, small_account = {.name = "small"};

static struct block {
    void *pointer;
    u64 size;
} even_blocks[LIVE], odd_blocks[LIVE];

static u64 large_size(u64 round) { return LARGE + round % 29 * 1009; }

SITE static void *even(u64 size) { return w_alloc(&even_account, malloc(size), size); }
SITE static void *odd(u64 size) { return w_alloc(&odd_account, malloc(size), size); }
SITE static void *small(void) { return w_alloc(&small_account, malloc(SMALL), SMALL); }

static void release(struct account *site, void *pointer, u64 size) {
    if (!pointer) return;
    w_free(site, pointer, size);
    free(pointer);
}

int main(int argc, char **argv) {
    const u64 rounds = w_arg(argc, argv, 1, 200000);
    w_part(&even_account);
    w_part(&odd_account);
    w_part(&small_account);
    w_ready();
    for (u64 i = 0; i < rounds; i++) {
        struct block *one = &even_blocks[i % LIVE], *other = &odd_blocks[i % LIVE];
        release(&even_account, one->pointer, one->size);
        release(&odd_account, other->pointer, other->size);
        *one = (struct block){even(large_size(i)), large_size(i)};
        *other = (struct block){odd(large_size(i + 1)), large_size(i + 1)};
        release(&small_account, small(), SMALL);
    }
    w_step("ended");
    w_truth_begin();
    w_truth_accounts(&w_total);
    w_truth_end();
    _exit(0);
}
