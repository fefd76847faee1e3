//! What a search has found, line by line in a file that survives a machine that does not: each candidate is written down
//! before it is counted, so one without an end was the last thing that machine did.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use serde::{Deserialize, Serialize};
use waytrace_hw::search::{Candidate, Journal, Verdict};

/// What the file is about; its first line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// CPU, as perf names it.
    pub cpu: String,
    /// Name of the PMU.
    pub pmu: String,
}

#[derive(Serialize, Deserialize)]
struct Line {
    #[serde(flatten)]
    candidate: Candidate,
    /// Absent: it is about to be counted.
    #[serde(flatten)]
    verdict: Option<Verdict>,
}

/// The file, open for more.
pub struct Notes {
    path: PathBuf,
    file: File,
    /// What became of the candidates so far.
    pub ended: BTreeMap<Candidate, Verdict>,
}

impl Notes {
    /// Opens the file, or begins it. A candidate that was begun and has no end is suspect from now on.
    ///
    /// # Errors
    /// It cannot be read or written, or is about something else.
    pub fn open(path: &Path, subject: &Subject) -> anyhow::Result<Self> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        }
        let text = match std::fs::read_to_string(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            text => text.with_context(|| format!("cannot read {}", path.display()))?,
        };
        let whole = text.len() - half_line(&text).map_or(0, str::len);
        let ended = parse(text.get(..whole).unwrap_or_default(), subject)
            .with_context(|| path.display().to_string())?;
        let file = OpenOptions::new().create(true).append(true).open(path);
        let file = file.with_context(|| format!("cannot write {}", path.display()))?;
        let mut notes = Self { path: path.to_owned(), file, ended };
        if text.is_empty() {
            notes.add(&serde_json::to_string(subject)?)?;
        } else if let Some(half) = half_line(&text) {
            // The machine stopped in the middle of it.
            let whole = (text.len() - half.len()) as u64;
            notes.file.set_len(whole).with_context(|| format!("cannot write {}", path.display()))?;
        }
        Ok(notes)
    }

    /// On the disk, and not in a cache that a dead machine forgets.
    fn add(&mut self, line: &str) -> anyhow::Result<()> {
        let written =
            self.file.write_all(format!("{line}\n").as_bytes()).and_then(|()| self.file.sync_data());
        written.with_context(|| format!("cannot write {}", self.path.display()))
    }
}

impl Journal for Notes {
    type Error = anyhow::Error;

    fn begin(&mut self, candidate: Candidate) -> anyhow::Result<()> {
        self.add(&serde_json::to_string(&candidate)?)
    }

    fn end(&mut self, candidate: Candidate, verdict: &Verdict) -> anyhow::Result<()> {
        let line = Line { candidate, verdict: Some(verdict.clone()) };
        self.add(&serde_json::to_string(&line)?)?;
        self.ended.insert(candidate, verdict.clone());
        Ok(())
    }
}

/// What follows the last whole line; the first line is whole or the file is none of ours.
fn half_line(text: &str) -> Option<&str> {
    text.rsplit_once('\n').map(|(_, half)| half).filter(|half| !half.is_empty())
}

fn parse(text: &str, subject: &Subject) -> anyhow::Result<BTreeMap<Candidate, Verdict>> {
    let mut ended = BTreeMap::new();
    let mut lines = (1..).zip(text.lines());
    let Some((_, first)) = lines.next() else { return Ok(ended) };
    let Ok(of) = serde_json::from_str::<Subject>(first) else {
        bail!("it is no journal of a search; name another file with --journal");
    };
    ensure!(of == *subject, "it is of {} of {}; name another file with --journal", of.pmu, of.cpu);
    for (number, line) in lines {
        let mend = || format!("line {number}; remove it, or name another file with --journal");
        let line: Line = serde_json::from_str(line).with_context(mend)?;
        let unended =
            || Verdict::Suspect { sign: "the machine or waytrace ended while it was counted".to_owned() };
        ended.insert(line.candidate, line.verdict.unwrap_or_else(unended));
    }
    Ok(ended)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject() -> Subject {
        Subject { cpu: "GenuineIntel-6-55-4".to_owned(), pmu: "cpu".to_owned() }
    }

    fn at(code: u64, umask: u64) -> Candidate {
        Candidate { code, umask }
    }

    #[test]
    fn what_was_being_counted_when_the_machine_died_is_suspect() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("folder/search.jsonl");
        let verdicts = [
            Verdict::Counts { value: 7 },
            Verdict::Silent,
            Verdict::Refused { reason: "Invalid".to_owned() },
        ];
        let mut notes = Notes::open(&path, &subject()).unwrap();
        for (umask, verdict) in (0..).zip(&verdicts) {
            notes.begin(at(1, umask)).unwrap();
            notes.end(at(1, umask), verdict).unwrap();
        }
        notes.begin(at(2, 0)).unwrap();
        drop(notes);
        let notes = Notes::open(&path, &subject()).unwrap();
        assert_eq!(notes.ended.len(), 4);
        for (umask, verdict) in (0..).zip(verdicts) {
            assert_eq!(notes.ended[&at(1, umask)], verdict);
        }
        assert!(matches!(notes.ended[&at(2, 0)], Verdict::Suspect { .. }));
    }

    #[test]
    fn half_a_last_line_is_none() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("search.jsonl");
        drop(Notes::open(&path, &subject()).unwrap());
        let head = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, format!("{head}{{\"code\":1,\"um")).unwrap();
        let mut notes = Notes::open(&path, &subject()).unwrap();
        assert!(notes.ended.is_empty());
        notes.end(at(3, 4), &Verdict::Silent).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text, format!("{head}{{\"code\":3,\"umask\":4,\"verdict\":\"silent\"}}\n"));
        assert_eq!(Notes::open(&path, &subject()).unwrap().ended.len(), 1);
    }

    #[test]
    fn another_cpus_file_is_refused() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("search.jsonl");
        drop(Notes::open(&path, &subject()).unwrap());
        let other = Subject { pmu: "uncore_imc_0".to_owned(), ..subject() };
        let error = format!("{:#}", Notes::open(&path, &other).err().unwrap());
        assert!(error.contains("it is of cpu of GenuineIntel-6-55-4; name another file"), "{error}");
        std::fs::write(&path, "something else\n").unwrap();
        let error = format!("{:#}", Notes::open(&path, &subject()).err().unwrap());
        assert!(error.contains("no journal of a search"), "{error}");
    }
}
