/* Becomes another program mid-run.
 *
 * exec N PROGRAM [ARG...]: N blocks of 88 bytes at `before_exec`, then "step exec", then PROGRAM in the same process.
 * PROGRAM prints its own "ready" and truth; this one's is "before_exec {...}". */
#include "workload.h"

static struct account account = {.name = "before_exec"};

SITE static void before_exec(u64 n) {
    for (u64 i = 0; i < n; i++) w_alloc(&account, malloc(88), 88);
}

int main(int argc, char **argv) {
    if (argc < 3) return 2;
    w_ready();
    before_exec(w_arg(argc, argv, 1, 0));
    w_part(&account);
    w_put("before_exec {");
    w_truth_accounts(&w_total);
    w_put("}\n");
    w_step("exec");
    execv(argv[2], argv + 2);
    return 3;
}
