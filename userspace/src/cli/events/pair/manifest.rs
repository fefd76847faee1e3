//! The manifest of programs to pair: TOML with the keys of gz/autoperf's, each of them checked.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use serde::Deserialize;
use toml::{Table, Value};
use waytrace_hw::placement::Configuration;
use waytrace_model::pairing::PairProgram;

use crate::cli::bench::file::{known, one_line};

const EXPERIMENT: [&str; 4] = ["configurations", "alone", "profile_only_a", "profile_only_b"];
const PROGRAM: [&str; 13] = [
    "name",
    "binary",
    "arguments",
    "antagonist_arguments",
    "working_dir",
    "default_working_dir",
    "env",
    "breakpoints",
    "checkpoints",
    "use_watch_repeat",
    "alone",
    "openmp",
    "parsec",
];
/// Characters of a name: it stands in tables and pictures.
const NAME_MAX: usize = 64;

/// A manifest.
#[derive(Debug, PartialEq)]
pub struct Manifest {
    /// Configurations asked for; all without any.
    pub configurations: Vec<Configuration>,
    /// Whether programs are also measured alone.
    pub alone: bool,
    /// The programs, by the names of their tables.
    pub programs: Vec<PairProgram>,
    /// Names of those that are measured.
    pub measured: Vec<String>,
    /// Names of those that run beside them.
    pub antagonists: Vec<String>,
    /// Keys that are read and have no effect here, and why.
    pub notes: Vec<String>,
}

#[derive(Deserialize)]
struct Experiment {
    configurations: Option<Vec<String>>,
    #[serde(default = "yes")]
    alone: bool,
    profile_only_a: Option<Vec<String>>,
    profile_only_b: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Program {
    name: String,
    binary: String,
    #[serde(default)]
    arguments: Vec<String>,
    antagonist_arguments: Option<Vec<String>>,
    working_dir: Option<String>,
    default_working_dir: Option<String>,
    #[serde(default)]
    env: BTreeMap<String, String>,
    #[serde(default)]
    breakpoints: Vec<String>,
    checkpoints: Option<Value>,
    #[serde(default)]
    use_watch_repeat: bool,
    #[serde(default = "yes")]
    alone: bool,
    #[serde(default)]
    openmp: bool,
    #[serde(default)]
    parsec: bool,
}

fn yes() -> bool {
    true
}

/// Reads and checks a manifest, but not whether this machine can do what it asks for.
///
/// # Errors
/// The place of the first mistake, and its mend.
pub fn read(path: &Path) -> anyhow::Result<Manifest> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    parse(&text).with_context(|| path.display().to_string())
}

fn parse(text: &str) -> anyhow::Result<Manifest> {
    let table: Table = text.parse().map_err(|error| one_line(&error))?;
    let mut experiment = Table::new();
    let (mut programs, mut notes) = (Vec::new(), Vec::new());
    for (key, value) in table {
        let Value::Table(entries) = value else {
            bail!("`{key}` is no table: there are [experiment] and, for each program, [programNAME]")
        };
        if key == "experiment" {
            experiment = entries;
        } else if key.starts_with("program") {
            programs.push(program(&key, entries, &mut notes)?);
        } else {
            bail!("unknown table [{key}]: there are [experiment] and, for each program, [programNAME]");
        }
    }
    ensure!(!programs.is_empty(), "there is no program: describe each in a table [programNAME]");
    let mut names = BTreeSet::new();
    for program in &programs {
        ensure!(names.insert(program.name.as_str()), "two of the programs are named `{}`", program.name);
    }
    known(&experiment, &EXPERIMENT, "[experiment]")?;
    let experiment: Experiment =
        Value::Table(experiment).try_into().map_err(|error| place("experiment", &error))?;
    let of = |key: &str, chosen: Option<Vec<String>>| -> anyhow::Result<Vec<String>> {
        let chosen = chosen.filter(|names| !names.is_empty());
        let all = || programs.iter().map(|program| program.name.clone()).collect();
        if let Some(unknown) = chosen.iter().flatten().find(|name| !names.contains(name.as_str())) {
            bail!(
                "`{key}` names `{unknown}`, which no program is called; there are {}",
                list(names.iter().copied())
            );
        }
        Ok(chosen.unwrap_or_else(all))
    };
    Ok(Manifest {
        configurations: configurations(experiment.configurations.unwrap_or_default())?,
        alone: experiment.alone,
        measured: of("profile_only_a", experiment.profile_only_a)?,
        antagonists: of("profile_only_b", experiment.profile_only_b)?,
        programs,
        notes,
    })
}

