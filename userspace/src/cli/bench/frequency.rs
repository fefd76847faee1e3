//! CPU frequencies by the kernel's cpufreq, set for a mode and set back after it.
//!
//! What was there before is written to a journal first: a killed `waytrace bench` is made good by the next one, or by
//! `waytrace doctor --restore`. Source: Documentation/admin-guide/pm/cpufreq.rst.

use std::fs::{self, OpenOptions};

use anyhow::{Context as _, ensure};
use waytrace_hw::Root;
use waytrace_hw::cpufreq::{DIR, policies};
use waytrace_hw::undo::{self, Journal, Outcome, Undo, Undone};
use waytrace_model::bench::Frequency;

use super::super::output::say;

/// Of the journal.
const PURPOSE: &str = "frequency";

/// A changed setting, set back when dropped.
#[derive(Debug)]
pub struct Changed(Option<Journal>);

/// Whether this machine can do it.
///
/// # Errors
/// What is missing, and how to mend it.
pub fn check(root: &Root, wanted: &Frequency) -> anyhow::Result<()> {
    let policies = policies(root);
    ensure!(
        !policies.is_empty(),
        "`frequency` cannot be set on this machine: /{DIR} has no policies; remove it, or make the mode `optional = true`"
    );
    for policy in policies {
        let text = |file: &str| root.read(&format!("{policy}/{file}")).unwrap_or_default();
        if let Some(governor) = &wanted.governor {
            let known = text("scaling_available_governors");
            ensure!(
                known.split_whitespace().any(|one| one == governor),
                "no governor `{governor}` in /{policy}; there are {known}"
            );
        }
        if let Some(khz) = wanted.khz {
            let limit = |file: &str| text(file).parse::<u64>().with_context(|| format!("/{policy}/{file}"));
            let (min, max) = (limit("cpuinfo_min_freq")?, limit("cpuinfo_max_freq")?);
            ensure!(
                (min..=max).contains(&khz),
                "{khz} kHz is not within the {min} to {max} kHz of /{policy}"
            );
        }
        let file = root.path(&format!("{policy}/scaling_governor"));
        OpenOptions::new()
            .write(true)
            .open(&file)
            .with_context(|| format!("{} cannot be written; run as root", file.display()))?;
    }
    Ok(())
}

impl Changed {
    /// Writes the journal, then the settings.
    ///
    /// # Errors
    /// A setting the kernel refuses (those before it are set back), or another waytrace that has changed them.
    pub fn set(root: &Root, wanted: &Frequency) -> anyhow::Result<Self> {
        let policies = policies(root);
        let mut journal = Journal::open(root, PURPOSE)?;
        for policy in &policies {
            for file in ["scaling_governor", "scaling_max_freq", "scaling_min_freq"] {
                let path = format!("{policy}/{file}");
                let old = root.read(&path).with_context(|| format!("reading /{path}"))?;
                journal.add(Undo::File { path, old, ours: Vec::new() })?;
            }
        }
        let changed = Self(Some(journal));
        for policy in &policies {
            if let Some(governor) = &wanted.governor {
                write(root, &format!("{policy}/scaling_governor"), governor)?;
            }
            if let Some(khz) = wanted.khz {
                between(root, policy, &khz.to_string(), &khz.to_string())?;
            }
        }
        Ok(changed)
    }
}

impl Drop for Changed {
    fn drop(&mut self) {
        if let Some(journal) = self.0.take() {
            told(&journal.undo());
        }
    }
}

/// Sets back what a `waytrace bench` that was killed left changed.
///
/// # Errors
/// A journal that cannot be read.
pub fn recover(root: &Root) -> anyhow::Result<()> {
    if !undo::pending(root).iter().any(|left| left.purpose == PURPOSE) {
        return Ok(());
    }
    if let Outcome::Undone(undone) = undo::restore(root, PURPOSE)? {
        say("set back the CPU frequencies that a killed `waytrace bench` had left changed");
        told(&undone);
    }
    Ok(())
}

fn told(undone: &Undone) {
    for line in &undone.left {
        say(line);
    }
}

