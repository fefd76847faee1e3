//! Runs with known totals, rendered; what comes out is compared with those totals or with stored text.

mod accesses;
mod browser;
mod csv;
mod fixture;
mod html;
mod json;
mod perfetto;
mod plot;
mod pprof;
mod stacks;
mod summary;

/// What a writer function wrote, as text.
fn text(write: impl FnOnce(&mut Vec<u8>) -> Result<(), waytrace_report::Error>) -> String {
    let mut out = Vec::new();
    write(&mut out).expect("a Vec takes everything");
    String::from_utf8(out).expect("UTF-8")
}
