//! Prints the page of a hand-made run, to look at while working on it:
//! `cargo run -p waytrace-report --example sample_page -- accesses > target/page.html`
//! (`exact`, `accesses`, `million`, `budgeted`, `huge`, `hostile`, `empty`, or `plot` for the plot of the accesses).

#[allow(dead_code)]
#[path = "../tests/suite/accesses.rs"]
mod accesses;
#[allow(dead_code)]
#[path = "../tests/suite/fixture.rs"]
mod fixture;

use waytrace_model::detail::RunDetail;
use waytrace_report::View;

fn main() {
    let argument = std::env::args().nth(1);
    let detail = match argument.as_deref() {
        Some("budgeted") => fixture::run(300, false),
        Some("huge") => fixture::run(100_000, true),
        Some("hostile") => accesses::hostile(fixture::hostile()),
        Some("empty") => fixture::empty(),
        Some("accesses" | "million" | "plot") => accesses::with_accesses(fixture::run(300, true)),
        _ => fixture::run(300, true),
    };
    if argument.as_deref() == Some("plot") {
        plot(&detail);
        return;
    }
    let end_ns = detail.report.run.duration_ns;
    let count = if argument.as_deref() == Some("million") { Some(1_000_000) } else { None };
    let many = count.into_iter().flat_map(|count| accesses::samples(count, end_ns));
    let few = count.is_none().then(|| accesses::accesses(&detail)).into_iter().flatten();
    let traced = fixture::traced(&detail);
    let page = waytrace_report::html::page(&detail, traced, many.chain(few), &View::default());
    print!("{}", page.unwrap_or_else(|error| error.to_string()));
}

fn plot(detail: &RunDetail) {
    let mut drawing = Vec::new();
    let (traced, samples) = (fixture::traced(detail), accesses::accesses(detail));
    match waytrace_report::plot::write(detail, traced, samples, &View::default(), &mut drawing) {
        Ok(()) => print!("{}", String::from_utf8_lossy(&drawing)),
        Err(error) => eprintln!("{error}"),
    }
}
