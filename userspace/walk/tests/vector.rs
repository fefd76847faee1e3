//! What a walk knows of vectors when only parts of the input are known, and which elements masked code accesses.
//! That known results are right is for the test against the processor; here it is how far knowledge reaches.
#![allow(clippy::panic)]

#[path = "support/flat.rs"]
mod flat;

use flat::{CODE, DATA, start, walk};
use waytrace_walk::state::{Flag, Value, Vector};
use waytrace_walk::{Access, End, Reason, State};

const NOP: u8 = 0x90;

/// Walks the code to its end and gives the registers there.
fn after(code: &[u8], start: &State) -> State {
    let (end, _, state) = walk(code, start, 1000);
    assert_eq!(end, End::Unresolved(Reason::UnreadableCode));
    assert_eq!(state.rip, CODE + code.len() as u64);
    state
}

/// Accesses as (distance from the data, bytes).
fn places(accesses: &[Access]) -> Vec<(u64, u16)> {
    accesses.iter().map(|access| (access.address - DATA, access.width_bytes)).collect()
}

/// `rbx` points at the data; vectors and masks are unknown.
fn with_data() -> State {
    let mut state = start();
    state.general[3] = Value::known(DATA);
    state
}

fn doubles(low: f64, high: f64) -> Vector {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&low.to_le_bytes());
    bytes[8..].copy_from_slice(&high.to_le_bytes());
    Vector::known(&bytes)
}

#[test]
fn constants_are_known_although_their_inputs_are_not() {
    let state = after(
        &[
            0x66, 0x0f, 0xef, 0xc9, // pxor xmm1, xmm1
            0x66, 0x0f, 0x76, 0xd2, // pcmpeqd xmm2, xmm2
            0xc5, 0xe5, 0x64, 0xdb, // vpcmpgtb ymm3, ymm3, ymm3
            0x62, 0xf3, 0x5d, 0x48, 0x25, 0xe4, 0xff, // vpternlogd zmm4, zmm4, zmm4, 0xff
            0xc5, 0xec, 0x46, 0xd2, // kxnorw k2, k2, k2
        ],
        &with_data(),
    );
    // Legacy instructions leave what is above 16 bytes as it is, here unknown; VEX and EVEX clear it.
    assert_eq!((state.vectors[1].get(), state.vectors[1].known_bytes()), (Some([0; 16]), 0xffff));
    assert_eq!((state.vectors[2].get(), state.vectors[2].known_bytes()), (Some([0xff; 16]), 0xffff));
    assert_eq!(state.vectors[3], Vector::ZERO);
    assert_eq!(state.vectors[4], Vector::known(&[0xff; 64]));
    assert_eq!(state.masks[2], Value::known(0xffff));
}

#[test]
fn the_idiom_of_string_search_finds_the_byte() {
    let mut state = with_data();
    state.general[3] = Value::known(DATA + 250); // Six bytes before a 0.
    let state = after(
        &[
            0x66, 0x0f, 0xef, 0xc9, // pxor xmm1, xmm1
            0xf3, 0x0f, 0x6f, 0x03, // movdqu xmm0, [rbx]
            0x66, 0x0f, 0x74, 0xc1, // pcmpeqb xmm0, xmm1
            0x66, 0x0f, 0xd7, 0xc0, // pmovmskb eax, xmm0
            0x0f, 0xbc, 0xc0, // bsf eax, eax
        ],
        &state,
    );
    assert_eq!(state.general[0], Value::known(6));
}

#[test]
fn unknown_bytes_spread_only_to_what_depends_on_them() {
    let mut state = with_data();
    state.vectors[0] = Vector::partly([0x80; 64], 0x00ff); // The upper half is unknown.
    state.vectors[3] = Vector::known(&[0; 16]);
    let state = after(
        &[
            0xf2, 0x0f, 0x12, 0xc8, // movddup xmm1, xmm0
            0x0f, 0x12, 0xd0, // movhlps xmm2, xmm0
            0x66, 0x0f, 0xdb, 0xd8, // pand xmm3, xmm0
            0x66, 0x0f, 0xd7, 0xc0, // pmovmskb eax, xmm0
        ],
        &state,
    );
    assert_eq!(state.vectors[1].get(), Some([0x80; 16]));
    assert_eq!(state.vectors[2].known_bytes() & 0xff, 0);
    assert_eq!(state.vectors[3].get(), Some([0; 16])); // 0 and anything.
    assert_eq!(state.general[0].known_bits(), !0xff00);
    assert_eq!(state.general[0].bits(), 0xff);
}

