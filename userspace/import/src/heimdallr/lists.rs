//! `modes.lst` and `runs.lst` beside the runs, and the names of their directories.

use std::path::Path;

use super::text;
use crate::Error;

/// What the lists say of one run.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Listed {
    pub dry: Option<bool>,
    /// Command line of the workload.
    pub command: Option<String>,
}

/// `<program>.<mode>.<run>`; the program may hold dots.
pub fn parts(name: &str) -> Option<(&str, &str, u32)> {
    let (rest, run) = name.rsplit_once('.')?;
    let (program, mode) = rest.rsplit_once('.')?;
    let is_word = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || c == '_');
    let run = run.parse().ok().filter(|_| run.bytes().all(|byte| byte.is_ascii_digit()))?;
    (is_word(mode) && !program.is_empty()).then_some((program, mode, run))
}

/// Reads both lists in `folder`.
pub fn read(folder: &Path, name: &str, mode: &str) -> Result<Listed, Error> {
    let modes = text(&folder.join("modes.lst"))?.unwrap_or_default();
    let runs = text(&folder.join("runs.lst"))?.unwrap_or_default();
    Ok(Listed { dry: dry(&modes, mode), command: command(&runs, name) })
}

/// `mode hms mem cpu dry freq`.
fn dry(modes: &str, mode: &str) -> Option<bool> {
    let line = modes.lines().find(|line| line.split_whitespace().next() == Some(mode))?;
    line.split_whitespace().nth(4)?.parse::<i64>().ok().map(|dry| dry > 0)
}

/// `run command line`: the one whose directory is called `name`.
fn command(runs: &str, name: &str) -> Option<String> {
    let (program, _, run) = parts(name)?;
    let commands = runs.lines().filter_map(|line| line.trim().split_once(char::is_whitespace));
    let mut ours =
        commands.filter(|(number, _)| number.parse() == Ok(run)).map(|(_, command)| command.trim());
    ours.find(|command| directory_name(command) == program).map(str::to_owned)
}

/// What `runs.sh` makes of a command line: its program's name, a space and its arguments (without arguments itself again),
/// and of that letters, digits, `_` and `.`.
fn directory_name(command: &str) -> String {
    let (program, arguments) = command.split_once(' ').unwrap_or((command, command));
    let file = program.rsplit('/').next().unwrap_or(program);
    let kept = |c: &char| c.is_ascii_alphanumeric() || "_.".contains(*c);
    file.chars().chain(arguments.chars()).filter(kept).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_directories_lead_back_to_commands() {
        assert_eq!(parts("ft.A7.1loc_50.12"), Some(("ft.A7", "1loc_50", 12)));
        for name in ["ft.1loc_50", "ft.a-b.1", "ft.x.+1", ".x.1", "ft.x.", "x"] {
            assert_eq!(parts(name), None, "{name}");
        }
        let runs = "1 /npb/ft.A\n1 /npb/cg.A 7 -x\n2 /npb/ft.A\n";
        assert_eq!(command(runs, "cg.A7x.1loc_50.1").as_deref(), Some("/npb/cg.A 7 -x"));
        assert_eq!(command(runs, "ft.Anpbft.A.1loc_50.2").as_deref(), Some("/npb/ft.A"));
        assert_eq!(command(runs, "ft.Anpbft.A.1loc_50.3"), None);
    }

    #[test]
    fn a_mode_says_whether_it_is_dry() {
        let modes = "1loc_DR 0    1    1    1        0\n1loc_50 0    1    1    0     5000\nbad\n";
        assert_eq!(
            [dry(modes, "1loc_DR"), dry(modes, "1loc_50"), dry(modes, "bad")],
            [Some(true), Some(false), None]
        );
    }
}
