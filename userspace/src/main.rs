//! `waytrace`: attaches to a running process and explains its memory.

mod cli;

fn main() -> std::process::ExitCode {
    cli::main()
}
