//! Walks over hand-assembled code: which accesses are found, in which order, and how walks end.
#![allow(clippy::panic)]

#[path = "support/flat.rs"]
mod flat;

use flat::{CODE, DATA, Flat, Program, UNCAPTURED, start, walk};
use waytrace_walk::state::{Flags, Value};
use waytrace_walk::{Access, End, Kind, Limit, Reason, State, Walker};

/// Accesses as (address, bytes, is a store, offset of the instruction).
fn shown(accesses: &[Access]) -> Vec<(u64, u16, bool, u64)> {
    let show =
        |access: &Access| (access.address, access.width_bytes, access.kind == Kind::Store, access.ip - CODE);
    accesses.iter().map(show).collect()
}

/// A state whose `rbx` points at the data.
fn with_data() -> State {
    let mut state = start();
    state.general[3] = Value::known(DATA);
    state
}

/// How code ends that has no k-th access.
fn end_of(code: &[u8], start: &State) -> Reason {
    match walk(code, start, 1000) {
        (End::Unresolved(reason), ..) => reason,
        (End::Reached, accesses, _) => panic!("reached {accesses:?}"),
    }
}

#[test]
fn accesses_come_in_program_order_with_width_and_direction() {
    let code = [
        0x50, // push rax
        0x01, 0x4b, 0x10, // add [rbx+0x10], ecx
        0x48, 0x8d, 0x43, 0x08, // lea rax, [rbx+8]
        0x0f, 0x18, 0x0b, // prefetcht0 [rbx]
        0x0f, 0x1f, 0x43, 0x00, // nop [rbx]
        0x66, 0x8b, 0x10, // mov dx, [rax]
        0x5e, // pop rsi
        0xf4, // hlt
    ];
    let (end, accesses, state) = walk(&code, &with_data(), 1000);
    assert_eq!(end, End::Unresolved(Reason::Interrupt));
    let top = DATA + 0x800;
    assert_eq!(
        shown(&accesses),
        [
            (top - 8, 8, true, 0),
            (DATA + 0x10, 4, false, 1),
            (DATA + 0x10, 4, true, 1),
            (DATA + 8, 2, false, 15),
            (top - 8, 8, false, 18),
        ]
    );
    assert_eq!(state.general[2], Value::known(0x0908));
    assert_eq!(state.rip, CODE + 19);
}

#[test]
fn a_walk_ends_at_the_access_asked_for() {
    let code = [0x48, 0xff, 0x03, 0xeb, 0xfb]; // again: inc qword [rbx]; jmp again
    let (end, accesses, _) = walk(&code, &with_data(), 5);
    assert_eq!((end, accesses.len()), (End::Reached, 5));
    assert_eq!(accesses[4].kind, Kind::Load);
    assert_eq!(walk(&code, &with_data(), 0).1, []);
}

#[test]
fn calls_and_returns_follow_the_stack_the_walk_itself_wrote() {
    // call f; mov eax, 7; hlt; f: push rbp; mov rbp, rsp; leave; ret
    let code = [0xe8, 6, 0, 0, 0, 0xb8, 7, 0, 0, 0, 0xf4, 0x55, 0x48, 0x89, 0xe5, 0xc9, 0xc3];
    let (end, accesses, state) = walk(&code, &start(), 1000);
    assert_eq!(end, End::Unresolved(Reason::Interrupt));
    assert_eq!(accesses.len(), 4);
    assert_eq!(state.general[0], Value::known(7));
    assert_eq!(state.general[4], start().general[4]);
}

#[test]
fn a_repeated_instruction_is_walked_element_by_element_however_large_its_count() {
    let mut state = with_data();
    state.general[1] = Value::known(u64::MAX);
    state.general[6] = Value::known(DATA);
    state.general[7] = Value::known(DATA + 0x400);
    let (end, accesses, state) = walk(&[0xf3, 0xa4, 0xf4], &state, 7); // rep movsb
    assert_eq!(end, End::Reached);
    assert_eq!(shown(&accesses)[5..], [(DATA + 0x402, 1, true, 0), (DATA + 3, 1, false, 0)]);
    assert_eq!(state.rip, CODE);
}

