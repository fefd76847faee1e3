//! First process of the machine that `cargo xtask test --vm` boots: puts the shipped counting code on its emulated PMU, says on
//! the console what came out, and switches the machine off. As `guest spin N` it is the workload.
//!
//! Every count has a known truth: the loop of [`spin`] is two instructions, and QEMU's virtual clock makes each instruction
//! one cycle.

mod checks;
mod spin;
mod system;

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    match (args.next().as_deref(), args.next().map(|count| count.parse())) {
        (Some("spin"), Some(Ok(iterations))) => spin::spin(iterations),
        _ if std::process::id() == 1 => {
            if let Err(error) = system::prepare() {
                println!("preparing: {error:#}");
            }
            checks::run();
            system::power_off();
        }
        _ => {
            eprintln!(
                "usage: guest spin ITERATIONS; without arguments only as the first process of a machine"
            );
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
