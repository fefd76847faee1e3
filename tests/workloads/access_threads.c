/* Threads and the memory they share or keep to themselves (access.h says what counts; a round here is one thread's).
 *
 *   threads         four threads; each makes two reads of an array on its stack, then a write of a block of its own
 *   false_sharing   two threads; each counts up a word of its own, both words in one line of 64 bytes
 *   true_sharing    the same with one word for both
 *   padded          the same with a line for each
 *
 * The regions say which thread they belong to; under true_sharing two have the same address. */
#include "access.h"

#include <pthread.h>

#define MOST_THREADS 4
#define STEPS (16 * KIB)
#define ARRAY_BYTES (256 * KIB)
#define LINE 64

static struct worker {
    pthread_t thread;
    int index;
    struct work work;
    u64 volatile *word;
} __attribute__((aligned(2 * LINE))) workers[MOST_THREADS]; /* the workers' own counts share no line */

static int thread_count, is_on_stack, gate[2], parked[2];
static u64 end_ns, most_rounds;
static volatile u64 total_rounds;

static void pass(int fd) {
    char byte;
    while (read(fd, &byte, 1) < 0) continue;
}

static void signal_one(int fd) {
    while (write(fd, "x", 1) < 0) continue;
}

SITE static void array_round(const char *array, char *block) {
    for (u64 i = 0; i < STEPS; i++) {
        const u64 sum = load(array + i * 16 % ARRAY_BYTES) + load(array + (i * 16 + 8) % ARRAY_BYTES);
        store(block + i * 8 % ARRAY_BYTES, sum);
    }
}

SITE static void word_round(u64 volatile *word) {
    for (u64 i = 0; i < STEPS; i++) store(word, load(word) + 1);
}

static void work(struct worker *self, const char *array, char *block) {
    while (self->work.rounds < most_rounds && w_clock_ns(CLOCK_MONOTONIC) < end_ns) {
        if (is_on_stack) array_round(array, block);
        else word_round(self->word);
        self->work.rounds++;
        if (self->index == 0) total_rounds++;
    }
}

/* Regions are told by one thread at a time: main waits until each has parked before it starts the next. */
static void *worker_main(void *argument) {
    struct worker *self = argument;
    char array[ARRAY_BYTES], *block = NULL;
    self->work.tid = w_tid();
    if (is_on_stack) {
        block = malloc(ARRAY_BYTES);
        if (!block) _exit(3);
        for (u64 i = 0; i < ARRAY_BYTES; i += 8) store(array + i, i), store(block + i, i);
        a_region("stack array", &self->work, array, ARRAY_BYTES, 2 * STEPS, 0);
        a_region("block", &self->work, block, ARRAY_BYTES, 0, STEPS);
        array_round(array, block);
    } else {
        a_region("word", &self->work, (const void *)self->word, 8, STEPS, STEPS);
        word_round(self->word);
    }
    signal_one(parked[1]);
    pass(gate[0]);
    work(self, array, block);
    signal_one(parked[1]);
    for (;;) pause();
    return NULL;
}

/* Where each thread's word is, by pattern. */
static int choose(const char *pattern) {
    const int is_false = !strcmp(pattern, "false_sharing"), is_true = !strcmp(pattern, "true_sharing");
    is_on_stack = !strcmp(pattern, "threads");
    if (!is_on_stack && !is_false && !is_true && strcmp(pattern, "padded")) return 0;
    thread_count = is_on_stack ? 4 : 2;
    char *words = a_map(A_PAGE);
    const u64 apart = is_false ? 8 : is_true ? 0 : LINE;
    for (int i = 0; i < thread_count; i++) {
        workers[i].index = i;
        workers[i].word = (u64 volatile *)(void *)(words + (u64)i * apart);
    }
    return 1;
}

int main(int argc, char **argv) {
    if (argc < 3 || !choose(argv[1])) {
        fprintf(stderr, "usage: %s threads|false_sharing|true_sharing|padded SECONDS [ROUNDS]\n", argv[0]);
        return 2;
    }
    most_rounds = w_arg(argc, argv, 3, UINT64_MAX);
    if (pipe(gate) || pipe(parked)) return 3;
    for (int i = 0; i < thread_count; i++) {
        if (pthread_create(&workers[i].thread, NULL, worker_main, &workers[i])) return 3;
        pass(parked[0]);
    }
    a_ready(&total_rounds);
    end_ns = a_end_ns(w_arg(argc, argv, 2, 0));
    for (int i = 0; i < thread_count; i++) signal_one(gate[1]);
    for (int i = 0; i < thread_count; i++) pass(parked[0]);
    a_ended_ns = w_clock_ns(CLOCK_MONOTONIC);
    w_truth_begin();
    a_put_truth(argv[1]);
    w_truth_end();
    _exit(0);
}
