//! `simhost`: mounts a simulated host to try things on by hand. It prints `ready` and serves until it gets end-of-file or
//! a line on standard input. Killed, it leaves a dead mount, which `umount` removes.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Parser;
use waytrace_simhost::fs::mount::Mounted;
use waytrace_simhost::host::Host;
use waytrace_simhost::hosts;

mod arguments;

/// Mounts a simulated host with cache allocation.
#[derive(Parser)]
struct Args {
    /// The host.
    #[arg(long, default_value = "twelve", value_parser = hosts::NAMES)]
    host: String,
    /// Where: an empty directory.
    #[arg(long)]
    mount: PathBuf,
    /// A task: a program, its CPU, and its process where threads are to share one. `loop:1MiB@0`, `stream@1=1000`.
    #[arg(long = "task", value_name = "PROGRAM@CPU[=PID]")]
    tasks: Vec<String>,
    /// How fast simulated time passes.
    #[arg(long, default_value_t = 1.0)]
    factor: f64,
    /// Decides everything random.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let spec = hosts::named(&args.host).with_context(|| format!("no host {}", args.host))?;
    let mut host = Host::new(&spec, args.seed);
    for task in arguments::tasks(&args.tasks, spec.cpus())? {
        println!("task {} of process {} on CPU {}", task.tid, task.tgid, task.cpu);
        host.start(task);
    }
    let mounted = Mounted::new(host, &args.mount, args.factor)?;
    println!("ready");
    std::io::stdin().read_line(&mut String::new())?;
    drop(mounted);
    Ok(())
}
