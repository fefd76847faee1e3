/* Every entry point of the C allocator, each in a phase with its own account.
 *
 * malloc_sizes [COUNT [PHASE...]]: COUNT calls per size (100), all phases unless some are named. Whether realloc
 * moved is seen by comparing pointers, so the truth holds for any allocator. A block resized in place is neither
 * an allocation nor a free, but the bytes it gains or loses are booked as allocated or freed. */
#include "workload.h"

#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>

static u64 count;
static u64 failed_count, null_free_count;
static u64 inplace_count, inplace_grown_bytes, inplace_shrunk_bytes, inplace_new_bytes;

#define PHASE(function) static struct account function##_account = {.name = #function}

PHASE(phase_malloc);
SITE static void phase_malloc(void) {
    static const u64 sizes[] = {1, 16, 24, 100, 512, 1000, 4096, 10000, 65536, 200000};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        for (u64 i = 0; i < count; i++) {
            void *p = w_alloc(&phase_malloc_account, malloc(sizes[s]), sizes[s]);
            if (i % 3) continue;
            w_free(&phase_malloc_account, p, sizes[s]);
            free(p);
        }
    }
}

PHASE(phase_calloc);
SITE static void phase_calloc(void) {
    for (u64 i = 0; i < count; i++) {
        void *p = w_alloc(&phase_calloc_account, calloc(7, 33), 7 * 33);
        w_alloc(&phase_calloc_account, calloc(1, 3000), 3000);
        w_free(&phase_calloc_account, p, 7 * 33);
        free(p);
    }
}

static void book_inplace(struct account *to, u64 old, u64 size) {
    if (size > old) to->alloc_bytes += size - old;
    else to->freed_bytes += old - size;
    to->live_bytes += size - old;
}

/* Calls realloc in the phase itself and books what it did: from `old` bytes to `size` bytes. */
static inline __attribute__((always_inline)) void *booked_realloc(struct account *site, void *p, u64 old, u64 size) {
    uintptr_t before = (uintptr_t)p;
    void *q = realloc(p, size);
    if (!q && size == 0) {
        w_free(site, (void *)before, old);
    } else if ((uintptr_t)q == before) {
        inplace_count++;
        inplace_new_bytes += size;
        if (size > old) inplace_grown_bytes += size - old;
        else inplace_shrunk_bytes += old - size;
        book_inplace(site, old, size);
        book_inplace(&w_total, old, size);
    } else if (q) {
        w_alloc(site, q, size);
        w_free(site, (void *)before, old);
    } else {
        failed_count++;
    }
    return q;
}

PHASE(phase_realloc_null);
SITE static void phase_realloc_null(void) {
    for (u64 i = 0; i < count; i++) w_alloc(&phase_realloc_null_account, realloc(NULL, 320), 320);
}

/* A neighbour allocated right after keeps the block from growing where it is. */
PHASE(phase_realloc_grow);
SITE static void phase_realloc_grow(void) {
    struct account *site = &phase_realloc_grow_account;
    for (u64 i = 0; i < count; i++) {
        void *p = w_alloc(site, malloc(200), 200);
        w_alloc(site, malloc(200), 200);
        p = booked_realloc(site, p, 200, 3200);
        KEEP(p);
    }
}

PHASE(phase_realloc_inplace);
SITE static void phase_realloc_inplace(void) {
    struct account *site = &phase_realloc_inplace_account;
    for (u64 i = 0; i < count; i++) {
        void *p = w_alloc(site, malloc(20), 20);
        p = booked_realloc(site, p, 20, 24);
        KEEP(p);
    }
}

PHASE(phase_realloc_shrink);
SITE static void phase_realloc_shrink(void) {
    struct account *site = &phase_realloc_shrink_account;
    for (u64 i = 0; i < count; i++) {
        void *p = w_alloc(site, malloc(5000), 5000);
        p = booked_realloc(site, p, 5000, 600);
        KEEP(p);
    }
}

PHASE(phase_realloc_zero);
SITE static void phase_realloc_zero(void) {
    struct account *site = &phase_realloc_zero_account;
    for (u64 i = 0; i < count; i++) {
        void *p = w_alloc(site, malloc(700), 700);
        p = booked_realloc(site, p, 700, 0);
        KEEP(p);
    }
}

