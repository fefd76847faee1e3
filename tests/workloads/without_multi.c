/* Preloaded: the kernel of a program has no uprobe_multi links, as before Linux 6.6. It still loads programs that are meant for them. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/syscall.h>

enum { LINK_CREATE = 28, TRACE_UPROBE_MULTI = 48 };

/* What BPF_LINK_CREATE takes, as far as the kind of the link. */
struct link_create {
    uint32_t prog_fd, target_fd, attach_type;
};

long syscall(long number, ...) {
    static long (*next)(long, ...);
    long argument[6];
    va_list list;
    va_start(list, number);
    for (int i = 0; i < 6; i++) argument[i] = va_arg(list, long);
    va_end(list);
    if (number == SYS_bpf && argument[0] == LINK_CREATE) {
        const struct link_create *link = (const void *)argument[1];
        if (link->attach_type == TRACE_UPROBE_MULTI) {
            errno = EINVAL;
            return -1;
        }
    }
    if (!next) next = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
    return next(number, argument[0], argument[1], argument[2], argument[3], argument[4], argument[5]);
}
