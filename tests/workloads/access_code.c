/* Accesses by instructions and control flow of many kinds, with known shares (access.h says what counts).
 *
 *   stack         recursion 512 deep: nothing but calls, returns and words of the frame
 *   pointers      an array of pointers to structures; of each, two fields read and one written
 *   memcpy        libc's, 4 KiB at a time
 *   memset        libc's, 4 KiB at a time
 *   rep           rep movsq of 32 words, then rep stosq of 32
 *   vector_sse    a + b -> c in 16-byte vectors
 *   vector_avx    the same in 32-byte vectors, where the CPU has AVX2
 *   switch_table  an interpreter: a byte of code, its place in the jump table, a word of one of eight arrays
 *   indirect      calls through a table of function pointers; each function writes a word of its own array
 *
 * Of libc's functions the truth counts words of eight bytes, for libc chooses the width of its accesses itself: there
 * only shares hold ("words":1). A rep counts once for each element, as a loop would. Unoptimised, stack and data have
 * more accesses than these. */
#include "access.h"

#include <immintrin.h>

#define STEPS (16 * KIB)

static u64 place, seed = 1;

/* ---- stack ---- */

#define DEPTH 512
#define FRAME_STORES 4 /* return address, two registers, the word */
#define FRAME_LOADS 4

/* The sum of 0..depth. Written down, since what a compiler spills is its own affair. */
u64 descend(u64 depth);
__asm__(".text\n"
        ".type descend, @function\n"
        "descend:\n"
        ".cfi_startproc\n"
        "    push %rbp\n"
        ".cfi_def_cfa_offset 16\n"
        ".cfi_offset %rbp, -16\n"
        "    mov %rsp, %rbp\n"
        ".cfi_def_cfa_register %rbp\n"
        "    push %rbx\n"
        "    sub $24, %rsp\n"
        "    mov %rdi, -16(%rbp)\n"
        "    xor %eax, %eax\n"
        "    test %rdi, %rdi\n"
        "    je 1f\n"
        "    dec %rdi\n"
        "    call descend\n"
        "1:  add -16(%rbp), %rax\n"
        "    mov -8(%rbp), %rbx\n"
        "    leave\n"
        ".cfi_def_cfa %rsp, 8\n"
        "    ret\n"
        ".cfi_endproc\n"
        ".size descend, . - descend\n");

#define DESCENTS 16

static void stack_prepare(void) {
    const u64 frames = DESCENTS * (DEPTH + 1);
    a_stack(__builtin_frame_address(0), frames * FRAME_LOADS, frames * FRAME_STORES);
}

SITE static void stack_round(void) {
    for (int i = 0; i < DESCENTS; i++)
        if (descend(DEPTH) != DEPTH * (DEPTH + 1) / 2) _exit(3);
}

/* ---- pointers ---- */

#define OBJECTS (64 * KIB)

struct object {
    volatile u64 key, left, unused, value, padding[4];
};

static struct object **objects;

static void pointers_prepare(void) {
    uint32_t *order = a_map(OBJECTS * sizeof *order);
    objects = a_map_region("pointers", OBJECTS * sizeof *objects, STEPS, 0);
    struct object *all = a_map_region("objects", OBJECTS * sizeof *all, 2 * STEPS, STEPS);
    for (uint32_t i = 0; i < OBJECTS; i++) order[i] = i;
    a_shuffle(order, OBJECTS, 0);
    for (u64 i = 0; i < OBJECTS; i++) objects[i] = &all[order[i]];
}

SITE static void pointers_round(void) {
    struct object *volatile *const from = objects + place;
    for (u64 i = 0; i < STEPS; i++) {
        struct object *object = from[i];
        object->value = object->key + object->left;
    }
    place = (place + STEPS) % OBJECTS;
}

/* ---- memcpy, memset, rep ---- */

#define BLOCK (4 * KIB)
#define BLOCKS 64

static char *source, *target, *cleared;

static void memcpy_prepare(void) {
    source = a_map_region("source", BLOCK * BLOCKS, BLOCK * BLOCKS / 8, 0);
    target = a_map_region("target", BLOCK * BLOCKS, 0, BLOCK * BLOCKS / 8);
}

SITE static void memcpy_round(void) {
    for (u64 i = 0; i < BLOCK * BLOCKS; i += BLOCK) memcpy(target + i, source + i, BLOCK);
}

static void memset_prepare(void) { target = a_map_region("target", BLOCK * BLOCKS, 0, BLOCK * BLOCKS / 8); }

SITE static void memset_round(void) {
    for (u64 i = 0; i < BLOCK * BLOCKS; i += BLOCK) memset(target + i, 1, BLOCK);
}

#define REP_WORDS 32
#define REP_BYTES (64 * KIB)

static void rep_prepare(void) {
    source = a_map_region("source", REP_BYTES, REP_BYTES / 8, 0);
    target = a_map_region("target", REP_BYTES, 0, REP_BYTES / 8);
    cleared = a_map_region("cleared", REP_BYTES, 0, REP_BYTES / 8);
}

SITE static void rep_round(void) {
    /* In registers: read again for each of the short reps, the three pointers would be 3 % of all accesses. */
    const char *const sources = source;
    char *const targets = target, *const clears = cleared;
    for (u64 i = 0; i < REP_BYTES; i += 8 * REP_WORDS) {
        const void *from = sources + i;
        void *to = targets + i, *clear = clears + i;
        u64 words = REP_WORDS;
        __asm__ volatile("rep movsq" : "+S"(from), "+D"(to), "+c"(words) : : "memory");
        words = REP_WORDS;
        __asm__ volatile("rep stosq" : "+D"(clear), "+c"(words) : "a"(i) : "memory");
    }
}