PHASE(phase_aligned);
SITE static void phase_aligned(void) {
    struct account *site = &phase_aligned_account;
    for (u64 i = 0; i < count; i++) {
        void *p = NULL;
        if (posix_memalign(&p, 64, 1000) == 0) w_alloc(site, p, 1000);
        if (posix_memalign(&p, 3, 1000) == EINVAL) failed_count++;
        void *q = w_alloc(site, aligned_alloc(256, 1024), 1024);
        w_alloc(site, memalign(128, 500), 500);
        w_alloc(site, valloc(3000), 3000);
        w_free(site, q, 1024);
        free(q);
    }
}

/* Not in every allocator; libc's own would give a block that the others cannot free. */
static int has_own_pvalloc(void) {
#ifdef STATIC
    return 1;
#else
    Dl_info ours, theirs;
    if (!dladdr(dlsym(RTLD_DEFAULT, "malloc"), &ours) || !dladdr(dlsym(RTLD_DEFAULT, "pvalloc"), &theirs)) return 0;
    return ours.dli_fbase == theirs.dli_fbase;
#endif
}

PHASE(phase_pvalloc);
SITE static void phase_pvalloc(void) {
    for (u64 i = 0; i < count; i++) w_alloc(&phase_pvalloc_account, pvalloc(5000), 5000);
}

/* The allocator called from inside libc. */
PHASE(inside_libc);
SITE static void inside_libc(void) {
    struct account *site = &inside_libc_account;
    for (u64 i = 0; i < count; i++) {
        void *p = w_alloc(site, strdup("twenty-three characters"), 24);
        w_alloc(site, reallocarray(NULL, 11, 13), 143);
        w_free(site, p, 24);
        free(p);
    }
}

static void phase_free_null(void) {
    for (u64 i = 0; i < count; i++) {
        void *nothing = NULL;
        KEEP(&nothing);
        free(nothing);
        null_free_count++;
    }
}

static struct account phase_failing_account = {.name = "phase_failing"};
SITE static void phase_failing(void) {
    struct account *site = &phase_failing_account;
    volatile size_t huge = (size_t)PTRDIFF_MAX + 100, half = SIZE_MAX / 2;
    void *kept = w_alloc(site, malloc(40), 40);
    for (int i = 0; i < 10; i++) {
        failed_count += malloc(huge) == NULL;
        failed_count += calloc(half, 4) == NULL;
        failed_count += realloc(kept, huge) == NULL;
    }
}

static const struct {
    const char *name;
    void (*run)(void);
    struct account *account;
} phases[] = {
    {"malloc", phase_malloc, &phase_malloc_account},
    {"calloc", phase_calloc, &phase_calloc_account},
    {"realloc_null", phase_realloc_null, &phase_realloc_null_account},
    {"realloc_grow", phase_realloc_grow, &phase_realloc_grow_account},
    {"realloc_inplace", phase_realloc_inplace, &phase_realloc_inplace_account},
    {"realloc_shrink", phase_realloc_shrink, &phase_realloc_shrink_account},
    {"realloc_zero", phase_realloc_zero, &phase_realloc_zero_account},
    {"aligned", phase_aligned, &phase_aligned_account},
    {"pvalloc", phase_pvalloc, &phase_pvalloc_account},
    {"libc", inside_libc, &inside_libc_account},
    {"free_null", phase_free_null, NULL},
    {"failing", phase_failing, &phase_failing_account},
};

static int wanted(int argc, char **argv, const char *name) {
    for (int i = 2; i < argc; i++)
        if (!strcmp(argv[i], name)) return 1;
    return argc <= 2;
}

int main(int argc, char **argv) {
    count = w_arg(argc, argv, 1, 100);
    int pvalloc_usable = has_own_pvalloc();
    w_ready();
    for (size_t i = 0; i < sizeof phases / sizeof *phases; i++) {
        if (!wanted(argc, argv, phases[i].name)) continue;
        if (phases[i].run == phase_pvalloc && !pvalloc_usable) continue;
        phases[i].run();
        if (phases[i].account) w_part(phases[i].account);
    }
    w_truth_begin();
    w_truth_accounts(&w_total);
    w_number("failed_count", failed_count);
    w_number("null_free_count", null_free_count);
    w_number("inplace_count", inplace_count);
    w_number("inplace_grown_bytes", inplace_grown_bytes);
    w_number("inplace_shrunk_bytes", inplace_shrunk_bytes);
    w_number("inplace_new_bytes", inplace_new_bytes);
    w_truth_end();
    _exit(0);
}
