/* Threads with an account each.
 *
 * threads long [N]   N (50) rounds in each of EARLY threads that wait before "ready" and LATE ones created during the
 *                    work; half of what a thread allocates it frees, a quarter main frees; all live until the end.
 * threads short [T]  T (1000) threads, BATCH at a time, 10 blocks each, 9 freed; they have exited at "truth".
 *
 * Creating a thread makes libc call calloc (the thread's TLS vector): seen in main's thread, in no account here. */
#include "workload.h"

#include <pthread.h>

#define EARLY 2
#define LATE 4
#define WORKERS (EARLY + LATE)
#define BATCH 8
#define MAX_ROUNDS 1000

struct worker {
    pthread_t thread;
    int index;
    struct account account;
    void *handed_over[MAX_ROUNDS];
};

static struct worker workers[WORKERS];
static int gate[2], parked[2], finished[2];
static u64 rounds;

static void pass(int fd) {
    char c;
    while (read(fd, &c, 1) < 0) continue;
}

static void signal_one(int fd) {
    while (write(fd, "x", 1) < 0) continue;
}

static u64 block_size(int index) { return 40 + 24 * (u64)index; }

/* Four blocks a round: two freed here, one handed to main, one kept. */
SITE static void thread_work(struct worker *self) {
    const u64 size = block_size(self->index);
    for (u64 i = 0; i < rounds; i++) {
        void *a = w_count_alloc(&self->account, malloc(size), size);
        void *b = w_count_alloc(&self->account, malloc(size), size);
        self->handed_over[i] = w_count_alloc(&self->account, malloc(size), size);
        w_count_alloc(&self->account, malloc(size), size);
        w_count_free(&self->account, a, size);
        free(a);
        w_count_free(&self->account, b, size);
        free(b);
    }
}

static void *worker_main(void *argument) {
    struct worker *self = argument;
    self->account.tid = w_tid();
    if (self->index < EARLY) {
        signal_one(parked[1]);
        pass(gate[0]);
    }
    thread_work(self);
    signal_one(finished[1]);
    for (;;) pause();
    return NULL;
}

/* Frees another thread's blocks: main's free, the owner's live bytes. */
SITE static void free_handed_over(struct account *main_account) {
    for (int w = 0; w < WORKERS; w++) {
        for (u64 i = 0; i < rounds; i++) {
            main_account->free_count++;
            main_account->freed_bytes += block_size(w);
            workers[w].account.live_bytes -= block_size(w);
            free(workers[w].handed_over[i]);
        }
    }
}

static void run_long(void) {
    static struct account main_account;
    main_account.tid = w_tid();
    for (int i = 0; i < WORKERS; i++) {
        workers[i].index = i;
        w_part(&workers[i].account);
    }
    w_part(&main_account);
    for (int i = 0; i < EARLY; i++) pthread_create(&workers[i].thread, NULL, worker_main, &workers[i]);
    for (int i = 0; i < EARLY; i++) pass(parked[0]);
    w_ready();
    for (int i = 0; i < EARLY; i++) signal_one(gate[1]);
    for (int i = EARLY; i < WORKERS; i++) pthread_create(&workers[i].thread, NULL, worker_main, &workers[i]);
    for (int i = 0; i < WORKERS; i++) pass(finished[0]);
    free_handed_over(&main_account);
    for (int i = 0; i < w_part_count; i++) w_add(&w_total, w_parts[i]);
}

static struct account short_accounts[BATCH];

SITE static void short_work(struct account *account) {
    for (int i = 0; i < 10; i++) {
        void *p = w_count_alloc(account, malloc(56), 56);
        if (i == 9) break;
        w_count_free(account, p, 56);
        free(p);
    }
}

static void *short_main(void *argument) {
    short_work(argument);
    return NULL;
}

static void run_short(u64 total) {
    w_ready();
    pthread_t threads[BATCH];
    for (u64 done = 0; done < total; done += BATCH) {
        u64 n = total - done < BATCH ? total - done : BATCH;
        for (u64 i = 0; i < n; i++) pthread_create(&threads[i], NULL, short_main, &short_accounts[i]);
        for (u64 i = 0; i < n; i++) pthread_join(threads[i], NULL);
    }
    static struct account all = {.name = "short_work"};
    for (int i = 0; i < BATCH; i++) w_add(&all, &short_accounts[i]);
    w_part(&all);
    w_add(&w_total, &all);
}

int main(int argc, char **argv) {
    if (pipe(gate) || pipe(parked) || pipe(finished)) return 3;
    int is_short = argc > 1 && !strcmp(argv[1], "short");
    rounds = w_arg(argc, argv, 2, is_short ? 1000 : 50);
    if (!is_short && rounds > MAX_ROUNDS) return 2;
    if (is_short) run_short(rounds);
    else run_long();
    w_truth_begin();
    w_truth_accounts(&w_total);
    w_number(is_short ? "thread_count" : "created_count", is_short ? rounds : LATE);
    w_truth_end();
    _exit(0);
}
