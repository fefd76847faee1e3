//! Functions written for the purpose, one for each thing that can go wrong.

use super::*;
use crate::allocators::Register;

/// Each function is a `.globl` of its own; `calloc@plt` and the like are imports.
const HEAD: &str = "    .text
    .macro fn name
    .globl \\name
    .type \\name, @function
\\name:
    .endm
";

fn assemble(body: &str) -> Option<AllocatorMap> {
    let directory = tempfile::tempdir().unwrap();
    let text = format!("{HEAD}{body}\n    .section .note.GNU-stack,\"\",@progbits\n");
    let flags = ["-shared", "-nostdlib", "-Wl,--build-id=none"];
    let path = build(directory.path(), "cc", ("made.s", &text), &flags, "made.so")?;
    Some(find_in(&path))
}

#[test]
fn a_place_that_is_passed_more_than_once_is_not_taken() {
    // The push is the head of a loop; the branch before it is not.
    let Some(map) = assemble(
        "fn malloc
            test %rdi, %rdi
            je 2f
        1:  push %rbx
            pop %rbx
            dec %rdi
            jne 1b
        2:  mov (%rdi), %rax
            ret",
    ) else {
        return;
    };
    assert_eq!(probe(&map, "malloc").function_offset, 3);
    // Everything cheap is inside the loop: only the entry is left.
    let Some(map) = assemble(
        "fn malloc
            mov %rdi, %rax
        1:  push %rbx
            pop %rbx
            dec %rdi
            jne 1b
            mov (%rax), %rax
            ret",
    ) else {
        return;
    };
    assert!(probe(&map, "malloc").single_stepped);
    assert_eq!(probe(&map, "malloc").function_offset, 0);
}

#[test]
fn arguments_are_found_where_they_have_moved() {
    let Some(map) = assemble(
        "fn malloc
            endbr64
            mov %rdi, %rcx
            mov %fs:0, %rdi
            cmp $64, %rcx
            ja 1f
            ret
        1:  ud2
        fn calloc
            mov %rsi, %rax
            xor %esi, %esi
            jne 1b
            mov (%rdi), %rax
            ret",
    ) else {
        return;
    };
    let malloc = probe(&map, "malloc");
    assert_eq!(malloc.arguments.size, Some(Register::Rcx));
    assert!(!malloc.single_stepped && malloc.return_slot == 0);
    // calloc's size is in a register that probes do not read.
    assert!(probe(&map, "calloc").single_stepped);
}

#[test]
fn free_is_probed_behind_its_test_for_null_however_it_is_written() {
    for (test, branch) in [("test %rdi, %rdi", "jne 1f"), ("cmp $0, %rdi", "jne 1f")] {
        let Some(map) = assemble(&format!(
            "fn free
                {test}
                {branch}
                ret
            1:  sub $24, %rsp
                push %rbx
                mov %rdi, (%rdi)
                add $32, %rsp
                ret"
        )) else {
            return;
        };
        let free = probe(&map, "free");
        assert_eq!(free.return_slot, 24, "{test}");
        assert!(!free.single_stepped);
        assert_eq!(
            free.return_file_offset(),
            free.entry_file_offset,
            "the return address is not on top there"
        );
    }
    // A test of something else is no test for null.
    let Some(map) =
        assemble("fn free\n test %rsi, %rsi\n je 1f\n push %rbx\n mov %rdi, (%rdi)\n pop %rbx\n1: ret")
    else {
        return;
    };
    assert_eq!(probe(&map, "free").function_offset, 3);
}

#[test]
fn what_the_kernel_refuses_is_left_out_and_said() {
    let Some(map) = assemble(
        "fn malloc
            vzeroupper
            mov (%rax), %rax
            ret
        fn calloc
            push %rbx
            mov (%rax), %rax
            pop %rbx
            ret",
    ) else {
        return;
    };
    assert_eq!(names(&map), ["calloc"]);
    assert_eq!(map.notes, ["the kernel refuses a probe on malloc in made.so"]);
}

#[test]
fn a_function_that_alters_the_block_is_no_wrapper() {
    // It asks for more and returns an address inside: what it returns is not what malloc returned.
    let Some(map) = assemble(
        "fn aligned_alloc
            push %rdi
            lea 64(%rsi), %rdi
            call malloc@plt
            pop %rdi
            lea 63(%rax), %rax
            and $-64, %rax
            ret
        fn free
            sub $8, %rsp
            mov -8(%rdi), %rdi
            call __libc_free@plt
            add $8, %rsp
            ret",
    ) else {
        return;
    };
    assert_eq!(names(&map), ["aligned_alloc", "free"]);
    assert!(map.wrappers.is_empty());
}

