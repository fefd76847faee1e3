/* Loads a library with an allocator of its own mid-run, and calls that beside libc's.
 *
 * dlopen LIBRARY [N [PREFIX]]: N (100) blocks from libc; "step loaded" after dlopen; N blocks from LIBRARY's
 * PREFIXmalloc at `from_library`, and N more from libc. All of the library's blocks but the last are freed. */
#include "workload.h"

#include <dlfcn.h>

static struct account libc_account = {.name = "from_libc"}, library_account = {.name = "from_library"};
static void *(*library_malloc)(size_t);
static void (*library_free)(void *);

SITE static void from_libc(u64 n) {
    for (u64 i = 0; i < n; i++) w_alloc(&libc_account, malloc(104), 104);
}

SITE static void from_library(u64 n) {
    for (u64 i = 0; i < n; i++) {
        void *p = w_alloc(&library_account, library_malloc(208), 208);
        if (i + 1 == n) break;
        w_free(&library_account, p, 208);
        library_free(p);
    }
}

static void *symbol(void *library, const char *prefix, const char *name) {
    char full[64];
    snprintf(full, sizeof full, "%s%s", prefix, name);
    return dlsym(library, full);
}

int main(int argc, char **argv) {
    if (argc < 2) return 2;
    const u64 n = w_arg(argc, argv, 2, 100);
    const char *prefix = argc > 3 ? argv[3] : "";
    w_ready();
    from_libc(n);
    void *library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        fprintf(stderr, "%s\n", dlerror());
        return 4;
    }
    library_malloc = (void *(*)(size_t))symbol(library, prefix, "malloc");
    library_free = (void (*)(void *))symbol(library, prefix, "free");
    if (!library_malloc || !library_free) return 5;
    w_step("loaded");
    from_library(n);
    from_libc(n);
    w_part(&libc_account);
    w_part(&library_account);
    w_truth_begin();
    w_truth_accounts(&w_total);
    w_truth_end();
    _exit(0);
}