#[test]
fn a_repeated_instruction_runs_to_its_end_and_counts_its_registers() {
    let mut state = with_data();
    state.general[0] = Value::known(5);
    state.general[1] = Value::known(100);
    state.general[7] = Value::known(DATA);
    let (end, accesses, state) = walk(&[0xf2, 0xae, 0xf4], &state, 1000); // repne scasb: data is 0, 1, 2…
    assert_eq!(end, End::Unresolved(Reason::Interrupt));
    assert_eq!(accesses.len(), 6);
    assert_eq!((state.general[1], state.general[7]), (Value::known(94), Value::known(DATA + 6)));
    let mut none = state;
    none.rip = CODE;
    none.general[1] = Value::known(0);
    assert_eq!(walk(&[0xf3, 0xaa, 0xf4], &none, 1000).1, []);
}

#[test]
fn what_is_unknown_ends_a_walk_only_where_it_matters() {
    let mut state = with_data();
    state.general[0] = Value::UNKNOWN;
    // mov rcx, rax; add rcx, 1; test eax, eax; jne
    assert_eq!(
        end_of(&[0x48, 0x89, 0xc1, 0x48, 0xff, 0xc1, 0x85, 0xc0, 0x75, 0], &state),
        Reason::UnknownBranch
    );
    assert_eq!(end_of(&[0x8b, 0x00], &state), Reason::UnknownAddress); // mov eax, [rax]
    assert_eq!(end_of(&[0xff, 0xe0], &state), Reason::UnknownBranch); // jmp rax
    // mov [rbx], rax; cmp dword [rbx], 0; je
    assert_eq!(end_of(&[0x48, 0x89, 0x03, 0x83, 0x3b, 0, 0x74, 0], &state), Reason::UnknownBranch);
    // xor eax, eax; jne; mov eax, [rbx+rax]; hlt
    assert_eq!(end_of(&[0x31, 0xc0, 0x75, 0, 0x8b, 0x04, 0x03, 0xf4], &state), Reason::Interrupt);
    // cmp cl, cl; sete al; movzx eax, al; test eax, eax; jne; hlt
    let code = [0x38, 0xc9, 0x0f, 0x94, 0xc0, 0x0f, 0xb6, 0xc0, 0x85, 0xc0, 0x75, 0, 0xf4];
    assert_eq!(end_of(&code, &state), Reason::Interrupt);
    // or eax, 1; je; hlt
    assert_eq!(end_of(&[0x83, 0xc8, 1, 0x74, 0, 0xf4], &state), Reason::Interrupt);
    state.flags = Flags::UNKNOWN;
    assert_eq!(end_of(&[0x74, 0], &state), Reason::UnknownBranch);
}

#[test]
fn uncaptured_memory_is_unknown_and_unmapped_memory_ends_the_walk_after_its_access() {
    let mut state = with_data();
    state.general[0] = Value::known(UNCAPTURED);
    // mov ecx, [rax]; mov [rbx], ecx; hlt
    assert_eq!(end_of(&[0x8b, 0x08, 0x89, 0x0b, 0xf4], &state), Reason::Interrupt);
    assert_eq!(end_of(&[0x8b, 0x08, 0x85, 0xc9, 0x75, 0], &state), Reason::UnknownBranch);
    state.general[0] = Value::known(8);
    let (end, accesses, after) = walk(&[0x8b, 0x08, 0xf4], &state, 2);
    assert_eq!(end, End::Unresolved(Reason::UnreadableMemory));
    assert_eq!((shown(&accesses), after.rip), (vec![(8, 4, false, 0)], CODE));
    assert_eq!(walk(&[0x8b, 0x08, 0xf4], &state, 1).0, End::Reached);
}

