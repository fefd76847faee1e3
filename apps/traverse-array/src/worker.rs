//! One thread's work: every millisecond, passes over the array and the requests due by then.

use std::hint::black_box;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::options::Options;
use crate::server::Server;
use crate::signals;
use crate::truth::Truth;

const TICK: Duration = Duration::from_millis(1);

/// Works until the time is up, the requests are served or a signal comes; gives back the books.
pub fn run(options: &Options, seed: u64) -> Truth {
    let array = vec![1_u8; options.size];
    let mut server = Server::new(seed);
    let (mut passes_count, mut accesses_count, mut served) = (0, 0, 0);
    let start = Instant::now();
    while !signals::stopping() && !is_over(options, start.elapsed(), served) {
        for _ in 0..options.iters {
            accesses_count += traverse(&array, options.stride);
            passes_count += 1;
        }
        let due = due_requests(options, start.elapsed());
        while served < due {
            server.serve();
            served += 1;
        }
        sleep(TICK);
    }
    Truth { passes_count, accesses_count, ..server.into_truth() }
}

fn is_over(options: &Options, elapsed: Duration, served: u64) -> bool {
    let out_of_time = options.seconds > 0 && elapsed >= Duration::from_secs(options.seconds);
    out_of_time || options.requests.is_some_and(|limit| served >= limit)
}

/// Requests that should have been served `elapsed` after the start.
fn due_requests(options: &Options, elapsed: Duration) -> u64 {
    let due = (elapsed.as_secs_f64() * f64::from(options.alloc_rate)) as u64;
    due.min(options.requests.unwrap_or(u64::MAX))
}

/// Reads every `stride`th byte; gives back how many that were.
#[inline(never)]
fn traverse(array: &[u8], stride: usize) -> u64 {
    let ones = array.iter().step_by(stride).fold(0_u64, |sum, byte| sum + u64::from(*black_box(byte)));
    black_box(ones)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[test]
    fn a_pass_reads_every_stride() {
        assert_eq!(traverse(&vec![1; 65536], 64), 1024);
        assert_eq!(traverse(&[1; 100], 64), 2);
    }

    #[test]
    fn a_limit_of_requests_is_met_exactly() {
        let options =
            Options::parse_from(["app", "--requests", "5000", "--alloc-rate", "1000000", "--seconds", "60"]);
        let truth = run(&options, 3);
        assert_eq!(truth.requests_count, 5000);
        assert_eq!(truth.accesses_count, truth.passes_count * 1024);
    }
}