fn configurations(names: Vec<String>) -> anyhow::Result<Vec<Configuration>> {
    let mut chosen = Vec::new();
    for name in names {
        let Some(configuration) = Configuration::parse(&name) else {
            let all = list(Configuration::ALL.iter().map(|one| one.name()));
            bail!("`configurations` names `{name}`, which is none; there are {all}");
        };
        if !chosen.contains(&configuration) {
            chosen.push(configuration);
        }
    }
    Ok(if chosen.is_empty() { Configuration::ALL.to_vec() } else { chosen })
}

fn program(key: &str, entries: Table, notes: &mut Vec<String>) -> anyhow::Result<PairProgram> {
    known(&entries, &PROGRAM, &format!("[{key}]"))?;
    let program: Program = Value::Table(entries).try_into().map_err(|error| place(key, &error))?;
    let name = program.name;
    let is_plain = !name.trim().is_empty() && !name.chars().any(char::is_control);
    ensure!(
        is_plain && name.chars().count() <= NAME_MAX,
        "[{key}]: `name` has 1 to {NAME_MAX} characters, none of them a control character"
    );
    ensure!(!program.binary.is_empty(), "[{key}]: `binary` is empty");
    let arguments = program.arguments;
    let antagonist_arguments = program.antagonist_arguments.unwrap_or_else(|| arguments.clone());
    let has_nul = |text: &String| text.contains('\0');
    let texts = [&arguments, &antagonist_arguments].into_iter().flatten();
    ensure!(!texts.chain([&program.binary]).any(has_nul), "[{key}]: `binary` or an argument contains a NUL");
    let variable = program
        .env
        .iter()
        .find(|(name, value)| name.is_empty() || name.contains('=') || has_nul(name) || has_nul(value));
    if let Some((name, _)) = variable {
        bail!("[{key}]: `{}` cannot be a variable", name.escape_debug());
    }
    ensure!(
        program.working_dir.is_none() || program.default_working_dir.is_none(),
        "[{key}]: `working_dir` and `default_working_dir` are two names of the same; remove one of them"
    );
    let working_dir =
        program.working_dir.or(program.default_working_dir).unwrap_or_else(|| "$MANIFEST_DIR".to_owned());
    let idle = [
        (
            !program.breakpoints.is_empty(),
            "breakpoints",
            "they crop time series of events, and what is measured is the time of the whole program; of what `events measure` \
             counted, `events aggregate --from --to` takes the part between two times or events",
        ),
        (program.checkpoints.is_some(), "checkpoints", "the time of the whole program is measured"),
        (program.use_watch_repeat, "use_watch_repeat", "every antagonist that ends is started again anyway"),
    ];
    let idle = idle.into_iter().filter(|(is_there, ..)| *is_there);
    notes.extend(idle.map(|(_, option, why)| format!("[{key}]: `{option}` has no effect: {why}")));
    Ok(PairProgram {
        name,
        binary: program.binary,
        arguments,
        antagonist_arguments,
        working_dir,
        env: program.env,
        alone: program.alone,
        openmp: program.openmp,
        parsec: program.parsec,
    })
}

fn place(key: &str, error: &toml::de::Error) -> anyhow::Error {
    anyhow::anyhow!("[{key}]: {}", error.message().replace('\n', ", "))
}

