//! Outputs of a small sweep whose figures can be worked out by hand.

use waytrace_model::cache::{CacheId, WayMask};
use waytrace_model::cache_report::Interface;
use waytrace_model::sweep::{
    CacheMonitor, EndReason, MissSource, Settled, SweepEnd, SweepHeader, SweepPlan, SweepPoint, SweepTarget,
    SweptCache, ThreadCounts,
};
use waytrace_model::sweep_curve::{
    CurveOf, CurvePoint, Curves, Estimate, Knee, Least, LeftOut, SCHEMA_VERSION, SweepReport, WindowFigures,
};

use super::{datamime, page, svg, text};

/// A thread that needs `cycles` for 1000 instructions and misses `misses` times of 200.
fn thread(tid: u32, cycles: u64, misses: u64) -> ThreadCounts {
    ThreadCounts {
        tid,
        cpu: None,
        instructions: Some(1000),
        cycles: Some(cycles),
        llc_references: Some(200),
        llc_misses: Some(misses),
        enabled_ns: 10,
        running_ns: 10,
    }
}

fn point(position: u64, sweep: u32, ways: u32, threads: Vec<ThreadCounts>) -> SweepPoint {
    SweepPoint {
        sweep,
        position,
        ways,
        mask: WayMask::lowest(ways),
        reference: false,
        at_ns: 1000 * position,
        settle_ns: 5,
        settled: Settled::Occupancy,
        window_ns: 100,
        threads,
        monitors: vec![CacheMonitor {
            cache_id: CacheId(0),
            occupancy_bytes: Some(1000 * u64::from(ways)),
            total_bytes: Some(6400),
            local_bytes: Some(320),
            missing: None,
        }],
        disturbed: false,
    }
}

fn estimate(value: f64, half: f64) -> Option<Estimate> {
    Some(Estimate {
        value,
        ci95_low: Some(value - half),
        ci95_high: Some(value + half),
        std: Some(half),
        windows: 2,
    })
}

fn curve_point(ways: u32, miss_ratio: f64, ipc: f64) -> CurvePoint {
    let window =
        |sweep| WindowFigures { sweep, miss_ratio: Some(miss_ratio), mpki: Some(9.0), ipc: Some(ipc) };
    CurvePoint {
        ways,
        bytes: Some(u64::from(ways) << 20),
        unsettled: ways == 1,
        miss_ratio: estimate(miss_ratio, 0.05),
        mpki: estimate(200.0 * miss_ratio, 1.0),
        ipc: estimate(ipc, 0.01),
        ipc_normalised: None,
        occupancy_bytes: estimate(1000.0, 0.0),
        bandwidth_bytes_per_s: None,
        miss_ratio_isotonic: Some(miss_ratio),
        mpki_isotonic: Some(200.0 * miss_ratio),
        ipc_isotonic: Some(ipc),
        windows: vec![window(0), window(1)],
    }
}

