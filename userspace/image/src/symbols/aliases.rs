//! Names a C library uses inside itself, shown as what programs call.

/// Internal name, public name.
const ALIASES: [(&str, &str); 13] = [
    ("__libc_malloc", "malloc"),
    ("__libc_free", "free"),
    ("__libc_calloc", "calloc"),
    ("__libc_realloc", "realloc"),
    ("__libc_memalign", "memalign"),
    ("__libc_valloc", "valloc"),
    ("__libc_pvalloc", "pvalloc"),
    ("__posix_memalign", "posix_memalign"),
    ("__mmap64", "mmap"),
    ("__mmap", "mmap"),
    ("__munmap", "munmap"),
    ("__mremap", "mremap"),
    ("__libc_start_main_impl", "__libc_start_main"),
];

/// The public name of `name`: glibc's `__GI_` prefix (the library's calls to itself) is dropped first.
pub(super) fn public_name(name: &str) -> &str {
    let name = name.strip_prefix("__GI_").unwrap_or(name);
    ALIASES.iter().find(|(internal, _)| *internal == name).map_or(name, |(_, public)| public)
}

#[cfg(test)]
mod tests {
    use super::public_name;

    #[test]
    fn only_known_internals_change() {
        for (name, public) in [
            ("__GI___libc_malloc", "malloc"),
            ("__libc_calloc", "calloc"),
            ("__GI_qsort_r", "qsort_r"),
            ("malloc", "malloc"),
            ("__libc_start_main", "__libc_start_main"),
            ("je_malloc", "je_malloc"),
        ] {
            assert_eq!(public_name(name), public);
        }
    }
}
