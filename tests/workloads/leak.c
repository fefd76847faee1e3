/* A leak beside much that is freed: what `monitor` is to flag and to name.
 *
 * leak SECONDS [LEAK_BYTES_PER_S [CHURN_PER_S]]: leak_site keeps blocks of 1,000 bytes, which it writes; churn_site frees its blocks of 2,000 at once. */
#include "workload.h"

SITE static void leak_site(void) {
    char *p = malloc(1000);
    KEEP(p);
    if (p) memset(p, 1, 1000);
    KEEP(p);
}

SITE static void churn_site(void) {
    void *p = malloc(2000);
    KEEP(p);
    free(p);
    KEEP(p);
}

int main(int argc, char **argv) {
    const u64 seconds = w_arg(argc, argv, 1, 60), leak = w_arg(argc, argv, 2, 1000000), churn = w_arg(argc, argv, 3, 5000);
    w_ready();
    const u64 start = w_clock_ns(CLOCK_MONOTONIC), end = start + seconds * 1000000000ull;
    u64 leaked = 0, churned = 0;
    for (u64 now = start; now < end; now = w_clock_ns(CLOCK_MONOTONIC)) {
        const double elapsed_s = (double)(now - start) * 1e-9;
        while ((double)leaked * 1000 < elapsed_s * (double)leak) leak_site(), leaked++;
        while ((double)churned < elapsed_s * (double)churn) churn_site(), churned++;
        w_sleep_us(2000);
    }
    w_truth_begin();
    w_number("leaked_bytes", leaked * 1000);
    w_truth_end();
    return 0;
}