#[test]
fn every_reason_is_told_from_the_others() {
    let mut state = with_data();
    state.general[0] = Value::known(1);
    let ends: [(&[u8], Reason); 14] = [
        (&[0x0f, 0x05], Reason::SystemCall),
        (&[0xcc], Reason::Interrupt),
        (&[0xcd, 0x80], Reason::Interrupt),
        (&[0x0f, 0x0b], Reason::InvalidInstruction),
        (&[0x06, 0], Reason::InvalidInstruction),
        (&[0x48, 0x8b], Reason::UnreadableCode),
        (&[0x90], Reason::UnreadableCode),
        (&[0xc7, 0xf8, 0, 0, 0, 0], Reason::Transactional), // xbegin
        (&[0xff, 0x2b], Reason::FarControl),                // jmp far [rbx]
        (&[0xcb], Reason::FarControl),                      // retf
        (&[0x0f, 0xae, 0x23], Reason::StateSave),           // xsave [rbx]
        (&[0xc4, 0xe2, 0x6d, 0x90, 0x04, 0x0b], Reason::MaskedAccess), // vpgatherdd ymm0, [rbx+ymm1], ymm2
        (&[0x31, 0xc9, 0xf7, 0xf1], Reason::Fault),         // xor ecx, ecx; div ecx
        (&[0xeb, 0xfe], Reason::BudgetExceeded),            // jmp to itself
    ];
    for (code, reason) in ends {
        assert_eq!(end_of(code, &state), reason, "{code:x?}");
    }
}

#[test]
fn an_instruction_without_an_executor_reports_its_accesses_and_forgets_its_results() {
    let mut state = with_data();
    state.general[0] = Value::known(0);
    // fld qword [rbx]; fstp tword [rbx+0x20]; rdtsc; mov ecx, [rbx+0x20]; hlt
    let code = [0xdd, 0x03, 0xdb, 0x7b, 0x20, 0x0f, 0x31, 0x8b, 0x4b, 0x20, 0xf4];
    let (end, accesses, after) = walk(&code, &state, 1000);
    assert_eq!(end, End::Unresolved(Reason::Interrupt));
    assert_eq!(
        shown(&accesses),
        [(DATA, 8, false, 0), (DATA + 0x20, 10, true, 2), (DATA + 0x20, 4, false, 7)]
    );
    assert_eq!(after.general[0].get(1), None);
    assert_eq!(after.general[1].get(1), None);
    assert_eq!(after.general[3], Value::known(DATA));
}

#[test]
fn code_of_files_is_decoded_once_and_other_code_compared() {
    let mut walker = Walker::default();
    let mut memory = Flat(vec![0; 64]);
    let mut end =
        |program: &mut Program| walker.walk(&start(), &mut memory, program, 1, Limit::default(), |_| {});
    let mut file = Program::of(&[0x90, 0xcc]);
    end(&mut file);
    end(&mut file);
    assert_eq!(file.reads, 1);
    let mut made = Program { is_file: false, ..Program::of(&[0x90, 0xcc]) };
    assert_eq!(end(&mut made), End::Unresolved(Reason::Interrupt));
    made.bytes = vec![0x90, 0x06, 0];
    assert_eq!(end(&mut made), End::Unresolved(Reason::InvalidInstruction));
}

#[test]
fn code_that_changes_itself_ends_the_walk() {
    let code = [0xc6, 0x05, 1, 0, 0, 0, 0x90, 0x90, 0x90, 0xcc]; // mov byte [rip+1], 0x90; nop; nop
    let mut made = Program { is_file: false, ..Program::of(&code) };
    let mut walker = Walker::default();
    let end = walker.walk(&start(), &mut Flat(Vec::new()), &mut made, 2, Limit::default(), |_| {});
    assert_eq!(end, End::Unresolved(Reason::SelfModifyingCode));
}
