//! `doctor --fix`: prepares the machine for measuring, and `doctor --restore`: takes back all that waytrace has left changed.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::ValueEnum as _;
use serde::Serialize;
use waytrace_hw::Root;
use waytrace_hw::undo::{self, Journal, Pending};

use super::super::{Outcome as Exit, output};
use super::steps::{Outcome, What, step};

/// Of the journal that stays when the command has ended.
const PURPOSE: &str = "doctor";
const SCHEMA_VERSION: u32 = 1;
/// Longest wait for another that has a journal.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(10);
/// What was asked for could not be done.
const REFUSED: u8 = 2;

#[derive(Serialize)]
struct Fixed {
    what: What,
    outcome: Outcome,
    detail: String,
}

#[derive(Serialize)]
struct FixReport {
    schema_version: u32,
    steps: Vec<Fixed>,
}

#[derive(Serialize)]
struct Restored {
    purpose: String,
    pid: u32,
    command: String,
    restored: bool,
    done: Vec<String>,
    left: Vec<String>,
}

#[derive(Serialize)]
struct RestoreReport {
    schema_version: u32,
    restored: bool,
    journals: Vec<Restored>,
}

/// Changes what was named, or all there is.
pub fn fix(root: &Root, named: &[What], json: bool) -> Exit {
    let wanted = What::value_variants().iter().filter(|what| named.is_empty() || named.contains(what));
    let mut journal = Journal::keep(root, PURPOSE)?;
    let steps: Vec<Fixed> = wanted
        .map(|what| {
            let (outcome, detail) = step(root, &mut journal, *what);
            Fixed { what: *what, outcome, detail }
        })
        .collect();
    if journal.undos().is_empty() {
        // A journal of nothing need not stay.
        journal.undo();
    }
    let refused = |fixed: &&Fixed| match fixed.outcome {
        Outcome::Failed => true,
        // Asked for by name it is an error, else it is skipped.
        Outcome::NotHere => !named.is_empty(),
        Outcome::Changed | Outcome::Already => false,
    };
    let refused: Vec<String> = steps.iter().filter(refused).map(told).collect();
    if json {
        output::print_json(&FixReport { schema_version: SCHEMA_VERSION, steps })?;
    } else {
        let lines: String = steps.iter().map(|fixed| told(fixed) + "\n").collect();
        output::print(&lines)?;
        if steps.iter().any(|fixed| fixed.outcome == Outcome::Changed) {
            output::say("`waytrace doctor --restore` takes it back");
        }
    }
    if refused.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    output::say(&format!("not mended: {}", refused.join("; ")));
    Ok(ExitCode::from(REFUSED))
}

fn told(fixed: &Fixed) -> String {
    let name = fixed.what.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned());
    let outcome = match fixed.outcome {
        Outcome::Changed => "changed",
        Outcome::Already => "already so",
        Outcome::NotHere => "not here",
        Outcome::Failed => "failed",
    };
    format!("{name}: {outcome}: {}", output::plain(&fixed.detail))
}

/// Takes back what is left of `--fix` and of whatever was killed.
pub fn restore(root: &Root, json: bool) -> Exit {
    let mut pending = undo::pending(root);
    // What was killed came later than the preparation, and may have changed the same.
    pending.sort_by_key(|left| left.kept);
    let journals = pending.into_iter().map(|left| one(root, left)).collect::<Vec<_>>();
    let restored = journals.iter().all(|journal| journal.restored);
    if json {
        output::print_json(&RestoreReport { schema_version: SCHEMA_VERSION, restored, journals })?;
    } else {
        output::print(&lines(&journals))?;
    }
    if restored {
        return Ok(ExitCode::SUCCESS);
    }
    output::say("not all was taken back; mend what is said and run it again");
    Ok(ExitCode::from(REFUSED))
}

fn one(root: &Root, left: Pending) -> Restored {
    let mut journal = Restored {
        purpose: left.purpose,
        pid: left.pid,
        command: left.command,
        restored: false,
        done: Vec::new(),
        left: Vec::new(),
    };
    match patiently(root, &journal.purpose) {
        Ok(undo::Outcome::Undone(undone)) => {
            (journal.restored, journal.done, journal.left) = (undone.restored, undone.done, undone.left);
        }
        Ok(undo::Outcome::Gone) => journal.restored = true,
        Ok(undo::Outcome::Busy) => journal.left.push(format!("{} is in use just now", left.path.display())),
        Err(error) => journal.left.push(error.to_string()),
    }
    journal
}

/// Whoever has the journal just now is done soon: it takes it back, or is dying.
fn patiently(root: &Root, purpose: &str) -> Result<undo::Outcome, undo::UndoError> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match undo::restore(root, purpose)? {
            undo::Outcome::Busy if Instant::now() < deadline => std::thread::sleep(PAUSE),
            outcome => return Ok(outcome),
        }
    }
}

fn lines(journals: &[Restored]) -> String {
    if journals.is_empty() {
        return "nothing is left changed\n".to_owned();
    }
    let mut text = String::new();
    for journal in journals {
        let command = output::plain(&journal.command);
        text += &format!("{} of process {} (`{command}`)\n", journal.purpose, journal.pid);
        for line in &journal.done {
            text += &format!("  {}\n", output::plain(line));
        }
        for line in &journal.left {
            text += &format!("  left: {}\n", output::plain(line));
        }
        if journal.restored && journal.done.is_empty() && journal.left.is_empty() {
            text += "  nothing was to be done\n";
        }
    }
    text
}