/// Sets both limits without either passing the other.
fn between(root: &Root, policy: &str, min: &str, max: &str) -> anyhow::Result<()> {
    let (low, high) = (format!("{policy}/scaling_min_freq"), format!("{policy}/scaling_max_freq"));
    let _ = write(root, &high, max);
    write(root, &low, min)?;
    write(root, &high, max)
}

fn write(root: &Root, path: &str, value: &str) -> anyhow::Result<()> {
    fs::write(root.path(path), value).with_context(|| format!("writing {value} to /{path}"))
}

/// Paths of the policies below the root.
#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    const FILES: [(&str, &str); 6] = [
        ("scaling_governor", "powersave"),
        ("scaling_available_governors", "powersave performance"),
        ("scaling_min_freq", "1000"),
        ("scaling_max_freq", "3000"),
        ("cpuinfo_min_freq", "800"),
        ("cpuinfo_max_freq", "4000"),
    ];

    fn machine() -> (tempfile::TempDir, Root) {
        let place = tempfile::tempdir().unwrap();
        for policy in ["policy0", "policy1"] {
            let folder = place.path().join(DIR).join(policy);
            fs::create_dir_all(&folder).unwrap();
            for (file, text) in FILES {
                fs::write(folder.join(file), text).unwrap();
            }
        }
        fs::create_dir_all(place.path().join("run")).unwrap();
        let root = Root::new(place.path());
        (place, root)
    }

    fn settings(root: &Root) -> Vec<String> {
        let read = |file: &str| root.read(&format!("{DIR}/policy1/{file}")).unwrap();
        ["scaling_governor", "scaling_min_freq", "scaling_max_freq"].map(read).to_vec()
    }

    fn wanted() -> Frequency {
        Frequency { governor: Some("performance".to_owned()), khz: Some(2000) }
    }

    fn journals(root: &Root) -> Vec<PathBuf> {
        fs::read_dir(root.path("run/waytrace")).unwrap().map(|entry| entry.unwrap().path()).collect()
    }

    #[test]
    fn settings_are_set_and_set_back() {
        let (_place, root) = machine();
        check(&root, &wanted()).unwrap();
        let changed = Changed::set(&root, &wanted()).unwrap();
        assert_eq!(settings(&root), ["performance", "2000", "2000"]);
        assert!(Changed::set(&root, &wanted()).is_err(), "one at a time");
        assert_eq!(settings(&root), ["performance", "2000", "2000"]);
        drop(changed);
        assert_eq!(settings(&root), ["powersave", "1000", "3000"]);
        assert_eq!(journals(&root), Vec::<PathBuf>::new());
    }

    #[test]
    fn the_next_one_makes_good_what_a_killed_one_left() {
        let (_place, root) = machine();
        std::mem::forget(Changed::set(&root, &wanted()).unwrap());
        recover(&root).unwrap();
        assert_eq!(settings(&root)[0], "performance", "its process is alive");
        // The same of another process with its number, which is gone and has no lock any more.
        let journal = journals(&root).remove(0);
        let text = fs::read_to_string(&journal).unwrap().replacen("\"started\":", "\"started\":9", 1);
        fs::remove_file(&journal).unwrap();
        fs::write(&journal, text).unwrap();
        recover(&root).unwrap();
        assert_eq!(settings(&root), ["powersave", "1000", "3000"]);
        assert_eq!(journals(&root), Vec::<PathBuf>::new());
    }

    #[test]
    fn what_the_machine_cannot_do_is_named() {
        let (_place, root) = machine();
        let governor = Frequency { governor: Some("ondemand".to_owned()), khz: None };
        let cases = [
            (&root, governor, "there are powersave performance"),
            (&root, Frequency { governor: None, khz: Some(5000) }, "800 to 4000 kHz"),
            (&Root::new("/nowhere"), wanted(), "optional = true"),
        ];
        for (root, wanted, expected) in cases {
            let error = format!("{:#}", check(root, &wanted).unwrap_err());
            assert!(error.contains(expected), "{error}");
        }
    }
}
