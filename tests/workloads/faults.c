/* Page faults, context switches and CPU time per thread, as the kernel tells the thread itself.
 *
 * faults [PAGES [SLEEPS [SPIN_MS]]]: worker k of THREADS maps 2 * PAGES pages (no huge ones), touches PAGES * (k + 1)
 * / THREADS of them once, sleeps SLEEPS * (k + 1) times 1 ms and spins SPIN_MS * (k + 1) ms of CPU time.
 *
 * Each thread reads its own usage before it blocks ahead of "ready" and again before it blocks ahead of "truth": what
 * a tracer sees in between differs by one blocking read at each end, and these cancel. */
#include "workload.h"

#include <ctype.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>

#define THREADS 4
#define PAGE 4096

struct usage {
    u64 minor_faults, major_faults, voluntary, involuntary, cpu_ns;
};

static struct worker {
    pthread_t thread;
    u64 index, tid, touched_pages;
    struct usage used;
    int gate[2];
} workers[THREADS];

static u64 pages, sleeps, spin_ms;

static struct usage usage_now(void) {
    struct rusage r;
    getrusage(RUSAGE_THREAD, &r);
    struct usage now = {(u64)r.ru_minflt, (u64)r.ru_majflt, (u64)r.ru_nvcsw, (u64)r.ru_nivcsw, 0};
    now.cpu_ns = w_clock_ns(CLOCK_THREAD_CPUTIME_ID);
    return now;
}

static struct usage difference(struct usage a, struct usage b) {
    struct usage d = {b.minor_faults - a.minor_faults, b.major_faults - a.major_faults, b.voluntary - a.voluntary,
                      b.involuntary - a.involuntary, b.cpu_ns - a.cpu_ns};
    return d;
}

static void pass(struct worker *self) {
    char c;
    while (read(self->gate[0], &c, 1) < 0) continue;
}

static void open_gate(struct worker *worker) {
    while (write(worker->gate[1], "x", 1) < 0) continue;
}

static void touch(char *memory, u64 count) {
    for (u64 i = 0; i < count; i++) ((volatile char *)memory)[i * PAGE] = 1;
}

static void spin(u64 ms) {
    const u64 end = w_clock_ns(CLOCK_THREAD_CPUTIME_ID) + ms * 1000000;
    while (w_clock_ns(CLOCK_THREAD_CPUTIME_ID) < end) continue;
}

static void work(struct worker *self, char *memory) {
    touch(memory, self->touched_pages);
    for (u64 i = 0; i < sleeps * (self->index + 1); i++) w_sleep_us(1000);
    spin(spin_ms * (self->index + 1));
}

static void *worker_main(void *argument) {
    struct worker *self = argument;
    self->tid = w_tid();
    const size_t length = 2 * pages * PAGE;
    char *memory = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED || madvise(memory, length, MADV_NOHUGEPAGE)) _exit(3);
    /* A first pass through every path, on pages of its own, so that code, stack and TLS have been faulted in. */
    pass(self);
    touch(memory + length - PAGE, 1);
    w_sleep_us(1);
    spin(1);
    self->used = difference(usage_now(), usage_now());
    const struct usage before = usage_now();
    pass(self);
    work(self, memory);
    self->used = difference(before, usage_now());
    pass(self);
    return NULL;
}

static void print_worker(const struct worker *w) {
    w_comma();
    w_put("{");
    w_number("tid", w->tid);
    w_number("touched_pages", w->touched_pages);
    w_number("minor_faults", w->used.minor_faults);
    w_number("major_faults", w->used.major_faults);
    w_number("voluntary_switches", w->used.voluntary);
    w_number("involuntary_switches", w->used.involuntary);
    w_number("cpu_ns", w->used.cpu_ns);
    w_put("}");
}

/* A thread that sleeps in read(2) has arrived at its gate; one that sleeps elsewhere, or was woken, has not. */
static void await_blocked(const struct worker *worker) {
    char path[64], text[32];
    snprintf(path, sizeof path, "/proc/self/task/%llu/syscall", (unsigned long long)worker->tid);
    for (;;) {
        int fd = open(path, O_RDONLY);
        ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
        if (fd < 0 || n <= 0) _exit(3);
        close(fd);
        text[n] = 0;
        if (isdigit((unsigned char)text[0]) && strtol(text, NULL, 10) == SYS_read) return;
        w_sleep_us(2000);
    }
}

static void await_all(void) {
    for (int i = 0; i < THREADS; i++) await_blocked(&workers[i]);
}

int main(int argc, char **argv) {
    pages = w_arg(argc, argv, 1, 1000);
    sleeps = w_arg(argc, argv, 2, 20);
    spin_ms = w_arg(argc, argv, 3, 50);
    for (u64 i = 0; i < THREADS; i++) {
        struct worker *w = &workers[i];
        w->index = i;
        w->touched_pages = pages * (i + 1) / THREADS;
        if (pipe(w->gate) || pthread_create(&w->thread, NULL, worker_main, w)) return 3;
        while (!__atomic_load_n(&w->tid, __ATOMIC_ACQUIRE)) w_sleep_us(1000);
    }
    for (int round = 0; round < 2; round++) {
        await_all();
        if (round == 1) w_ready();
        for (int i = 0; i < THREADS; i++) open_gate(&workers[i]);
    }
    await_all();
    w_truth_begin();
    w_put("\"threads\":[");
    for (int i = 0; i < THREADS; i++) print_worker(&workers[i]);
    w_put("]");
    w_truth_end();
    _exit(0);
}
