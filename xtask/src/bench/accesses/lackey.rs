//! Runs a program under valgrind for a few rounds, and takes its trace.

use super::super::context::Context;
use super::super::peers;
use super::places::{Anchors, Places};
use super::targets::{self, Program};
use super::trace::Trace;
use super::truth::Truth;
use anyhow::{Context as _, Result, bail, ensure};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};
use std::thread;

/// A full trace, and what its addresses belong to.
pub struct Traced {
    pub trace: Trace,
    pub places: Places,
}

/// Killed when dropped: after its work it waits for a line that never comes.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended; either way nothing is left behind.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Traces `rounds` of a program that says when it begins and ends its work.
pub fn run(context: &Context, program: Program, rounds: u64) -> Result<Traced> {
    if let Some(why) = peers::missing("valgrind") {
        bail!(why);
    }
    let mut command = Command::new("setarch");
    command.args(["-R", "valgrind", "--tool=lackey", "--trace-mem=yes", "--trace-syscalls=yes"]);
    command.args(targets::words(context, program, 0, Some(rounds))?).envs(targets::environment(program));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut running = Running(command.spawn().context("cannot start valgrind")?);
    let (Some(stderr), Some(stdout)) = (running.0.stderr.take(), running.0.stdout.take()) else {
        bail!("valgrind has no output");
    };
    if let (Program::Known(..), Some(stdin)) = (program, running.0.stdin.as_mut()) {
        stdin.write_all(b"go\n").context("the program does not read")?;
    }
    let mut stream = BufReader::with_capacity(1 << 20, stderr);
    let trace = Trace::read(&mut stream)?;
    ensure!(trace.is_complete, "{program:?} ended under valgrind before its work was done");
    let maps = targets::maps(running.0.id())?;
    // It goes on until it reads, and would block if nobody took its output.
    thread::spawn(move || io::copy(&mut stream, &mut io::sink()));
    let mut truth = None;
    if let Program::Known(..) = program {
        let mut lines = BufReader::new(stdout).lines().map_while(Result::ok);
        let line = lines.find(|line| line.starts_with("truth ")).context("the program told no truth")?;
        truth = Some(Truth::parse(&line)?);
    }
    let places =
        Places::new(&maps, Anchors { heap: trace.heap_start, stack: trace.stack_start }, truth.as_ref());
    Ok(Traced { trace, places })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;

    #[test]
    fn a_traced_program_accesses_what_it_says() {
        if let Some(why) = peers::missing("valgrind") {
            return eprintln!("SKIP: {why}");
        }
        let folder = TempDir::new().unwrap();
        let context = Context::for_tests(folder.path());
        let program = Program::Known("access_arrays.c", "two_arrays");
        let Traced { trace, places } = run(&context, program, 2).unwrap();
        let of = |name: &str| {
            let lines = trace.by_address().filter(|(address, _)| places.is_in(*address, name));
            lines.fold((0, 0), |sum, (_, counts)| (sum.0 + counts.loads, sum.1 + counts.stores))
        };
        assert_eq!((of("read"), of("written")), ((2 * 3 * 32 * 1024, 0), (0, 2 * 32 * 1024)));
        assert!(trace.heap_start.is_some());
    }
}
