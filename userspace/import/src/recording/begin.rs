//! The beginning of a run: its header, from what the first reading found.

use std::path::Path;
use std::time::UNIX_EPOCH;

use waytrace_model::counter::{EventInfo, Unit};
use waytrace_model::run::{Host, RunHeader, TargetInfo};

use super::clocks::Clocks;
use super::{Options, Recording, Source};
use crate::heimdallr::Directory;
use crate::item::Facts;
use crate::space::file_name;
use crate::survey::Survey;
use crate::{Error, windows};

/// What GNU time tells, by the names of perf's own events where it has one.
pub const TIMES: [(&str, Unit); 4] = [
    ("duration_time", Unit::Ns),
    ("user_time", Unit::Ns),
    ("system_time", Unit::Ns),
    ("max_rss", Unit::Bytes),
];

impl Recording {
    pub(super) fn new(
        source: Option<Source>,
        directory: Option<Directory>,
        options: &Options,
    ) -> Result<Self, Error> {
        let (facts, survey) = match &source {
            Some(source) => source.survey(&options.directions)?,
            None => (Facts::default(), Survey::default()),
        };
        let blocks = directory.as_ref().and_then(|directory| directory.blocks.as_ref());
        let clocks = Clocks::of(&facts, &survey, blocks, options.align_clocks);
        let times = directory.as_ref().and_then(|directory| directory.times);
        // One more, so that the last sample lies in the last window.
        let duration_ns = clocks.last_ns.saturating_add(1).max(times.map_or(0, |times| times.elapsed_ns));
        let target = target(&survey, directory.as_ref());
        let header = RunHeader {
            name: directory.as_ref().map(|directory| directory.name.clone()).unwrap_or_default(),
            started_at_unix_ns: written_unix_ns(source.as_ref().map(|source| source.path.as_path()))
                .saturating_sub(duration_ns),
            started_at_ns: clocks.samples_zero_ns,
            interval_ns: windows::interval_ns(duration_ns, options.interval_ns),
            command: options.command.clone(),
            host: Host { waytrace_version: env!("CARGO_PKG_VERSION").to_owned(), ..facts.host.clone() },
            target,
            budget_pct: None,
            phases: None,
        };
        let info = |(name, unit): (&str, Unit)| EventInfo { name: name.to_owned(), unit };
        let events = if times.is_some() { TIMES.map(info).to_vec() } else { Vec::new() };
        let directions = options.directions.clone();
        Ok(Self { source, directions, facts, survey, directory, clocks, header, events, duration_ns })
    }
}

/// The process with the most samples; without samples the one that allocated first.
fn target(survey: &Survey, directory: Option<&Directory>) -> TargetInfo {
    let (tgid, comm, exe) = survey.target();
    let main_tid =
        directory.and_then(|directory| directory.blocks.as_ref()).map_or(0, |blocks| blocks.main_tid);
    let cmdline = directory.and_then(|directory| directory.command.clone()).unwrap_or_else(|| exe.clone());
    let program = file_name(cmdline.split_whitespace().next().unwrap_or_default()).to_owned();
    TargetInfo {
        tgid: if tgid == 0 { main_tid } else { tgid },
        comm: if comm.is_empty() { program } else { comm },
        cmdline,
        exe,
        ..TargetInfo::default()
    }
}

/// When a file was last written, which is when recording ended; 0 where that is not known.
fn written_unix_ns(path: Option<&Path>) -> u64 {
    let written = path.and_then(|path| std::fs::metadata(path).ok()?.modified().ok());
    let since = written.and_then(|written| written.duration_since(UNIX_EPOCH).ok());
    since.and_then(|since| u64::try_from(since.as_nanos()).ok()).unwrap_or(0)
}