fn report() -> SweepReport {
    let least = |of| Least {
        of,
        ways: 3,
        bytes: Some(3 << 20),
        above_ways: Some(1),
        ways_low: Some(3),
        ways_high: Some(4),
        tolerance: 0.01,
        at_least: false,
    };
    let knee = Knee {
        of: CurveOf::MissRatio,
        ways: 3,
        bytes: Some(3 << 20),
        distance: 0.4,
        ways_low: None,
        ways_high: None,
    };
    SweepReport {
        schema_version: SCHEMA_VERSION,
        id: 1,
        sweep: SweepHeader {
            name: "s".to_owned(),
            started_at_unix_ns: 0,
            command: "waytrace cache sweep --name <b>".to_owned(),
            simulated: true,
            interface: Interface::Resctrl,
            target: SweepTarget { pid: 7, comm: "<evil>\u{1b}[31m".to_owned(), cpus: Vec::new() },
            cache: SweptCache {
                resource: "L3".to_owned(),
                ids: vec![CacheId(0)],
                ways: 4,
                way_bytes: Some(1 << 20),
                full_mask: WayMask::lowest(4),
            },
            plan: SweepPlan {
                ways: vec![1, 3, 4],
                repeats: Some(2),
                window_ns: 100,
                settle_cap_ns: 1000,
                every_ns: None,
                reference_every: 4,
                pressure_bytes: Some(1 << 20),
                others_confined: false,
                seed: 3,
                max_slowdown: None,
                slo: None,
            },
            misses: Some(MissSource::LlcEvents),
        },
        end: Some(SweepEnd {
            reason: EndReason::Completed,
            detail: None,
            restored: true,
            left: Vec::new(),
            own_cpu_ns: 5,
            elapsed_ns: 6,
        }),
        curves: Curves {
            misses: Some(MissSource::LlcEvents),
            ways: vec![curve_point(1, 0.8, 0.5), curve_point(3, 0.1, 1.0), curve_point(4, 0.1, 1.0)],
            left_out: LeftOut::default(),
            multiplexed: 0,
            reference: None,
            knee: Some(knee),
            working_set: Some(least(CurveOf::MissRatio)),
            near_peak_ipc: Some(least(CurveOf::Ipc)),
            notes: vec!["simulated".to_owned()],
        },
        points: vec![
            point(0, 0, 3, vec![thread(7, 1000, 20), thread(8, 2000, 40)]),
            point(1, 0, 1, vec![thread(7, 2000, 160), thread(8, 4000, 80)]),
            point(2, 0, 4, vec![thread(7, 1000, 10), thread(8, 1000, 20)]),
            SweepPoint { reference: true, ..point(3, 0, 4, vec![thread(7, 1000, 10)]) },
            point(4, 1, 4, vec![thread(7, 800, 10)]),
            point(5, 1, 1, vec![thread(7, 1600, 120)]),
            point(6, 1, 3, vec![thread(7, 1000, 30)]),
            point(7, 2, 4, vec![thread(7, 800, 10)]),
        ],
    }
}

/// Written by hand from the layout: rows are ways 1 to 4, of which 2 was not measured; columns are sweeps 0 and 1, of which thread 8
/// was only in the first; sweep 2 is incomplete. 160 misses per 1000 instructions are an MPKI of 160.
#[test]
fn datamimes_files_are_those_written_by_hand() {
    let own = datamime::files(&report(), "h").unwrap();
    let expected = [
        (
            "h_counters_7.csv",
            "timestamp,ref_cycles,time_running,time_enabled,local_mem_traffic,l3_occupancy,\
             UNHALTED_REFERENCE_CYCLES,INST_RETIRED,CPU_CLK_UNHALTED\n\
             100,100,nan,nan,320,3000,nan,1000,1000\n\
             1100,100,nan,nan,320,-2000,nan,1000,2000\n\
             2100,100,nan,nan,320,3000,nan,1000,1000\n\
             3100,100,nan,nan,320,0,nan,1000,1000\n\
             4100,100,nan,nan,320,0,nan,1000,800\n\
             5100,100,nan,nan,320,-3000,nan,1000,1600\n\
             6100,100,nan,nan,320,2000,nan,1000,1000\n\
             7100,100,nan,nan,320,1000,nan,1000,800\n",
        ),
        ("h_ipc_7", "0.5 0.625\n0.75 0.8125\n1 1\n1 1.25\n"),
        ("h_ipc_8", "0.25\n0.375\n0.5\n1\n"),
        ("h_mrc_7", "160 120\n90 75\n20 30\n10 10\n"),
        ("h_mrc_8", "80\n60\n40\n20\n"),
        ("target_configs.yml", "tsc_freq_mhz: 1000\n"),
    ];
    let got = |name: &str| own.files.iter().find(|file| file.0 == name).map(|file| file.1.as_str());
    for (name, content) in expected {
        assert_eq!(got(name), Some(content), "{name}");
    }
    assert_eq!(own.files.len(), 7, "and the counters of thread 8");
    for word in ["simulated", "12 ways", "interpolated", "1 sweeps", "1000 MHz"] {
        assert!(own.notes.iter().any(|note| note.contains(word)), "{word}: {:?}", own.notes);
    }
}

