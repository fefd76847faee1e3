//! A target of known behaviour: strided passes over an array, and a small request server that allocates.
//!
//! Prints `ready` when its threads stand, then works, then prints what it did as one line of JSON: counts and bytes per
//! allocating function. It knows nothing of whoever watches it.

mod block;
mod options;
mod random;
mod server;
mod signals;
mod truth;
mod worker;

use std::io::{self, BufRead, Write};
use std::sync::{Arc, Barrier};
use std::thread;

use clap::Parser;

use options::Options;
use truth::Truth;

fn main() -> io::Result<()> {
    let options = Options::parse();
    signals::stop_on_termination()?;
    let start = Arc::new(Barrier::new(options.threads + 1));
    let handles: Vec<_> = (0..options.threads)
        .map(|index| {
            let start = Arc::clone(&start);
            thread::Builder::new().name(format!("worker-{index}")).spawn(move || {
                start.wait();
                worker::run(&options, index as u64 + 1)
            })
        })
        .collect::<io::Result<_>>()?;
    say(&format!("ready {}", std::process::id()))?;
    if options.wait {
        io::stdin().lock().skip_until(b'\n')?;
    }
    start.wait();
    let mut total = Truth::default();
    for handle in handles {
        total.add(&handle.join().map_err(|_| io::Error::other("a worker panicked"))?);
    }
    say(&serde_json::to_string(&total)?)
}

fn say(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}
