/* What every workload shares: the ready protocol, and accounts of known truth.
 *
 * Protocol, one line each, on stdin and stdout:
 *   workload: "ready <pid>"     set up, nothing measured yet
 *   test:     any line or EOF   do the work            (w_ready returns)
 *   workload: "step <name>"     optional pauses        (w_step returns on the next line)
 *   workload: "truth {json}"    the work is done       (w_truth returns on the next line)
 *   test:     any line or EOF   exit
 *
 * Nothing here calls an allocator, so that a program's accounts are all there is to be seen.
 * Does not look at what the allocator really does: an account holds what the program asked for. */
#ifndef WORKLOAD_H
#define WORKLOAD_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

typedef uint64_t u64;

/* A call site must be a function of its own: no inlining, no cloning, no folding of look-alikes. */
#ifdef __clang__
#define SITE __attribute__((noinline))
#else
#define SITE __attribute__((noipa))
#endif
/* Keeps the compiler from dropping an allocation or turning its call into a tail call. */
#define KEEP(pointer) __asm__ volatile("" : : "r"(pointer) : "memory")

/* ---- accounts ---- */

#define W_PARTS 64
#define W_UNUSED __attribute__((unused))

struct account {
    const char *name; /* call site, or NULL */
    u64 tid;          /* thread, or 0 */
    u64 alloc_count, alloc_bytes, free_count, freed_bytes, temporary_count;
    u64 live_bytes, peak_live_bytes; /* a part's peak is its share when the whole peaked */
    u64 size_count[64], size_bytes[64];
    const void *last; /* last allocation, until another one or its free */
};

static struct account w_total W_UNUSED; /* of a single-threaded workload */
static struct account *w_parts[W_PARTS];
static int w_part_count;

static inline int w_log2(u64 size) { return size < 2 ? 0 : 63 - __builtin_clzll(size); }

W_UNUSED static void w_part(struct account *part) {
    if (w_part_count < W_PARTS) w_parts[w_part_count++] = part;
}

/* Counts a successful allocation into one account; returns the pointer. */
static inline void *w_count_alloc(struct account *to, void *pointer, u64 size) {
    KEEP(pointer);
    if (!pointer) return pointer;
    to->alloc_count++;
    to->alloc_bytes += size;
    to->size_count[w_log2(size)]++;
    to->size_bytes[w_log2(size)] += size;
    to->live_bytes += size;
    to->last = pointer;
    return pointer;
}

/* Counts a free of a non-null pointer; to be called before the free. */
static inline void w_count_free(struct account *to, const void *pointer, u64 size) {
    KEEP(pointer);
    to->free_count++;
    to->freed_bytes += size;
    to->live_bytes -= size;
    if (to->last == pointer) to->temporary_count++, to->last = NULL;
}

static inline void w_note_peak(void) {
    if (w_total.live_bytes <= w_total.peak_live_bytes) return;
    w_total.peak_live_bytes = w_total.live_bytes;
    for (int i = 0; i < w_part_count; i++) w_parts[i]->peak_live_bytes = w_parts[i]->live_bytes;
}

/* The same, into a site's account and the whole, following the peak. */
static inline void *w_alloc(struct account *site, void *pointer, u64 size) {
    w_count_alloc(site, pointer, size);
    w_count_alloc(&w_total, pointer, size);
    w_note_peak();
    return pointer;
}

static inline void w_free(struct account *site, const void *pointer, u64 size) {
    const void *last = w_total.last; /* temporaries count by thread, not by site */
    site->last = last;
    w_count_free(site, pointer, size);
    w_count_free(&w_total, pointer, size);
}

/* Adds a part's sums to the whole. */
W_UNUSED static void w_add(struct account *to, const struct account *part) {
    to->alloc_count += part->alloc_count;
    to->alloc_bytes += part->alloc_bytes;
    to->free_count += part->free_count;
    to->freed_bytes += part->freed_bytes;
    to->temporary_count += part->temporary_count;
    to->live_bytes += part->live_bytes;
    for (int i = 0; i < 64; i++) {
        to->size_count[i] += part->size_count[i];
        to->size_bytes[i] += part->size_bytes[i];
    }
}

/* ---- output without allocation ---- */

