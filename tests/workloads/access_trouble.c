/* Code that is hard to follow (access.h says how it is run; the truth has no counts, only the regions that are touched).
 *
 *   generated   code made at run time, which reads one of two words and is rewritten now and then
 *   rewriting   code that rewrites its own next instruction
 *   signals     a handler every 200 us, on a stack of its own
 *   remapping   a buffer that is unmapped and mapped elsewhere after each use
 *   x87         sums in x87 registers, which decide branches
 *   gather      gathers and masked stores, where the CPU has AVX2
 *   huge_rep    rep movsb of 1 MiB at a time
 *   changing    each word read is written anew, and says where to go next: soon nothing is as it was */
#include "access.h"

#include <immintrin.h>
#include <signal.h>
#include <sys/time.h>

#define STEPS (16 * KIB)
#define WORDS (32 * KIB)

static char *data, *other, *code;
static u64 seed = 1;

static void two_regions(void) {
    data = a_map_region("data", WORDS * 8, 0, 0);
    other = a_map_region("other", WORDS * 8, 0, 0);
}

static void *executable(void) {
    void *at = mmap(NULL, A_PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) _exit(3);
    return at;
}

/* ---- generated: mov rax, [rdi + 0 or 8]; ret ---- */

static void generated_prepare(void) {
    two_regions();
    code = executable();
    memcpy(code, "\x48\x8b\x47\x00\xc3", 5);
}

SITE static void generated_round(void) {
    u64 sum = 0;
    for (u64 i = 0; i < STEPS; i++) {
        if (i % 1024 == 0) code[3] ^= 8;
        sum += ((u64 (*)(const char *))(uintptr_t)code)(data + i % (WORDS - 1) * 8);
    }
    a_sink = sum;
}

/* ---- rewriting: mov byte [rip + 3], sil; mov al, imm8 (rewritten); mov [rdi], al; ret ---- */

static void rewriting_prepare(void) {
    two_regions();
    code = executable();
    memcpy(code, "\x40\x88\x35\x01\x00\x00\x00\xb0\x00\x88\x07\xc3", 12);
}

SITE static void rewriting_round(void) {
    for (u64 i = 0; i < STEPS / 16; i++)
        ((void (*)(char *, u64))(uintptr_t)code)(data + i, i);
    for (u64 i = 0; i < STEPS; i++) store(other + i % WORDS * 8, i);
}

/* ---- signals ---- */

static void on_alarm(int signal) {
    (void)signal;
    for (u64 i = 0; i < 64; i++) store(other + i * 8, load(other + i * 8) + 1);
}

static void signals_prepare(void) {
    two_regions();
    stack_t stack = {.ss_sp = a_map(64 * KIB), .ss_size = 64 * KIB};
    struct sigaction action = {.sa_handler = on_alarm, .sa_flags = SA_ONSTACK | SA_RESTART};
    const struct itimerval often = {{0, 200}, {0, 200}};
    if (sigaltstack(&stack, NULL) || sigaction(SIGALRM, &action, NULL) || setitimer(ITIMER_REAL, &often, NULL)) _exit(3);
}

SITE static void signals_round(void) {
    u64 sum = 0;
    for (u64 i = 0; i < STEPS; i++) sum += load(data + w_random(&seed) % WORDS * 8);
    a_sink = sum;
}

/* ---- remapping ---- */

static void remapping_prepare(void) { two_regions(); }

SITE static void remapping_round(void) {
    for (int i = 0; i < 16; i++) {
        char *buffer = (char *)mmap(NULL, 16 * A_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (buffer == MAP_FAILED) _exit(3);
        for (u64 j = 0; j < 16 * A_PAGE; j += 64) store(buffer + j, load(data + j % (WORDS * 8)));
        munmap(buffer, 16 * A_PAGE);
    }
}

/* ---- x87 ---- */

static void x87_prepare(void) { two_regions(); }

SITE static void x87_round(void) {
    long double sum = 0;
    for (u64 i = 0; i < STEPS; i++) {
        sum += (long double)(load(data + i % WORDS * 8) + i) / 3;
        if (sum > 1e9L) sum = 0, store(other + i % WORDS * 8, i);
    }
    a_sink = (u64)sum;
}

/* ---- gather ---- */

static void gather_prepare(void) { two_regions(); }

__attribute__((target("avx2"), noinline)) static void gather_round(void) {
    __m256i sum = _mm256_setzero_si256();
    for (u64 i = 0; i < STEPS; i += 4) {
        const u64 at = i % (WORDS - 64);
        const __m256i places = _mm256_set_epi64x((long long)at + 48, (long long)at + 32, (long long)at + 16, (long long)at);
        sum = _mm256_add_epi64(sum, _mm256_i64gather_epi64((const long long *)(const void *)data, places, 8));
        _mm256_maskstore_epi64((long long *)(void *)(other + at * 8), _mm256_cmpgt_epi64(places, sum), sum);
    }
    a_sink = (u64)_mm256_extract_epi64(sum, 0);
}

/* ---- huge_rep ---- */

static void huge_rep_prepare(void) {
    data = a_map_region("data", MIB, 0, 0);
    other = a_map_region("other", MIB, 0, 0);
}

SITE static void huge_rep_round(void) {
    void *from = data, *to = other;
    u64 count = MIB;
    __asm__ volatile("rep movsb" : "+S"(from), "+D"(to), "+c"(count) : : "memory");
}

/* ---- changing ---- */

#define CHANGING (4 * KIB)

static void changing_prepare(void) {
    data = a_map_region("data", CHANGING * 8, 0, 0);
    for (u64 i = 0; i < CHANGING; i++) store(data + i * 8, w_random(&seed));
}

/* Sixteen steps in a row, so that a check of a walk has as many between its two instructions. */
SITE static void changing_round(void) {
    static u64 at;
#pragma GCC unroll 16
    for (u64 i = 0; i < STEPS; i++) {
        char *word = data + at * 8;
        const u64 value = load(word);
        store(word, value * 6364136223846793005ull + 1442695040888963407ull);
        at = (value >> 33) % CHANGING;
    }
}

static const struct pattern patterns[] = {
    {"generated", generated_prepare, generated_round, NULL, NULL},
    {"rewriting", rewriting_prepare, rewriting_round, NULL, NULL},
    {"signals", signals_prepare, signals_round, NULL, NULL},
    {"remapping", remapping_prepare, remapping_round, NULL, NULL},
    {"x87", x87_prepare, x87_round, NULL, NULL},
    {"gather", gather_prepare, gather_round, NULL, NULL},
    {"huge_rep", huge_rep_prepare, huge_rep_round, NULL, NULL},
    {"changing", changing_prepare, changing_round, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

int main(int argc, char **argv) { return a_main(argc, argv, patterns, NULL); }