/* ---- vectors ---- */

#define VECTOR_BYTES (512 * KIB)

static char *a, *b, *c;

static void vectors_prepare(u64 width) {
    a = a_map_region("a", VECTOR_BYTES, VECTOR_BYTES / width, 0);
    b = a_map_region("b", VECTOR_BYTES, VECTOR_BYTES / width, 0);
    c = a_map_region("c", VECTOR_BYTES, 0, VECTOR_BYTES / width);
}

static void sse_prepare(void) { vectors_prepare(16); }

SITE static void sse_round(void) {
    for (u64 i = 0; i < VECTOR_BYTES; i += 16) {
        const __m128i x = *(const volatile __m128i *)(a + i), y = *(const volatile __m128i *)(b + i);
        *(volatile __m128i *)(c + i) = _mm_add_epi64(x, y);
    }
}

static void avx_prepare(void) {
    if (!__builtin_cpu_supports("avx2")) {
        fprintf(stderr, "vector_avx: this CPU has no AVX2\n");
        _exit(4);
    }
    vectors_prepare(32);
}

__attribute__((target("avx2"))) SITE static void avx_round(void) {
    for (u64 i = 0; i < VECTOR_BYTES; i += 32) {
        const __m256i x = *(const volatile __m256i *)(a + i), y = *(const volatile __m256i *)(b + i);
        *(volatile __m256i *)(c + i) = _mm256_add_epi64(x, y);
    }
}

/* ---- switch_table ---- */

#define CODE_BYTES (64 * KIB)
#define ARRAY_WORDS 512 /* a page */

static char *code, *arrays;
static const char beside_the_jump_tables[] = "read-only data";

/* Operations 0 to 5 read, 6 and 7 write; all come equally often, in random order. */
static void switch_prepare(void) {
    uint32_t *order = a_map(CODE_BYTES * sizeof *order);
    code = a_map_region("code", CODE_BYTES, CODE_BYTES, 0);
    arrays = a_map_region("arrays", 8 * ARRAY_WORDS * 8, CODE_BYTES * 6 / 8, CODE_BYTES * 2 / 8);
    a_around("jump table", beside_the_jump_tables, CODE_BYTES, 0);
    for (uint32_t i = 0; i < CODE_BYTES; i++) order[i] = i;
    a_shuffle(order, CODE_BYTES, 0);
    for (u64 i = 0; i < CODE_BYTES; i++) code[order[i]] = (char)(i % 8);
}

SITE static void switch_round(void) {
    const volatile unsigned char *next = (const volatile unsigned char *)code;
    char *const words = arrays;
    u64 x = seed;
    for (u64 i = 0; i < CODE_BYTES; i++) {
        char *at = words + x % ARRAY_WORDS * 8;
        switch (next[i]) {
        case 0: x += load(at) + 3; break;
        case 1: x ^= load(at + 1 * A_PAGE) + 5; break;
        case 2: x -= load(at + 2 * A_PAGE) + 7; break;
        case 3: x = (x << 1 | x >> 63) + load(at + 3 * A_PAGE); break;
        case 4: x *= load(at + 4 * A_PAGE) | 1; break;
        case 5: x = ~x + load(at + 5 * A_PAGE); break;
        case 6: store(at + 6 * A_PAGE, x), x += 11; break;
        case 7: store(at + 7 * A_PAGE, x), x ^= 13; break;
        default: _exit(3);
        }
    }
    seed = x;
}

/* ---- indirect ---- */

typedef u64 (*step)(u64);

#define FUNCTION(n) \
    SITE static u64 step_##n(u64 x) { \
        store(arrays + n * A_PAGE + x % ARRAY_WORDS * 8, x); \
        return x * 5 + n + 1; \
    }
FUNCTION(0) FUNCTION(1) FUNCTION(2) FUNCTION(3)

static step *table;

/* A call through the table: the pointer is read, the return address written and read, the array's address read. */
static void indirect_prepare(void) {
    static const step steps[] = {step_0, step_1, step_2, step_3};
    table = a_map_region("table", 256 * sizeof *table, STEPS, 0);
    arrays = a_map_region("arrays", 4 * A_PAGE, 0, STEPS);
    a_stack(__builtin_frame_address(0), STEPS, STEPS);
    a_around("data", &arrays, STEPS, 0);
    for (u64 i = 0; i < 256; i++) table[i] = steps[w_random(&seed) % 4];
}

SITE static void indirect_round(void) {
    step volatile *const calls = table;
    u64 x = seed;
    for (u64 i = 0; i < STEPS; i++) x = calls[(x >> 32) % 256](x);
    seed = x;
}

static void more(void) { w_number("words", target && !cleared); }

static const struct pattern patterns[] = {
    {"stack", stack_prepare, stack_round, NULL, NULL},
    {"pointers", pointers_prepare, pointers_round, NULL, NULL},
    {"memcpy", memcpy_prepare, memcpy_round, NULL, NULL},
    {"memset", memset_prepare, memset_round, NULL, NULL},
    {"rep", rep_prepare, rep_round, NULL, NULL},
    {"vector_sse", sse_prepare, sse_round, NULL, NULL},
    {"vector_avx", avx_prepare, avx_round, NULL, NULL},
    {"switch_table", switch_prepare, switch_round, NULL, NULL},
    {"indirect", indirect_prepare, indirect_round, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

int main(int argc, char **argv) { return a_main(argc, argv, patterns, more); }
