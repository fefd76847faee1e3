//! `waytrace doctor`: what works on this machine, what does not, why, and how to mend it.
//!
//! Only asks and prints; [`waytrace_hw::capabilities`] examines and concludes. Changes nothing but with `--fix`, which
//! [`fix`] does and takes back.

mod fix;
mod machine;
mod steps;

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use serde::Serialize;
use waytrace_hw::Root;
use waytrace_hw::capabilities::{Capabilities, PROFILE, State};
use waytrace_trace::kernel_part_present;

use super::{Outcome, output};

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit code: 0 if `waytrace profile` can run here, 2 if not; with --fix and --restore 0 if all was done, 2 if not.

Examples:
  waytrace doctor                           what works here, and what does not
  waytrace doctor --fix                     prepare the machine for measuring: all there is to mend
  waytrace doctor --fix governor turbo      only that
  waytrace doctor --restore                 all as before, also what a killed waytrace has left changed")]
pub struct Args {
    /// Print everything as one JSON object.
    #[arg(long)]
    json: bool,
    /// Prepare the machine for measuring, each old value written down: all of it, or only what is named.
    #[arg(long, value_name = "WHAT", num_args = 0.., conflicts_with = "restore")]
    fix: Option<Vec<steps::What>>,
    /// Take back what --fix has changed, and what a waytrace that was killed has left changed.
    #[arg(long)]
    restore: bool,
    /// Directory that stands in for /.
    #[arg(long, value_name = "DIR", hide = true, default_value = "/")]
    host_root: PathBuf,
}

/// Version of the JSON object; fields are only ever added within one.
const SCHEMA_VERSION: u32 = 1;
/// Widest line of text.
const WIDTH: usize = 110;
/// Width of the widest state.
const STATE_WIDTH: usize = 11;

#[derive(Serialize)]
struct Report<'a> {
    schema_version: u32,
    profile_can_run: bool,
    kernel_part_present: bool,
    #[serde(flatten)]
    capabilities: &'a Capabilities,
    /// Who knows events of which CPUs.
    event_sources: Vec<waytrace_hw::catalogue::Known>,
}

/// Runs the command.
pub fn run(args: &Args) -> Outcome {
    let root = Root::new(args.host_root.clone());
    if args.restore {
        return fix::restore(&root, args.json);
    }
    if let Some(named) = &args.fix {
        return fix::fix(&root, named, args.json);
    }
    let mut capabilities = Capabilities::gather(root);
    if !kernel_part_present() {
        without_kernel_part(&mut capabilities);
    }
    let blocked = capabilities.feature(PROFILE).filter(|profile| profile.state == State::Unavailable);
    if args.json {
        output::print_json(&Report {
            schema_version: SCHEMA_VERSION,
            profile_can_run: blocked.is_none(),
            kernel_part_present: kernel_part_present(),
            capabilities: &capabilities,
            event_sources: super::events::known(),
        })?;
    } else {
        output::print(&render(&capabilities, colours_wanted()))?;
    }
    let Some(profile) = blocked else { return Ok(ExitCode::SUCCESS) };
    let why = [profile.reason.as_deref(), profile.fix.as_deref()]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join("; ");
    eprintln!("waytrace: profile cannot run here: {why}");
    Ok(ExitCode::from(2))
}

fn colours_wanted() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

fn without_kernel_part(capabilities: &mut Capabilities) {
    for feature in capabilities.features.iter_mut().filter(|feature| feature.name == PROFILE) {
        feature.state = State::Unavailable;
        feature.reason = Some("this binary was built without its kernel part".to_owned());
        feature.fix = Some("`cargo xtask setup`, then build again".to_owned());
    }
}

fn render(capabilities: &Capabilities, colours: bool) -> String {
    let mut out = String::from("Machine\n");
    for (name, value) in machine::rows(capabilities, kernel_part_present()) {
        row(&mut out, &format!("  {name:<14}"), 16, &value);
    }
    out.push_str("\nFeatures\n");
    let width = capabilities.features.iter().map(|feature| feature.name.len()).max().unwrap_or(0);
    let indent = width + STATE_WIDTH + 6;
    for feature in &capabilities.features {
        let state = coloured(feature.state, colours);
        let reason = feature.reason.as_deref().unwrap_or_default();
        row(&mut out, &format!("  {:<width$}  {state}  ", feature.name), indent, reason);
        if let Some(fix) = &feature.fix {
            row(&mut out, "", indent, &format!("fix: {fix}"));
        }
    }
    out
}

/// The state, padded to [`STATE_WIDTH`] and coloured.
fn coloured(state: State, colours: bool) -> String {
    let text = format!("{:<STATE_WIDTH$}", state.as_str());
    let colour = match state {
        State::Works => 32,
        State::Degraded => 33,
        State::Unavailable => 31,
    };
    if colours { format!("\x1b[{colour}m{text}\x1b[0m") } else { text }
}

/// One row: a head that takes up `indent` columns, or blanks, and words wrapped to the right of it.
fn row(out: &mut String, head: &str, indent: usize, text: &str) {
    let mut line = if head.is_empty() { " ".repeat(indent) } else { head.to_owned() };
    let mut column = indent;
    for word in text.split_whitespace() {
        let width = word.chars().count();
        if column > indent && column + 1 + width > WIDTH {
            out.push_str(line.trim_end());
            out.push('\n');
            line = " ".repeat(indent);
            column = indent;
        }
        let gap = usize::from(column > indent);
        line.push_str(&" ".repeat(gap));
        line.push_str(word);
        column += gap + width;
    }
    out.push_str(line.trim_end());
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_wrap_to_the_right_of_their_head() {
        let mut out = String::new();
        row(&mut out, "  head  ", 8, &"word ".repeat(40));
        let lines: Vec<&str> = out.lines().collect();
        assert!(lines.len() == 2 && lines.iter().all(|line| line.len() <= WIDTH), "{out}");
        assert!(lines[0].starts_with("  head  word") && lines[1].starts_with("        word"), "{out}");
        assert_eq!(out.matches("word").count(), 40);
        out.clear();
        row(&mut out, "  head  ", 8, "");
        assert_eq!(out, "  head\n");
    }

    #[test]
    fn every_feature_has_its_row_and_colour_changes_no_word() {
        let capabilities = Capabilities::gather(Root::default());
        let plain = render(&capabilities, false);
        for feature in &capabilities.features {
            let row = plain.lines().find(|line| line.trim_start().starts_with(feature.name));
            assert!(row.is_some_and(|row| row.contains(feature.state.as_str())), "{}", feature.name);
        }
        let mut coloured = render(&capabilities, true);
        for code in ["\x1b[31m", "\x1b[32m", "\x1b[33m", "\x1b[0m"] {
            coloured = coloured.replace(code, "");
        }
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(words(&coloured), words(&plain));
    }

    #[test]
    fn a_binary_without_its_kernel_part_cannot_profile() {
        let mut capabilities = Capabilities::gather(Root::default());
        without_kernel_part(&mut capabilities);
        let profile = capabilities.feature(PROFILE).unwrap();
        assert_eq!(profile.state, State::Unavailable);
        assert!(profile.fix.as_ref().unwrap().contains("cargo xtask setup"));
    }
}
