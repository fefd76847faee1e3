/* A thread in uninterruptible sleep beside one that works.
 *
 * blocked: after "go" the first thread makes a child by vfork that waits for the next line, and is in state D until then; the other thread allocates
 * and frees all the time. "step blocked" comes right before; the child lives until a line comes. Then the first thread tells its truth. */
#include "workload.h"

#include <pthread.h>
#include <sys/wait.h>

static volatile int over;

SITE static void churn_site(void) {
    void *p = malloc(64);
    KEEP(p);
    free(p);
    KEEP(p);
}

static void *churn(void *unused) {
    (void)unused;
    while (!over) {
        for (int i = 0; i < 200; i++) churn_site();
        w_sleep_us(2000);
    }
    return NULL;
}

int main(void) {
    pthread_t thread;
    w_ready();
    if (pthread_create(&thread, NULL, churn, NULL)) return 3;
    w_put("step blocked\n");
    w_flush();
    pid_t child = vfork();
    if (child < 0) return 3;
    if (child == 0) {
        w_wait_line();
        _exit(0);
    }
    over = 1;
    int status = 0;
    if (waitpid(child, &status, 0) != child || status) return 3;
    pthread_join(thread, NULL);
    w_truth_begin();
    w_number("blocked", 1);
    w_truth_end();
    return 0;
}
