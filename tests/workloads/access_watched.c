/* Stores to two words on pages of their own, a known number of times by each thread, as fast as they go. Half of the threads
 * are there from the beginning, the others begin with the work.
 *
 *   access_watched THREADS ROUNDS
 *
 * A round stores to the first word, every other round to the second. Says where they are, is ready, waits for a line, and
 * says how often each was stored to and how many nanoseconds a thread took for a store to the first. */
#include "workload.h"

#include <pthread.h>

#define MOST_THREADS 8
#define PAGE 4096

static struct { volatile u64 word; char rest[PAGE - sizeof(u64)]; } pages[3] __attribute__((aligned(PAGE)));
static pthread_barrier_t gate;
static u64 rounds;

static void *worker_main(void *argument) {
    pthread_barrier_wait(&gate);
    for (u64 i = 0; i < rounds; i++) {
        pages[0].word = i;
        if (i & 1) pages[2].word = i;
    }
    return argument;
}

static int begin(pthread_t *ids, u64 count) {
    for (u64 i = 0; i < count; i++) {
        if (pthread_create(&ids[i], NULL, worker_main, NULL)) return 0;
    }
    return 1;
}

int main(int argc, char **argv) {
    const u64 threads = w_arg(argc, argv, 1, 1);
    rounds = w_arg(argc, argv, 2, 1000);
    if (threads < 1 || threads > MOST_THREADS) return 2;
    pthread_t ids[MOST_THREADS];
    if (pthread_barrier_init(&gate, NULL, (unsigned)threads + 1)) return 3;
    const u64 early = threads / 2;
    if (!begin(ids, early)) return 3;
    printf("words %p %p\n", (void *)&pages[0].word, (void *)&pages[2].word);
    printf("ready\n");
    fflush(stdout);
    char byte;
    if (read(0, &byte, 1) != 1) return 3;
    if (!begin(ids + early, threads - early)) return 3;
    const u64 began_ns = w_clock_ns(CLOCK_MONOTONIC);
    pthread_barrier_wait(&gate);
    for (u64 i = 0; i < threads; i++) pthread_join(ids[i], NULL);
    const u64 took_ns = w_clock_ns(CLOCK_MONOTONIC) - began_ns;
    printf("truth {\"first\": %llu, \"second\": %llu, \"store_ns\": %llu}\n", (unsigned long long)(threads * rounds),
           (unsigned long long)(threads * (rounds / 2)), (unsigned long long)(took_ns / (rounds ? rounds : 1)));
    fflush(stdout);
    for (;;) pause();
}
