//! Programs others wrote, as the distribution ships them: stacks must reach their own code, and they must go on.
//!
//! There is no truth to be had of them; redis's own counters say whether it answered.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use tempfile::TempDir;
use waytrace_model::report::RunReport;

use crate::harness::live::{self, Profile};
use crate::harness::skip;
use crate::or_skip;

/// A program that is killed and waited for when dropped.
struct Guard(Child);

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn quiet(command: &mut Command) -> Guard {
    Guard(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
}

/// Nine stacks in ten reach code of the program's executable.
fn assert_reaches_own_code(report: &RunReport) {
    let allocations = report.allocations.as_ref().expect("an allocator was found");
    let stacks = allocations.stacks;
    assert!(allocations.alloc_count.is_some_and(|count| count > 1000.0), "{:?}", allocations.alloc_count);
    assert!(stacks.sampled_count > 0, "{stacks:?}");
    assert!(stacks.own_code_count * 10 >= stacks.sampled_count * 9, "{stacks:?}");
}

fn profiled(pid: u32, args: &[&str]) -> RunReport {
    let pid = pid.to_string();
    let mut all = vec!["--pid", &pid, "--duration", "4s"];
    all.extend(args);
    let finished = Profile::start(&all).running.finish();
    assert_eq!(finished.code, 0, "{finished:#?}");
    finished.report()
}

/// A server on a socket in `folder`, that answers.
fn redis(folder: &Path) -> Result<(Guard, String), String> {
    skip::program("redis-server", "redis-server")?;
    skip::program("redis-benchmark", "redis-tools")?;
    let socket = folder.join("redis.sock").to_str().unwrap().to_owned();
    let mut command = Command::new("redis-server");
    command.args(["--port", "0", "--save", "", "--unixsocket", &socket]).current_dir(folder);
    let server = quiet(&mut command);
    while redis_says(&socket, &["ping"]) != "PONG" {
        sleep(Duration::from_millis(20));
    }
    Ok((server, socket))
}

fn redis_says(socket: &str, command: &[&str]) -> String {
    let output = Command::new("redis-cli").args(["-s", socket]).args(command).output().unwrap();
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn redis_under_load(args: &[&str]) {
    let _turn = or_skip!(live::turn());
    let folder = TempDir::new().unwrap();
    let (server, socket) = or_skip!(redis(folder.path()));
    let mut load = Command::new("redis-benchmark");
    load.args(["-s", &socket, "-t", "set,lpush,sadd", "-r", "100000", "-d", "200", "-n", "100000000", "-q"]);
    let load = quiet(&mut load);
    let report = profiled(server.0.id(), args);
    drop(load);
    assert_reaches_own_code(&report);
    assert_eq!(redis_says(&socket, &["ping"]), "PONG");
}

#[test]
fn redis_in_exact_mode() {
    redis_under_load(&["--exact"]);
}

#[test]
fn redis_within_the_budget() {
    redis_under_load(&[]);
}

/// Blocks above 512 bytes, which the interpreter's own pools leave to malloc.
const PYTHON: &str = "
while True:
    blocks = [bytes(1000 + i) for i in range(1000)]
    blocks.reverse()
";

#[test]
fn python_in_exact_mode() {
    let _turn = or_skip!(live::turn());
    or_skip!(skip::program("python3", "python3"));
    let mut python = quiet(Command::new("python3").args(["-c", PYTHON]));
    sleep(Duration::from_millis(500)); // past its imports
    assert_reaches_own_code(&profiled(python.0.id(), &["--exact"]));
    assert!(python.0.try_wait().unwrap().is_none(), "python did not survive");
}