fn list<'n>(names: impl Iterator<Item = &'n str>) -> String {
    names.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With every key that gz/autoperf reads.
    const GZ: &str = r#"
        [experiment]
        configurations = ["L3-SMT", "L3-cores"]
        alone = true
        profile_only_a = ["hog"]

        [program1]
        name = "hog"
        binary = "$MANIFEST_DIR/hog"
        arguments = ["-n", "$NUM_THREADS"]
        antagonist_arguments = ["-n", "$NUM_THREADS", "-f"]
        default_working_dir = "/data"
        openmp = true
        breakpoints = ["0x4000", "main.c:7"]
        checkpoints = ["a"]
        use_watch_repeat = true

        [program2]
        name = "canneal"
        binary = "canneal"
        working_dir = "$MANIFEST_DIR"
        parsec = true
        alone = false
        [program2.env]
        THREADS = "$NUM_THREADS"
    "#;

    #[test]
    fn every_key_is_read() {
        let manifest = parse(GZ).unwrap();
        assert_eq!(manifest.configurations, [Configuration::L3Smt, Configuration::L3Cores]);
        assert_eq!(
            (manifest.measured, manifest.antagonists),
            (vec!["hog".to_owned()], vec!["hog".to_owned(), "canneal".to_owned()])
        );
        let [hog, canneal] = manifest.programs.as_slice() else { panic!() };
        assert_eq!((hog.working_dir.as_str(), hog.antagonist_arguments.len()), ("/data", 3));
        assert!(hog.openmp && !hog.parsec && hog.alone && canneal.parsec && !canneal.alone);
        assert_eq!(canneal.env["THREADS"], "$NUM_THREADS");
        assert_eq!(manifest.notes.len(), 3, "what has no effect is said: {:?}", manifest.notes);
        assert!(manifest.notes.iter().all(|note| note.starts_with("[program1]: `")), "{:?}", manifest.notes);
        assert!(
            manifest.notes[0].contains("aggregate --from --to"),
            "the mend is said: {:?}",
            manifest.notes
        );
    }

    #[test]
    fn little_is_needed() {
        let manifest = parse("[programX]\nname = 'x'\nbinary = 'true'\narguments = ['a']\n").unwrap();
        assert_eq!((manifest.configurations.len(), manifest.alone), (8, true));
        assert_eq!(
            (&manifest.measured, &manifest.antagonists),
            (&vec!["x".to_owned()], &vec!["x".to_owned()])
        );
        assert_eq!(manifest.programs[0].antagonist_arguments, ["a"]);
        assert_eq!(manifest.programs[0].working_dir, "$MANIFEST_DIR");
    }

    #[test]
    fn mistakes_name_the_place_and_the_mend() {
        let cases = [
            ("alone = true", "alnoe = true", "unknown key `alnoe` in [experiment]; did you mean `alone`?"),
            ("parsec = true", "parsek = true", "unknown key `parsek` in [program2]; did you mean `parsec`?"),
            ("parsec = true", "parsec = 'yes'", "[program2]: "),
            ("[program2]", "[progam2]", "unknown table [progam2]"),
            ("\"L3-SMT\"", "\"L4-SMT\"", "`L4-SMT`, which is none; there are L1-SMT, "),
            (
                "[\"hog\"]",
                "[\"hug\"]",
                "`profile_only_a` names `hug`, which no program is called; there are canneal, hog",
            ),
            ("\"canneal\"", "\"hog\"", "two of the programs are named `hog`"),
            ("binary = \"canneal\"", "", "missing field `binary`"),
            ("binary = \"canneal\"", "binary = ''", "[program2]: `binary` is empty"),
            ("openmp = true", "working_dir = '/'", "two names of the same"),
            ("THREADS =", "\"T=\" =", "`T=` cannot be a variable"),
            ("alone = false", "alone = = false", "line 23"),
            ("\"-f\"]", "3]", "[program1]: "),
        ];
        for (from, to, expected) in cases {
            let text = GZ.replacen(from, to, 1);
            assert_ne!(text, GZ, "{from}");
            let error = format!("{:#}", parse(&text).unwrap_err());
            assert!(error.contains(expected), "{to}: {error}");
            assert_eq!(error.lines().count(), 1, "{error}");
        }
        assert!(parse("").unwrap_err().to_string().contains("no program"));
        assert!(parse("program1 = 3").unwrap_err().to_string().contains("no table"));
    }
}
