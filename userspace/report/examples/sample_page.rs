//! Prints the page of a hand-made run, to look at while working on it:
//! `cargo run -p waytrace-report --example sample_page -- exact > target/page.html`
//! (`exact`, `budgeted`, `huge`, `hostile` or `empty`).

#[allow(dead_code)]
#[path = "../tests/suite/fixture.rs"]
mod fixture;

fn main() {
    let detail = match std::env::args().nth(1).as_deref() {
        Some("budgeted") => fixture::run(300, false),
        Some("huge") => fixture::run(100_000, true),
        Some("hostile") => fixture::hostile(),
        Some("empty") => fixture::empty(),
        _ => fixture::run(300, true),
    };
    let page = waytrace_report::html::page(&detail, fixture::traced(&detail));
    print!("{}", page.unwrap_or_else(|error| error.to_string()));
}
