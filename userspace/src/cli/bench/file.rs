//! The file of a series: TOML, with every key checked before anything else is.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use toml::{Table, Value};
use waytrace_model::bench::{Matrix, Mode, Workload};
use waytrace_model::spelling::nearest;
use waytrace_model::units::{parse_duration_ns, parse_percent};

const TOP: [&str; 6] = ["repeat", "warmup", "interleave", "seed", "workload", "mode"];
const WORKLOAD: [&str; 5] = ["name", "command", "cwd", "env", "timeout"];
const MODE: [&str; 16] = [
    "name",
    "profile",
    "optional",
    "collect",
    "events",
    "exact",
    "freq",
    "budget",
    "interval",
    "follow_forks",
    "cpus",
    "cpu_node",
    "memory_node",
    "memory_nodes",
    "memory_policy",
    "frequency",
];
/// Keys of a mode that say how waytrace attaches.
const PROFILE_ONLY: [&str; 7] = ["collect", "events", "exact", "freq", "budget", "interval", "follow_forks"];
const FREQUENCY: [&str; 2] = ["governor", "khz"];

/// Reads and checks a file, but not whether this machine can do what it asks for.
pub fn read(path: &Path) -> anyhow::Result<Matrix> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    parse(&text).with_context(|| path.display().to_string())
}

fn parse(text: &str) -> anyhow::Result<Matrix> {
    let table: Table = text.parse().map_err(|error| one_line(&error))?;
    check_keys(&table)?;
    let matrix: Matrix = toml::from_str(text).map_err(|error| one_line(&error))?;
    ensure!(matrix.repeat > 0, "`repeat` is at least 1");
    ensure!(!matrix.workloads.is_empty(), "there is no [[workload]]");
    ensure!(!matrix.modes.is_empty(), "there is no [[mode]]");
    check_names("workload", matrix.workloads.iter().map(|workload| &workload.name))?;
    check_names("mode", matrix.modes.iter().map(|mode| &mode.name))?;
    matrix.workloads.iter().try_for_each(check_workload)?;
    matrix.modes.iter().try_for_each(check_mode)?;
    Ok(matrix)
}

/// The parser's message with its line; what it draws beside the text does not fit on one.
pub fn one_line(error: &toml::de::Error) -> anyhow::Error {
    let text = error.to_string();
    let place = text.lines().next().filter(|line| line.starts_with("TOML parse error at "));
    let place = place.map(|line| format!("{}: ", line.trim_start_matches("TOML parse error at ")));
    anyhow::anyhow!("{}{}", place.unwrap_or_default(), error.message().replace('\n', ", "))
}

fn check_keys(table: &Table) -> anyhow::Result<()> {
    known(table, &TOP, "the file")?;
    for (key, keys) in [("workload", &WORKLOAD[..]), ("mode", &MODE[..])] {
        let entries = match table.get(key) {
            Some(Value::Array(entries)) => entries.as_slice(),
            Some(_) => bail!("`{key}` is a list of tables: write [[{key}]] above each"),
            None => &[],
        };
        for entry in entries.iter().filter_map(Value::as_table) {
            let name = entry.get("name").and_then(Value::as_str).unwrap_or("without a name");
            let place = format!("{key} `{name}`");
            known(entry, keys, &place)?;
            if let Some(frequency) = entry.get("frequency").and_then(Value::as_table) {
                known(frequency, &FREQUENCY, &format!("`frequency` of {place}"))?;
            }
            if key == "mode" && entry.get("profile").and_then(Value::as_bool) == Some(false) {
                let vain = PROFILE_ONLY.iter().find(|option| entry.contains_key(**option));
                if let Some(option) = vain {
                    bail!(
                        "{place} is dry (`profile = false`), so nothing heeds its `{option}`; remove one of them"
                    );
                }
            }
        }
    }
    Ok(())
}

/// That a table has no other keys than these.
///
/// # Errors
/// The first that is not known, with the nearest that is.
pub fn known(table: &Table, keys: &[&str], place: &str) -> anyhow::Result<()> {
    let Some(key) = table.keys().find(|key| !keys.contains(&key.as_str())) else { return Ok(()) };
    match nearest(key, keys.iter().copied()) {
        Some(nearest) => bail!("unknown key `{key}` in {place}; did you mean `{nearest}`?"),
        None => bail!("unknown key `{key}` in {place}; there are {}", keys.join(", ")),
    }
}

/// Names become part of run names, so they are plain and told apart.
fn check_names<'a>(kind: &str, names: impl Iterator<Item = &'a String>) -> anyhow::Result<()> {
    let mut seen = BTreeSet::new();
    for name in names {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "_+-".contains(c);
        ensure!(
            !name.is_empty() && name.chars().all(is_plain),
            "`{name}` cannot name a {kind}: letters, digits, `_`, `+` and `-` can"
        );
        ensure!(seen.insert(name), "two of the {kind}s are named `{name}`");
    }
    Ok(())
}

