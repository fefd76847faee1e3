//! Whether `--exact` sees every call: the second half of `exact`.

use super::context::Context;
use super::figure::{Asked, Figure};
use super::pairs::{Load, Pairs};
use super::profile::Profile;
use anyhow::Result;

/// The target's own counts against waytrace's, at 200 k pairs per second, from before its first call to its last.
pub fn figures(context: &Context, detail: &str) -> Result<Vec<Figure>> {
    let target = Pairs::start(context, Load { pairs_per_s: 200_000, ..Load::default() }, &[], None)?;
    let profile = Profile::attach(
        context,
        target.pid(),
        &["--exact", "--detail", detail, "--collect", "allocations,counters"],
    )?;
    let start = target.read()?;
    target.run()?;
    std::thread::sleep(context.seconds(30, 10));
    target.pause()?;
    let seen = start.to(&target.read()?);
    let report = profile.finish()?;
    target.quit()?;
    let title = |what: &str| format!("200 k pairs/s, {detail}: {what}");
    let off = |what: &str, pointer: &str, truth: f64| -> Result<Figure> {
        let difference = report.expect(pointer)? - truth;
        Ok(Figure::new(title(what), "", [difference]).asked(Asked::Exactly(0.0)))
    };
    Ok(vec![
        Figure::new(title("pairs per second reached"), "k/s", [1e6 / seen.wall_ns_per_pair]),
        off("alloc_count - truth", "/allocations/alloc_count", seen.pairs)?,
        off("alloc_bytes - truth", "/allocations/alloc_bytes", seen.bytes)?,
        off("free_count - truth", "/allocations/free_count", seen.pairs)?,
        Figure::new(title("lost"), "", [report.lost()]).asked(Asked::Exactly(0.0)),
    ])
}
