/* C++ virtual calls over objects of four classes in random order (access.h says what counts).
 *
 *   virtual: of each object the pointer to it is read, its table's address, the function's address in
 *   that, then a member read and written; the call writes and reads its return address on the stack. */
#include "access.h"

#include <new>

struct shape {
    virtual u64 grow(u64 by) = 0;
    volatile u64 size = 1;
    u64 padding[6];
};

/* Each its own function in a table of its own. */
template <u64 N> struct kind final : shape {
    SITE u64 grow(u64 by) override {
        const u64 grown = size + by * N;
        size = grown;
        return grown;
    }
};

static const u64 OBJECTS = 32 * KIB;

static shape *volatile *shapes;

static shape *make(u64 which, void *at) {
    switch (which) {
    case 0: return new (at) kind<1>;
    case 1: return new (at) kind<2>;
    case 2: return new (at) kind<3>;
    default: return new (at) kind<4>;
    }
}

static void prepare() {
    auto *order = static_cast<uint32_t *>(a_map(OBJECTS * sizeof(uint32_t)));
    shapes = static_cast<shape *volatile *>(a_map_region("pointers", OBJECTS * sizeof(shape *), OBJECTS, 0));
    char *all = static_cast<char *>(a_map_region("objects", OBJECTS * sizeof(kind<1>), 2 * OBJECTS, OBJECTS));
    a_stack(__builtin_frame_address(0), OBJECTS, OBJECTS);
    for (uint32_t i = 0; i < OBJECTS; i++) order[i] = i;
    a_shuffle(order, OBJECTS, 0);
    for (u64 i = 0; i < OBJECTS; i++) shapes[i] = make(i % 4, all + order[i] * sizeof(kind<1>));
    /* An object begins with the address of its table. */
    a_around("virtual tables", *reinterpret_cast<void **>(shapes[0]), OBJECTS, 0);
}

SITE static void round() {
    shape *volatile *const from = shapes;
    u64 sum = 0;
    for (u64 i = 0; i < OBJECTS; i++) sum += from[i]->grow(i);
    a_sink = sum;
}

static const struct pattern patterns[] = {{"virtual", prepare, round, NULL, NULL}, {NULL, NULL, NULL, NULL, NULL}};

int main(int argc, char **argv) { return a_main(argc, argv, patterns, NULL); }
