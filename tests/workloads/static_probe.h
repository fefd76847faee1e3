/* Static probes (USDT) as SystemTap's sys/sdt.h writes them, in our own words: a nop, and a note in the file that says where
 * it is, where its arguments are, and where the counter of those who watch it is. */
#ifndef STATIC_PROBE_H
#define STATIC_PROBE_H

/* The counter of a probe. The kernel raises it while somebody watches. */
#define SEMAPHORE(provider, name)                                                              \
    __extension__ volatile unsigned short provider##_##name##_semaphore                        \
        __attribute__((used, visibility("hidden"), section(".probes")))

#define WATCHED(provider, name) __builtin_expect(provider##_##name##_semaphore != 0, 0)

/* Sections: the notes; and one byte at an address the notes hold, by which moved sections can be told. */
#define PROBE_NOTE(provider, name, semaphore, arguments)                                       \
    "990: nop\n"                                                                               \
    ".pushsection .note.stapsdt,\"\",@note\n"                                                  \
    ".balign 4\n"                                                                              \
    ".4byte 992f-991f, 994f-993f, 3\n"                                                         \
    "991: .asciz \"stapsdt\"\n"                                                                \
    "992: .balign 4\n"                                                                         \
    "993: .8byte 990b, _.stapsdt.base, " semaphore "\n"                                        \
    ".asciz \"" provider "\"\n"                                                                \
    ".asciz \"" name "\"\n"                                                                    \
    ".asciz \"" arguments "\"\n"                                                               \
    "994: .balign 4\n"                                                                         \
    ".popsection\n"                                                                            \
    ".ifndef _.stapsdt.base\n"                                                                 \
    ".pushsection .stapsdt.base,\"aG\",\"progbits\",.stapsdt.base,comdat\n"                    \
    ".weak _.stapsdt.base\n"                                                                   \
    ".hidden _.stapsdt.base\n"                                                                 \
    "_.stapsdt.base: .space 1\n"                                                               \
    ".size _.stapsdt.base, 1\n"                                                                \
    ".popsection\n"                                                                            \
    ".endif\n"

/* With operands wherever the compiler has them: a constant, a register, or memory. */
#define PROBE1(provider, name, a)                                                              \
    __asm__ volatile(PROBE_NOTE(#provider, #name, #provider "_" #name "_semaphore", "8@%0")    \
                     : : "nor"((unsigned long)(a)))
#define PROBE3(provider, name, a, b, c)                                                        \
    __asm__ volatile(PROBE_NOTE(#provider, #name, #provider "_" #name "_semaphore", "8@%0 8@%1 8@%2") \
                     : : "nor"((unsigned long)(a)), "nor"((unsigned long)(b)), "nor"((unsigned long)(c)))

#endif