static char w_text[1 << 20];
static size_t w_length;

__attribute__((format(printf, 1, 2))) static void w_put(const char *format, ...) {
    va_list args;
    va_start(args, format);
    int n = vsnprintf(w_text + w_length, sizeof w_text - w_length, format, args);
    va_end(args);
    if (n > 0) w_length += (size_t)n;
    if (w_length >= sizeof w_text) w_length = sizeof w_text - 1;
}

static void w_flush(void) {
    size_t done = 0;
    while (done < w_length) {
        ssize_t n = write(1, w_text + done, w_length - done);
        if (n <= 0) _exit(3);
        done += (size_t)n;
    }
    w_length = 0;
}

/* Separates fields and list items, so that writers need not know whether they are first. */
static void w_comma(void) {
    char before = w_length ? w_text[w_length - 1] : '{';
    if (before != '{' && before != '[' && before != ':') w_put(",");
}

W_UNUSED static void w_number(const char *name, u64 value) {
    w_comma();
    w_put("\"%s\":%llu", name, (unsigned long long)value);
}

W_UNUSED static void w_string(const char *name, const char *value) {
    w_comma();
    w_put("\"%s\":\"%s\"", name, value);
}

W_UNUSED static void w_account(const struct account *a) {
    w_comma();
    w_put("{");
    if (a->name) w_string("name", a->name);
    if (a->tid) w_number("tid", a->tid);
    w_number("alloc_count", a->alloc_count);
    w_number("alloc_bytes", a->alloc_bytes);
    w_number("free_count", a->free_count);
    w_number("freed_bytes", a->freed_bytes);
    w_number("temporary_count", a->temporary_count);
    w_number("live_bytes", a->live_bytes);
    w_number("peak_live_bytes", a->peak_live_bytes);
    w_put(",\"sizes\":[");
    for (int i = 0; i < 64; i++) {
        if (!a->size_count[i]) continue;
        w_comma();
        w_put("[%d,%llu,%llu]", i, (unsigned long long)a->size_count[i], (unsigned long long)a->size_bytes[i]);
    }
    w_put("]}");
}

/* ---- protocol ---- */

/* Reads one line or to the end of stdin, by single characters: nothing is buffered, nothing allocated. */
static void w_wait_line(void) {
    char c = 0;
    while (read(0, &c, 1) == 1 && c != '\n') continue;
}

W_UNUSED static void w_ready(void) {
    w_put("ready %d\n", (int)getpid());
    w_flush();
    w_wait_line();
}

W_UNUSED static void w_step(const char *name) {
    w_put("step %s\n", name);
    w_flush();
    w_wait_line();
}

/* Opens the truth line; fields follow with w_number, w_string, w_account. */
W_UNUSED static void w_truth_begin(void) { w_put("truth {"); }

W_UNUSED static void w_truth_end(void) {
    w_put("}\n");
    w_flush();
    w_wait_line();
}

/* The whole and its parts, as "total" and "parts". */
W_UNUSED static void w_truth_accounts(const struct account *total) {
    w_comma();
    w_put("\"total\":");
    w_account(total);
    w_put(",\"parts\":[");
    for (int i = 0; i < w_part_count; i++) w_account(w_parts[i]);
    w_put("]");
}

/* ---- small helpers ---- */

/* A gettid without libc's cache, usable in every thread. */
W_UNUSED static u64 w_tid(void) { return (u64)syscall(SYS_gettid); }

W_UNUSED static u64 w_clock_ns(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (u64)t.tv_sec * 1000000000ull + (u64)t.tv_nsec;
}

W_UNUSED static void w_sleep_us(u64 us) {
    struct timespec t = {(time_t)(us / 1000000), (long)(us % 1000000) * 1000};
    while (nanosleep(&t, &t) != 0) continue;
}

/* splitmix64: the same numbers on every machine. */
W_UNUSED static u64 w_random(u64 *state) {
    u64 z = (*state += 0x9e3779b97f4a7c15ull);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

/* argv[index] as a number, or a default. */
W_UNUSED static u64 w_arg(int argc, char **argv, int index, u64 otherwise) {
    return index < argc ? strtoull(argv[index], NULL, 10) : otherwise;
}

#endif