#[test]
fn wrappers_are_seen_through_helpers_spills_and_early_failure() {
    let Some(map) = assemble(
        "fn calloc
            mov %rdi, %rax
            mul %rsi
            jo 9f
            push %rbp
            mov %rsp, %rbp
            sub $16, %rsp
            mov %rax, -8(%rbp)
            mov -8(%rbp), %rdi
            call helper
            leave
            ret
        9:  xor %eax, %eax
            ret
        helper:
            sub $8, %rsp
            call malloc@plt
            test %rax, %rax
            je abort@plt
            add $8, %rsp
            ret",
    ) else {
        return;
    };
    assert_eq!(names(&map), [""; 0]);
    // 8 pushed by the call, 16 of locals, 8 of the saved frame pointer; and 8 + 8 for the helper.
    let slots: Vec<u32> = map.wrappers.iter().map(|wrapper| wrapper.cfa_return_slot).collect();
    assert_eq!(slots, [16, 32]);
}

#[test]
fn a_wrapper_with_an_unknown_frame_is_said_and_still_not_probed() {
    let Some(map) = assemble(
        "fn malloc
            push %rbx
            mov (%rdi), %rax
            pop %rbx
            ret
        fn valloc
            push %rbp
            mov %rsp, %rbp
            and $-32, %rsp
            call malloc@plt
            leave
            ret",
    ) else {
        return;
    };
    assert_eq!(names(&map), ["malloc"]);
    assert!(map.wrappers.is_empty());
    assert_eq!(map.notes.len(), 1, "{:?}", map.notes);
    assert!(map.notes[0].contains("valloc"));
}

#[test]
fn functions_that_only_pass_on_to_each_other_are_probed() {
    let Some(map) = assemble("fn malloc\n jmp valloc@plt\nfn valloc\n jmp malloc@plt") else { return };
    assert_eq!(names(&map), ["malloc", "valloc"]);
}

#[test]
fn some_paths_of_its_own_make_a_function_the_lowest() {
    // A fast path without a call, as in every thread cache.
    let Some(map) = assemble(
        "fn valloc
            mov %fs:16, %rax
            test %rax, %rax
            je malloc@plt
            ret
        fn malloc
            push %rbx
            mov (%rdi), %rax
            pop %rbx
            ret",
    ) else {
        return;
    };
    assert_eq!(names(&map), ["valloc", "malloc"]);
}

#[test]
fn file_local_namesakes_are_left_alone() {
    let Some(map) = assemble(
        "    .type free, @function
        free: ret
        fn malloc
            push %rbx
            mov (%rdi), %rax
            pop %rbx
            ret",
    ) else {
        return;
    };
    assert_eq!(names(&map), ["malloc"]);
}

#[test]
fn calls_among_the_lowest_functions_are_listed() {
    // Resizes in place if it can; else takes a new block. The helper ends in a jump to malloc.
    let Some(map) = assemble(
        "fn realloc
            push %rbx
            test %rdi, %rdi
            je 1f
            mov (%rdi), %rbx
            test %rbx, %rbx
            jne 2f
            call helper
            call free@plt
        2:  mov %rdi, %rax
            pop %rbx
            ret
        1:  mov %rsi, %rdi
            pop %rbx
            jmp malloc@plt
        helper:
            xor %esi, %esi
            jmp malloc@plt
        fn malloc
            push %rbx
            mov (%rdi), %rax
            pop %rbx
            ret
        fn free
            push %rbx
            mov %rax, (%rdi)
            pop %rbx
            ret",
    ) else {
        return;
    };
    let realloc = probe(&map, "realloc");
    assert!(realloc.null_passed_on);
    assert!(!probe(&map, "malloc").null_passed_on);
    // 1 + 3 + 2 + 3 + 3 + 2 bytes of instructions, then two calls of 5.
    let offsets: Vec<u64> =
        map.nested.iter().map(|nested| nested.return_file_offset - realloc.entry_file_offset).collect();
    assert_eq!(offsets, [19, 24]);
    assert!(map.wrappers.is_empty());
}
