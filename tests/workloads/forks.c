/* Children that each allocate a known amount.
 *
 * forks [CHILDREN [N]]: the parent makes N (20) blocks, then forks CHILDREN (8), one after another; child k makes N
 * blocks of 48 bytes, frees half of them and exits. Accounts: "parent_work" and "child_work" (all children together). */
#include "workload.h"

#include <sys/wait.h>

static struct account parent_account = {.name = "parent_work"}, child_account = {.name = "child_work"};

SITE static void parent_work(u64 n) {
    for (u64 i = 0; i < n; i++) w_count_alloc(&parent_account, malloc(80), 80);
}

SITE static void child_work(u64 n) {
    for (u64 i = 0; i < n; i++) {
        void *p = w_count_alloc(&child_account, malloc(48), 48);
        if (i % 2) continue;
        w_count_free(&child_account, p, 48);
        free(p);
    }
}

int main(int argc, char **argv) {
    const u64 children = w_arg(argc, argv, 1, 8), n = w_arg(argc, argv, 2, 20);
    int report[2];
    if (pipe(report)) return 3;
    w_ready();
    parent_work(n);
    static struct account all = {.name = "child_work"};
    for (u64 i = 0; i < children; i++) {
        pid_t child = fork();
        if (child < 0) return 3;
        if (child == 0) {
            child_work(n);
            _exit(write(report[1], &child_account, sizeof child_account) != sizeof child_account);
        }
        struct account got;
        int status = 0;
        if (read(report[0], &got, sizeof got) != sizeof got) return 3;
        if (waitpid(child, &status, 0) != child || status) return 3;
        w_add(&all, &got);
    }
    w_part(&parent_account);
    w_part(&all);
    w_add(&w_total, &parent_account);
    w_add(&w_total, &all);
    w_truth_begin();
    w_truth_accounts(&w_total);
    w_number("children", children);
    w_truth_end();
    _exit(0);
}