#[test]
fn traffic_is_the_whole_process_and_cpus_are_one_thread() {
    let mut traffic = report();
    traffic.sweep.misses = Some(MissSource::MemoryTraffic);
    let own = datamime::files(&traffic, "h").unwrap();
    // 6400 bytes are 100 lines, of 2000 instructions in the first sweep and 1000 in the second.
    assert_eq!(
        own.files.iter().find(|file| file.0 == "h_mrc_7").unwrap().1,
        "50 100\n50 100\n50 100\n50 100\n"
    );
    let mut cpus = report();
    for thread in cpus.points.iter_mut().flat_map(|point| &mut point.threads) {
        thread.tid = 0;
    }
    let names: Vec<String> =
        datamime::files(&cpus, "h").unwrap().files.into_iter().map(|file| file.0).collect();
    assert_eq!(names, ["h_counters_7.csv", "h_ipc_7", "h_mrc_7", "target_configs.yml"]);
}

#[test]
fn what_the_layout_cannot_do_without_is_an_error() {
    let mut report = report();
    report.sweep.misses = None;
    assert!(datamime::files(&report, "h").unwrap_err().contains("knows no misses"));
    report.sweep.misses = Some(MissSource::LlcEvents);
    report.points.truncate(2);
    assert!(datamime::files(&report, "h").unwrap_err().contains("let it complete one"));
    let mut uncounted = super::tests::report();
    uncounted.points.iter_mut().for_each(|point| point.threads.clear());
    assert!(datamime::files(&uncounted, "h").unwrap_err().contains("no thread"));
}

#[test]
fn every_output_says_that_it_is_simulated_and_lets_no_name_out() {
    let report = report();
    let outputs = [text(&report, 100), svg(&report), page(&report)];
    for output in &outputs {
        assert!(output.to_lowercase().contains("simulated"), "{output}");
        assert!(!output.contains('\u{1b}'), "{output}");
    }
    for markup in &outputs[1..] {
        assert!(markup.contains("&lt;evil&gt;") && !markup.contains("<evil>"), "{markup}");
    }
    assert!(outputs[2].contains("--name &lt;b&gt;"));
    let mut real = report;
    real.sweep.simulated = false;
    real.curves.notes.clear();
    assert!(!page(&real).to_lowercase().contains("simulated"));
}

#[test]
fn the_table_has_figures_with_bands_and_what_is_read_off() {
    let shown = text(&report(), 120);
    let row = shown.lines().find(|line| line.trim_start().starts_with("3 ")).unwrap();
    for cell in ["3.00MiB", "0.100", "0.050–0.150", "20.0", "1.00", "0.990–1.01"] {
        assert!(row.contains(cell), "{cell}: {row}");
    }
    assert!(shown.lines().any(|line| line.trim_start().starts_with("1* ")), "unsettled: {shown}");
    for line in [
        "working set: 3 ways (3.00MiB), more than 1 way; 3 to 4 by the bands",
        "knee of the miss-ratio curve: 3 ways (3.00MiB)",
        "all was restored",
        "note: simulated",
    ] {
        assert!(shown.contains(line), "{line}: {shown}");
    }
    assert!(text(&report(), 20).lines().count() > 5, "a narrow terminal");
}

#[test]
fn the_picture_has_both_curves_at_their_places() {
    let drawn = svg(&report());
    // Ways 1, 3 and 4 between 78 and 862; miss ratios on an axis to 1, IPC on one to 1.2 in the panel 338 below.
    assert!(drawn.contains("points=\"78.0,142.0 600.7,317.0 862.0,317.0\""), "{drawn}");
    assert!(drawn.contains("points=\"78.0,575.8 600.7,471.7 862.0,471.7\""), "{drawn}");
    assert!(
        drawn.contains(">knee, working set: 3</text>") && drawn.contains(">95 % of best: 3</text>"),
        "{drawn}"
    );
    assert!(drawn.contains("fill=\"#fff\" stroke=\"#d55e00\""), "what never settled is hollow");
}

#[test]
fn nothing_and_absurd_values_can_be_drawn() {
    let mut none = report();
    none.curves.ways.clear();
    none.points.clear();
    none.end = None;
    let mut absurd = report();
    absurd.curves.ways = vec![CurvePoint { ipc: estimate(0.0, 0.0), ..curve_point(u32::MAX, 1e300, 0.0) }];
    absurd.sweep.cache.ways = 64;
    for report in [&none, &absurd] {
        for output in [text(report, 80), svg(report), page(report)] {
            assert!(!output.contains("NaN") && !output.contains("inf") && output.len() < 200_000, "{output}");
        }
    }
}
