/* Known counts and bytes from distinct call sites, one path shared by two callers, and a deep recursion.
 *
 * sites [ROUNDS]: ROUNDS (100) times everything below. Expected stacks at `shared_leaf`: one call in eight through
 * `path_one`, seven through `path_two`; at `recursion_end`: DEPTH frames of `recurse` below it. */
#include "workload.h"

#define DEPTH 200

/* Site k: k + 1 allocations of 32 * (k + 1) bytes a round; the last of them freed at once by odd sites. */
#define DEFINE_SITE(k)                                                                \
    static struct account site_##k##_account = {.name = "site_" #k};                  \
    SITE static void site_##k(void) {                                                 \
        for (u64 i = 0; i < k + 1; i++) {                                             \
            const u64 size = 32 * (k + 1);                                            \
            void *p = w_alloc(&site_##k##_account, malloc(size), size);               \
            if (k % 2 == 0 || i != k) continue;                                        \
            w_free(&site_##k##_account, p, size);                                     \
            free(p);                                                                  \
        }                                                                             \
    }
DEFINE_SITE(0)
DEFINE_SITE(1)
DEFINE_SITE(2)
DEFINE_SITE(3)
DEFINE_SITE(4)
DEFINE_SITE(5)
DEFINE_SITE(6)
DEFINE_SITE(7)

static struct account shared_leaf_account = {.name = "shared_leaf"};
SITE static void shared_leaf(void) {
    w_alloc(&shared_leaf_account, malloc(1440), 1440);
}

SITE static void shared_middle(void) {
    shared_leaf();
    KEEP(&w_total);
}

SITE static void path_one(void) {
    shared_middle();
    KEEP(&w_total);
}

SITE static void path_two(void) {
    for (int i = 0; i < 7; i++) shared_middle();
    KEEP(&w_total);
}

static struct account recursion_end_account = {.name = "recursion_end"};
SITE static void recursion_end(void) {
    w_alloc(&recursion_end_account, malloc(96), 96);
}

SITE static void recurse(int depth) {
    if (depth > 0) recurse(depth - 1);
    else recursion_end();
    KEEP(&depth);
}

static struct account *const accounts[] = {
    &site_0_account, &site_1_account, &site_2_account, &site_3_account,      &site_4_account,
    &site_5_account, &site_6_account, &site_7_account, &shared_leaf_account, &recursion_end_account,
};

SITE static void one_round(void) {
    site_0();
    site_1();
    site_2();
    site_3();
    site_4();
    site_5();
    site_6();
    site_7();
    path_one();
    path_two();
    recurse(DEPTH);
    KEEP(&w_total);
}

int main(int argc, char **argv) {
    const u64 rounds = w_arg(argc, argv, 1, 100);
    for (size_t i = 0; i < sizeof accounts / sizeof *accounts; i++) w_part(accounts[i]);
    w_ready();
    for (u64 i = 0; i < rounds; i++) one_round();
    w_truth_begin();
    w_truth_accounts(&w_total);
    w_number("recursion_depth", DEPTH);
    w_truth_end();
    _exit(0);
}
