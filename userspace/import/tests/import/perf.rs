//! What perf itself recorded here: addresses watched by debug registers, compared with what `perf script` prints of them.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;
use waytrace_model::access::AccessKind;
use waytrace_model::collector::Status;

use super::run::{Run, import, refusal};

/// Two threads and a child write one word, the main thread reads it: 30 + 40 + 5 stores, 10 loads.
const PROGRAM: &str = r#"
#include <pthread.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>
volatile long watched[8];
static void *work(void *count) {
    for (long i = 0; i < (long)count; i++) watched[0] = i;
    return 0;
}
int main(int argc, char **argv) {
    (void)argv;
    if (argc < 2) return printf("%p\n", (void *)watched) < 0;
    pthread_t thread;
    pthread_create(&thread, 0, work, (void *)40L);
    work((void *)30L);
    pthread_join(thread, 0);
    if (!fork()) { work((void *)5L); _exit(0); }
    wait(0);
    long sum = 0;
    for (int i = 0; i < 10; i++) sum += watched[0];
    return sum == 1;
}
"#;

fn output(program: &str, args: &[&str]) -> Result<String, String> {
    let output = Command::new(program).args(args).output().map_err(|error| format!("{program}: {error}"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() {
        Ok(text(&output.stdout))
    } else {
        Err(format!("{program}: {}", text(&output.stderr)))
    }
}

/// A folder with the program and, for each of `letters`, one event; recorded with `options` into `perf.data`.
fn record(letters: &[&str], options: &[&str]) -> Result<TempDir, String> {
    let folder = TempDir::new().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(at("program.c"), PROGRAM).unwrap();
    output("cc", &["-O1", "-no-pie", "-pthread", "-o", &at("program"), &at("program.c")])?;
    let address = output(&at("program"), &[])?;
    let mut args = vec!["record", "-q", "-d", "-c", "1", "-o"];
    let (data, program) = (at("perf.data"), at("program"));
    args.push(&data);
    let events: Vec<String> =
        letters.iter().map(|letters| format!("mem:{}:{letters}:u", address.trim())).collect();
    for event in &events {
        args.extend(["-e", event]);
    }
    args.extend(options);
    args.extend([program.as_str(), "go"]);
    output("perf", &args)?;
    Ok(folder)
}

fn script(data: &Path, fields: &str) -> String {
    output("perf", &["script", "--ns", "-F", fields, "-i", &data.display().to_string()]).unwrap()
}

/// Time, address and thread of each sample, sorted: perf and we may differ in what comes first at one time.
fn of_run(run: &Run) -> Vec<(u64, u64, u32)> {
    let start_ns = run.header.started_at_ns;
    let mut all: Vec<_> =
        run.accesses().iter().map(|access| (access.at_ns + start_ns, access.address, access.tid)).collect();
    all.sort_unstable();
    all
}

fn of_script(text: &str) -> Vec<(u64, u64, u32)> {
    let sample = |line: &str| {
        let mut words = line.split_whitespace();
        let tid = words.next()?.parse().ok()?;
        let (seconds, ns) = words.next()?.trim_end_matches(':').split_once('.')?;
        let time_ns = seconds.parse::<u64>().ok()? * 1_000_000_000 + ns.parse::<u64>().ok()?;
        Some((time_ns, u64::from_str_radix(words.next()?, 16).ok()?, tid))
    };
    let mut all: Vec<_> = text.lines().filter_map(sample).collect();
    all.sort_unstable();
    all
}

macro_rules! or_skip {
    ($recorded:expr) => {
        match $recorded {
            Ok(folder) => folder,
            Err(reason) => return println!("SKIP: {reason}"),
        }
    };
}

#[test]
fn a_file_holds_what_perf_script_prints_of_it() {
    let folder = or_skip!(record(&["rw", "w"], &[]));
    let data = folder.path().join("perf.data");
    let run = import(&data);
    assert_eq!(of_run(&run), of_script(&script(&data, "tid,time,addr")));
    let stores = run.accesses().iter().filter(|access| access.kind == AccessKind::Store).count();
    assert_eq!((run.accesses().len(), stores), (85 + 75, 75));
    assert!(run.reason("accesses").contains("the 85 samples"), "{}", run.reason("accesses"));
    let tids: std::collections::HashSet<u32> = run.accesses().iter().map(|access| access.tid).collect();
    assert_eq!(tids.len(), 3);
    assert!(run.threads().iter().all(|thread| thread.comm == "program"), "{:?}", run.threads());
    let program = folder.path().join("program").display().to_string();
    assert_eq!(run.header.target.exe, program);
    for access in run.accesses() {
        assert_eq!(run.region(access), program);
        assert!(run.code(access).starts_with("program+0x1"), "{}", run.code(access));
        assert_eq!(access.weight, 1);
    }
    assert!(run.header.host.kernel.starts_with(|c: char| c.is_ascii_digit()));
}

#[test]
fn a_recording_that_lacks_nothing_says_only_who_made_it() {
    let folder = or_skip!(record(&["w"], &["-s"]));
    let run = import(&folder.path().join("perf.data"));
    let accesses = run.epilogue.collectors.iter().find(|report| report.name == "accesses").unwrap();
    assert_eq!(accesses.status, Status::Ran, "{accesses:?}");
    let reason = accesses.reason.as_deref().unwrap();
    assert!(reason.starts_with("recorded by `") && reason.contains("perf record -q -d -c 1"), "{reason}");
    assert_eq!(run.epilogue.accesses.unwrap().null_reason, None);
}

#[test]
fn the_text_of_a_file_is_the_file() {
    let folder = or_skip!(record(&["w"], &["-s", "--sample-cpu", "-W", "--phys-data", "--data-page-size"]));
    let data = folder.path().join("perf.data");
    let file = import(&data);
    let text = folder.path().join("script.txt");
    for fields in [
        "comm,pid,tid,cpu,time,period,event,addr,ip,sym,symoff,dso",
        "comm,tid,time,event,addr,ip",
        "pid,tid,time,addr",
        "comm,pid,tid,cpu,time,period,event,addr,data_src,weight,ip,sym,dso,phys_addr,data_page_size",
    ] {
        std::fs::write(&text, script(&data, fields)).unwrap();
        let run = import(&text);
        let places = |run: &Run| -> Vec<_> {
            run.accesses().iter().map(|access| (access.at_ns, access.address, access.tid)).collect()
        };
        assert_eq!(places(&run), places(&file), "{fields}");
        if fields.contains("phys") {
            let precise = |run: &Run| -> Vec<_> {
                run.accesses().iter().map(|access| access.precise.clone()).collect()
            };
            assert_eq!(precise(&run), precise(&file));
            assert_eq!(run.accesses()[0].cpu, file.accesses()[0].cpu);
        }
    }
    std::fs::write(&text, script(&data, "comm,pid,tid,time,event,ip,sym")).unwrap();
    assert!(refusal(&text).contains("has an address"));
}

#[test]
fn compressed_files_are_refused_with_the_way_round() {
    let folder = or_skip!(record(&["w"], &["-z"]));
    let text = refusal(&folder.path().join("perf.data"));
    assert!(text.contains("compressed") && text.contains("perf script"), "{text}");
}

#[test]
fn a_pipe_holds_what_a_file_does() {
    let folder = or_skip!(record(&["w"], &[]));
    let (data, pipe) = (folder.path().join("perf.data"), folder.path().join("pipe.data"));
    let args = ["inject", "-i", &data.display().to_string(), "-o", "-"].map(str::to_owned);
    let piped = Command::new("perf").args(&args).output().unwrap();
    if !piped.status.success() || !piped.stdout.starts_with(b"PERFILE2") {
        return println!("SKIP: this perf makes no stream of a file");
    }
    std::fs::write(&pipe, piped.stdout).unwrap();
    assert_eq!(of_run(&import(&pipe)), of_run(&import(&data)));
}
