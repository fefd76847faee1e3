/* Address-space changes of known size by raw system calls, without an allocator.
 *
 * mappings [ROUNDS]: ROUNDS (20) times everything below. Sizes are what the kernel really maps: whole pages. */
#include "workload.h"

#include <sys/mman.h>

#define PAGE 4096ull

static u64 mmap_count, munmap_count, mremap_count, brk_count, mapped_bytes, unmapped_bytes;

static char *map(u64 bytes) {
    char *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) _exit(3);
    mmap_count++;
    mapped_bytes += (bytes + PAGE - 1) / PAGE * PAGE;
    return p;
}

static void unmap(char *p, u64 bytes) {
    if (munmap(p, bytes)) _exit(3);
    munmap_count++;
    unmapped_bytes += (bytes + PAGE - 1) / PAGE * PAGE;
}

static char *remap(char *p, u64 old, u64 new, int flags) {
    p = mremap(p, old, new, flags);
    if (p == MAP_FAILED) _exit(3);
    mremap_count++;
    if (new > old) mapped_bytes += new - old;
    else unmapped_bytes += old - new;
    return p;
}

static void move_break(int64_t bytes) {
    if (sbrk(bytes) == (void *)-1) _exit(3);
    brk_count++;
    if (bytes > 0) mapped_bytes += (u64)bytes;
    else unmapped_bytes += (u64)-bytes;
}

static void one_round(void) {
    char *whole = map(64 * PAGE);
    unmap(whole, 16 * PAGE); /* its first quarter */
    unmap(whole + 16 * PAGE, 48 * PAGE);
    unmap(map(5000), 5000); /* two pages */
    char *p = map(8 * PAGE);
    p = remap(p, 8 * PAGE, 200 * PAGE, MREMAP_MAYMOVE);
    p = remap(p, 200 * PAGE, 50 * PAGE, 0);
    unmap(p, 50 * PAGE);
    map(3 * PAGE); /* kept */
    move_break(40 * PAGE);
    move_break(-30 * (int64_t)PAGE);
}

/* Calls that change nothing must count nothing. */
static void failing(void) {
    if (mmap(NULL, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED) _exit(3);
    if (mmap(NULL, 1ull << 60, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED) _exit(3);
    if (munmap((void *)1, PAGE) == 0) _exit(3);
    if (mremap((void *)PAGE, PAGE, 2 * PAGE, MREMAP_MAYMOVE) != MAP_FAILED) _exit(3);
    if (sbrk((intptr_t)1 << 50) != (void *)-1) _exit(3);
}

int main(int argc, char **argv) {
    const u64 rounds = w_arg(argc, argv, 1, 20);
    u64 page_rest = (u64)(uintptr_t)sbrk(0) % PAGE;
    if (page_rest && sbrk((intptr_t)(PAGE - page_rest)) == (void *)-1) return 3; /* so that breaks move by whole pages */
    w_ready();
    for (u64 i = 0; i < rounds; i++) one_round();
    failing();
    w_truth_begin();
    w_number("mmap_bytes", mapped_bytes);
    w_number("munmap_bytes", unmapped_bytes);
    w_number("mmap_count", mmap_count);
    w_number("munmap_count", munmap_count);
    w_number("mremap_count", mremap_count);
    w_number("brk_count", brk_count);
    w_truth_end();
    _exit(0);
}
