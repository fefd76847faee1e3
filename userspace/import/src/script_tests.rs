//! Lines perf 6.1 printed, in several choices of fields, and what they say.

use proptest::prelude::*;

use super::*;

fn full(line: &str) -> Line<'_> {
    parse(line).unwrap_or_else(|| panic!("not understood: {line}"))
}

#[test]
fn time_event_address_padded_and_not() {
    for line in [
        " 2819.928754645: mem:0x404060:rw:u:           404060",
        "2819.928754645: mem:0x404060:rw:u: 404060",
        "     2819.928754645:  mem:0x404060:rw:u:           404060   ",
    ] {
        let expected = Line {
            time_ns: 2_819_928_754_645,
            event: Some("mem:0x404060:rw:u"),
            address: Some(0x40_4060),
            ..Line::default()
        };
        assert_eq!(full(line), expected, "{line}");
    }
    let quoted = full("   12.000001: \"r4003E:ppp\":     7fffdeadbeef");
    assert_eq!((quoted.event, quoted.time_ns), (Some("r4003E:ppp"), 12_000_001_000));
}

#[test]
fn every_field_perf_knows() {
    let line = full(
        "           multi  9238/9241  [001]  2821.290229920:       4000 cpu/mem-loads/P:           404060      \
         1e05080022 |OP LOAD|LVL N/A or N/A|SNP N/A|TLB N/A|LCK N/A|BLK  N/A              87           401187 \
         work<int, (x)>(long)+0x11 (/opt/my dir/multi)       11ab0d060 2M",
    );
    let expected = Line {
        comm: Some("multi"),
        tgid: Some(9238),
        tid: Some(9241),
        cpu: Some(1),
        time_ns: 2_821_290_229_920,
        period: Some(4000),
        event: Some("cpu/mem-loads/P"),
        address: Some(0x40_4060),
        data_source: Some(DataSource(0x1e_0508_0022)),
        latency_cycles: Some(87),
        ip: Some(0x40_1187),
        symbol: Some("work<int, (x)>(long)+0x11"),
        module: Some("/opt/my dir/multi"),
        physical_address: Some(0x1_1ab0_d060),
        page_bytes: Some(2 << 20),
    };
    assert_eq!(line, expected);
    let sample = line.sample((0, Some(AccessKind::Store)));
    assert_eq!(sample.kind, Some(AccessKind::Load), "the sample goes before its event");
    let place = Place {
        symbol: Some("work<int, (x)>(long)".to_owned()),
        offset: 0x11,
        module: Some("multi".to_owned()),
    };
    assert_eq!(sample.place, Some(place));
}

#[test]
fn fewer_fields_in_several_choices() {
    let line = full(" 9238  2821.290229920:           404060           401187 ");
    assert_eq!(
        (line.tid, line.address, line.ip, line.event),
        (Some(9238), Some(0x40_4060), Some(0x40_1187), None)
    );
    let line = full(
        "      lto cgu.02 10960 [001]  2852.052733: cpu-clock:           1000               0     7f594c6775ee",
    );
    assert_eq!((line.comm, line.tid, line.cpu), (Some("lto cgu.02"), Some(10960), Some(1)));
    assert_eq!((line.address, line.ip, line.latency_cycles), (Some(0x1000), Some(0x7f59_4c67_75ee), None));
    let line = full("w 16 1331.042781:  1 mem:0x4:w:  404060  7 401168 main+0x32 (/bin/w)");
    assert_eq!((line.period, line.latency_cycles, line.symbol), (Some(1), Some(7), Some("main+0x32")));
    let line = full("w 16 1331.042781: ev:  404060  401168 add (/bin/w)");
    assert_eq!((line.address, line.ip, line.symbol), (Some(0x40_4060), Some(0x40_1168), Some("add")));
    let line = full(
        "w 16 1331.042781: ev: 404060 1e05080022 |OP LOAD|LVL L1 hit|SNP None|TLB L1 or L2 hit|LCK No|BLK  N/A 401168 [unknown] (/bin/w)",
    );
    assert_eq!((line.latency_cycles, line.ip, line.module), (None, Some(0x40_1168), Some("/bin/w")));
    assert_eq!(line.sample((0, None)).place.unwrap().offset, 0x40_1168);
}

/// What perf prints without being asked has no address: the only number is the instruction.
#[test]
fn an_instruction_is_not_taken_for_an_address() {
    let line = full(
        "               w 16969  1331.042781:          1 mem:0x404040:rw:u:            401168 main+0x32 (/bin/w)",
    );
    assert_eq!((line.address, line.ip), (None, Some(0x40_1168)));
    let kernel =
        full("rb 10 [000]  2.052661:  500000 cpu-clock:  ffffffff8201eef9 tcp_ack+0xa09 ([kernel.kallsyms])");
    assert!(kernel.sample((0, None)).in_kernel);
}

#[test]
fn other_lines_are_none() {
    for line in [
        "",
        "# ========",
        "hello",
        "w 16 1331: x",
        "1.5: ",
        "\t 401168 main+0x32 (/bin/w)",
        "name: 12.5 x",
        "1.1234567890: e: 10",
        "w 16 1331.04: PERF_RECORD_MMAP2 1/1: [0x7ff(0x21) @ 0 00:00 0 0]: rw-p [stack]",
    ] {
        assert!(!is_sample(line), "{line}: {:?}", parse(line));
    }
}

proptest! {
    #[test]
    fn no_text_panics(line in ".{0,200}", numbers in "[0-9a-f :|()./+ ]{0,120}") {
        let _ = parse(&line);
        let _ = parse(&format!("1.5: e: {numbers}"));
        let _ = parse(&format!("1.5: e: 10 |OP {line}|BLK {numbers}"));
    }
}