#[test]
fn numbers_that_flushing_could_change_are_unknown() {
    let arithmetic = [
        0xf2, 0x0f, 0x58, 0xc1, // addsd xmm0, xmm1
        0x66, 0x0f, 0x2e, 0xc1, // ucomisd xmm0, xmm1
    ];
    let mut state = with_data();
    state.vectors[0] = doubles(1.5, 7.0);
    state.vectors[1] = doubles(2.25, 9.0);
    let known = after(&arithmetic, &state);
    assert_eq!(known.vectors[0], doubles(3.75, 7.0));
    assert_eq!(known.flags.get(Flag::Carry), Some(false));
    state.vectors[1] = doubles(5e-324, 9.0);
    let unknown = after(&arithmetic, &state);
    assert_eq!(unknown.vectors[0].known_bytes(), !0xff);
    assert_eq!(unknown.flags.get(Flag::Carry), None);
    assert_eq!(unknown.flags.get(Flag::Overflow), Some(false));
}

#[test]
fn masked_moves_access_the_selected_elements() {
    let load = [0x62, 0xf1, 0x7f, 0x89, 0x6f, 0x03]; // vmovdqu8 xmm0{k1}{z}, [rbx]
    let store = [0x62, 0xf1, 0x7f, 0x09, 0x7f, 0x43, 0x04]; // vmovdqu8 [rbx+0x40]{k1}, xmm0
    let mut state = with_data();
    let of = |code: &[u8], state: &State| places(&walk(code, state, 1000).1);
    state.masks[1] = Value::known(0xffff);
    assert_eq!(of(&load, &state), [(0, 16)]);
    state.masks[1] = Value::known(0x8ff0);
    assert_eq!(of(&load, &state), [(4, 8), (15, 1)]);
    assert_eq!(of(&store, &state), [(0x44, 8), (0x4f, 1)]);
    let loaded = after(&load, &state).vectors[0];
    assert_eq!(loaded.get(), Some([0, 0, 0, 0, 4, 5, 6, 7, 8, 9, 10, 11, 0, 0, 0, 15]));
    state.masks[1] = Value::known(0);
    assert!(of(&load, &state).is_empty());
    state.masks[1] = Value::UNKNOWN;
    assert_eq!(walk(&load, &state, 1000).0, End::Unresolved(Reason::MaskedAccess));
}

#[test]
fn a_gather_accesses_each_element_and_clears_its_mask() {
    let gather = [0xc4, 0xe2, 0x61, 0x90, 0x0c, 0x93]; // vpgatherdd xmm1, [rbx+xmm2*4], xmm3
    let mut state = with_data();
    state.vectors[2] = Vector::known(&[8, 0, 0, 0, 99, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0]);
    let mut mask = [0xff; 16];
    mask[4..8].fill(0);
    state.vectors[3] = Vector::known(&mask);
    let (_, accesses, after) = walk(&gather, &state, 1000);
    assert_eq!(places(&accesses), [(32, 4), (0, 4), (12, 4)]);
    assert_eq!(after.vectors[1].known_bytes(), !0xf0); // What the second element held before is unknown.
    assert_eq!(after.vectors[1].bytes()[12..16], [12, 13, 14, 15]);
    assert_eq!(after.vectors[3], Vector::ZERO);
}

#[test]
fn other_rounding_modes_are_not_followed() {
    let code = [0x0f, 0xae, 0x13, NOP]; // ldmxcsr [rbx]
    let mut state = with_data();
    state.general[3] = Value::known(DATA + 0x100); // 0x03020100: the default, rounding to nearest.
    after(&code, &state);
    state.general[3] = Value::known(DATA + 0x60); // 0x63626160: towards zero.
    assert_eq!(walk(&code, &state, 1000).0, End::Unresolved(Reason::RoundingMode));
}

#[test]
fn pcmpistri_finds_a_part_of_a_string() {
    let mut state = with_data();
    state.vectors[0] = Vector::known(b"call");
    state.vectors[1] = Vector::known(b"it is a recall.");
    let code = [0x66, 0x0f, 0x3a, 0x63, 0xc1, 0x0c]; // pcmpistri xmm0, xmm1, equal ordered
    let state = after(&code, &state);
    assert_eq!(state.general[1], Value::known(10));
    assert_eq!(state.flags.get(Flag::Carry), Some(true));
    assert_eq!(state.flags.get(Flag::Zero), Some(true)); // The second string ends within the register.
}
