// operator new in all its forms, and the containers that call it. Counts follow from the standard's rules and from
// what the containers tell of themselves (a change of capacity is one allocation).
//
// cxx [N]: N (200) rounds of each phase. Every account is of one phase; the allocator's immediate caller is the C++
// runtime's operator new, so accounts carry no site.
#include "workload.h"

#include <cstddef>
#include <map>
#include <new>
#include <string>
#include <vector>

static account total_of(const char *name) {
    account a{};
    a.name = name;
    return a;
}

static account plain = total_of("new"), array = total_of("new[]"), aligned = total_of("aligned"),
               nothrow = total_of("nothrow"), vectors = total_of("vector"), strings = total_of("string"),
               nodes = total_of("map");

struct Wide {
    char bytes[72];
};

struct alignas(128) Aligned {
    char bytes[256];
};

SITE static void phase_new(u64 n) {
    for (u64 i = 0; i < n; i++) {
        auto *kept = new Wide;
        w_alloc(&plain, kept, sizeof(Wide));
        auto *number = new long(1);
        w_alloc(&plain, number, sizeof(long));
        w_free(&plain, number, sizeof(long));
        delete number;
    }
}

SITE static void phase_new_array(u64 n) {
    for (u64 i = 0; i < n; i++) {
        char *p = new char[1000 + i];
        w_alloc(&array, p, 1000 + i);
        w_free(&array, p, 1000 + i);
        delete[] p;
    }
}

SITE static void phase_aligned(u64 n) {
    for (u64 i = 0; i < n; i++) {
        auto *p = new Aligned;
        w_alloc(&aligned, p, sizeof(Aligned));
        if (i % 2) continue;
        w_free(&aligned, p, sizeof(Aligned));
        delete p;
    }
}

SITE static void phase_nothrow(u64 n) {
    for (u64 i = 0; i < n; i++) w_alloc(&nothrow, new (std::nothrow) Wide, sizeof(Wide));
}

SITE static void phase_vector(u64 n) {
    std::vector<u64> v;
    std::size_t capacity = 0;
    for (u64 i = 0; i < n * 16; i++) {
        const void *before = v.data();
        v.push_back(i);
        if (v.capacity() == capacity) continue;
        w_alloc(&vectors, v.data(), v.capacity() * sizeof(u64));
        if (capacity) w_free(&vectors, before, capacity * sizeof(u64));
        capacity = v.capacity();
    }
    w_free(&vectors, v.data(), capacity * sizeof(u64));
}

// A copy of a string too long for the inline buffer is one block of its length and the final zero.
SITE static void phase_string(u64 n) {
    for (u64 i = 0; i < n; i++) {
        const std::size_t length = 40 + i;
        std::string s(length, 'x');
        w_alloc(&strings, s.data(), length + 1);
        w_free(&strings, s.data(), length + 1);
    }
}

SITE static void phase_map(u64 n) {
    auto *tree = new std::map<u64, u64>;
    w_alloc(&nodes, tree, sizeof *tree);
    const u64 node = sizeof(std::_Rb_tree_node<std::pair<const u64, u64>>);
    for (u64 i = 0; i < n; i++) {
        auto at = tree->emplace(i, i).first;
        w_alloc(&nodes, &*at, node);
    }
}

int main(int argc, char **argv) {
    const u64 n = w_arg(argc, argv, 1, 200);
    account *const accounts[] = {&plain, &array, &aligned, &nothrow, &vectors, &strings, &nodes};
    for (account *a : accounts) w_part(a);
    w_ready();
    phase_new(n);
    phase_new_array(n);
    phase_aligned(n);
    phase_nothrow(n);
    phase_vector(n);
    phase_string(n);
    phase_map(n);
    w_truth_begin();
    w_truth_accounts(&w_total);
    w_truth_end();
    _exit(0);
}