fn check_workload(workload: &Workload) -> anyhow::Result<()> {
    let place = || format!("workload `{}`", workload.name);
    ensure!(!workload.command.is_empty(), "{}: `command` is empty", place());
    let bad = |text: &String| text.contains('\0');
    ensure!(!workload.command.iter().any(bad), "{}: `command` contains a NUL", place());
    let variable = workload
        .env
        .iter()
        .find(|(name, value)| name.is_empty() || name.contains('=') || bad(name) || bad(value));
    if let Some((name, _)) = variable {
        bail!("{}: `{}` cannot be a variable", place(), name.escape_debug());
    }
    if let Some(timeout) = &workload.timeout {
        ensure!(parse_duration_ns(timeout).with_context(place)? > 0, "{}: `timeout` is 0", place());
    }
    Ok(())
}

fn check_mode(mode: &Mode) -> anyhow::Result<()> {
    let place = || format!("mode `{}`", mode.name);
    if let Some(budget) = &mode.collect.budget {
        parse_percent(budget).with_context(place)?;
        ensure!(!mode.collect.exact, "{}: `exact` heeds no `budget`; remove one of them", place());
    }
    if let Some(interval) = &mode.collect.interval {
        parse_duration_ns(interval).with_context(place)?;
    }
    let placement = &mode.placement;
    ensure!(
        placement.cpus.is_none() || placement.cpu_node.is_none(),
        "{}: `cpus` and `cpu_node` are two ways to say the same; remove one of them",
        place()
    );
    let policy = placement.memory_nodes.is_some() || placement.memory_policy.is_some();
    ensure!(
        placement.memory_node.is_none() || !policy,
        "{}: `memory_node` is short for `memory_policy = \"bind\"`; remove one of them",
        place()
    );
    ensure!(
        placement.memory_policy.is_none() || placement.memory_nodes.is_some(),
        "{}: `memory_policy` needs `memory_nodes`",
        place()
    );
    if let Some(frequency) = &placement.frequency {
        ensure!(
            frequency.governor.is_some() || frequency.khz.is_some(),
            "{}: `frequency` says neither `governor` nor `khz`",
            place()
        );
        let text = frequency.governor.as_deref().unwrap_or("x");
        ensure!(
            !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c)),
            "{}: `{text}` is no governor",
            place()
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use waytrace_model::bench::MemoryPolicy;

    use super::*;

    const GOOD: &str = "
        repeat = 3
        [[workload]]
        name = 'spin'
        command = ['sh', '-c', 'true']
        env = { A = 'b' }
        timeout = '30s'
        [[mode]]
        name = 'dry'
        profile = false
        [[mode]]
        name = 'far'
        freq = 300
        memory_policy = 'preferred'
        memory_nodes = '1'
        frequency = { khz = 2000000 }
    ";

    #[test]
    fn a_file_says_what_it_says() {
        let matrix = parse(GOOD).unwrap();
        assert_eq!((matrix.repeat, matrix.warmup, matrix.seed), (3, 1, None));
        assert_eq!(matrix.workloads[0].env["A"], "b");
        assert!(!matrix.modes[0].profile && matrix.modes[1].profile);
        let far = &matrix.modes[1];
        assert_eq!(
            (far.collect.freq, far.placement.memory_policy),
            (Some(300.0), Some(MemoryPolicy::Preferred))
        );
        assert_eq!(far.placement.frequency.as_ref().unwrap().khz, Some(2_000_000));
        let stored = serde_json::to_string(&matrix).unwrap();
        assert_eq!(serde_json::from_str::<Matrix>(&stored).unwrap(), matrix, "the store gives it back");
    }

    #[test]
    fn mistakes_name_the_place_and_the_mend() {
        let cases = [
            ("repeat = 3", "repaet = 3", "unknown key `repaet` in the file; did you mean `repeat`?"),
            ("timeout", "timout", "unknown key `timout` in workload `spin`; did you mean `timeout`?"),
            ("memory_nodes", "memory_knodes", "in mode `far`; did you mean `memory_nodes`?"),
            ("khz", "mhz", "in `frequency` of mode `far`; did you mean `khz`?"),
            ("freq = 300", "zzzzzzzzzz = 300", "there are name, profile"),
            ("repeat = 3", "repeat = 0", "at least 1"),
            ("repeat = 3", "repeat = 'x'", "line 2"),
            ("repeat = 3", "repeat = = 3", "line 2"),
            ("'30s'", "'soon'", "`soon` is not a duration"),
            ("['sh', '-c', 'true']", "[]", "`command` is empty"),
            ("'far'", "'dry'", "two of the modes are named `dry`"),
            ("'far'", "'fa.r'", "`fa.r` cannot name a mode"),
            ("memory_nodes = '1'", "", "needs `memory_nodes`"),
            ("memory_nodes = '1'", "memory_node = 1", "remove one of them"),
            ("'preferred'", "'nearest'", "nearest"),
            ("profile = false", "profile = false\nexact = true", "nothing heeds its `exact`"),
            ("[[workload]]", "[workload]", "write [[workload]]"),
        ];
        for (from, to, expected) in cases {
            let text = GOOD.replacen(from, to, 1);
            assert_ne!(text, GOOD, "{from}");
            let error = format!("{:#}", parse(&text).unwrap_err());
            assert!(error.contains(expected), "{to}: {error}");
            assert_eq!(error.lines().count(), 1, "{error}");
        }
        assert!(parse("repeat = 1").is_err());
    }
}
