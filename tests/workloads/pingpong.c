/* Two processes (or threads) passing one byte back and forth over pipes, pinned to one CPU: every pass is a switch.
 *
 * pingpong SECONDS [threads]. The truth counts round trips and what both sides' own usage says of switches. */
#include "workload.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

static int there[2], back[2];

static void pin_to_first_cpu(void) {
    cpu_set_t allowed, one;
    sched_getaffinity(0, sizeof allowed, &allowed);
    CPU_ZERO(&one);
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET(cpu, &allowed)) continue;
        CPU_SET(cpu, &one);
        break;
    }
    sched_setaffinity(0, sizeof one, &one);
}

static u64 switches(void) {
    struct rusage r;
    getrusage(RUSAGE_THREAD, &r);
    return (u64)(r.ru_nvcsw + r.ru_nivcsw);
}

/* Sends back what comes, until 'q'; leaves its switch count in the pipe. */
static void *echo(void *unused) {
    (void)unused;
    const u64 before = switches();
    char c;
    while (read(there[0], &c, 1) == 1 && c != 'q')
        if (write(back[1], &c, 1) != 1) break;
    const u64 count = switches() - before;
    if (write(back[1], &count, sizeof count) != sizeof count) _exit(3);
    return NULL;
}

int main(int argc, char **argv) {
    const u64 seconds = w_arg(argc, argv, 1, 5);
    const int as_threads = argc > 2 && !strcmp(argv[2], "threads");
    pthread_t thread;
    pid_t child = 0;
    if (pipe(there) || pipe(back)) return 3;
    pin_to_first_cpu();
    if (as_threads) {
        if (pthread_create(&thread, NULL, echo, NULL)) return 3;
    } else if ((child = fork()) == 0) {
        echo(NULL);
        pause();
    }
    w_put("child %d\n", (int)child);
    w_ready();
    const u64 start = w_clock_ns(CLOCK_MONOTONIC), end = start + seconds * 1000000000ull, before = switches();
    u64 rounds = 0, theirs = 0, now = start;
    char c = 'x';
    for (; now < end; now = w_clock_ns(CLOCK_MONOTONIC)) {
        for (int i = 0; i < 64; i++, rounds++)
            if (write(there[1], &c, 1) != 1 || read(back[0], &c, 1) != 1) return 3;
    }
    const u64 ours = switches() - before;
    if (write(there[1], "q", 1) != 1 || read(back[0], &theirs, sizeof theirs) != sizeof theirs) return 3;
    w_truth_begin();
    w_number("round_trips", rounds);
    w_number("elapsed_ns", now - start);
    w_number("switches", ours);
    w_number("echo_switches", theirs);
    w_number("echo_pid", (u64)child);
    w_truth_end();
    if (child > 0) kill(child, SIGKILL), waitpid(child, NULL, 0);
    _exit(0);
}
