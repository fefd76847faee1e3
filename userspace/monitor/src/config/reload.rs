//! What a changed configuration means for a monitor that runs.

use std::fmt::Debug;
use std::path::Path;

use super::{Config, Error, TargetConfig};

/// What differs, and can be gone over to at once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reload {
    /// Targets that are new.
    pub added: Vec<String>,
    /// Targets that are no more.
    pub removed: Vec<String>,
    /// Targets that are still there, but not the same.
    pub changed: Vec<String>,
    /// The order of targets differs, which decides who claims a process that several match.
    pub reordered: bool,
    /// Other sections that differ, as the file calls them.
    pub sections: Vec<&'static str>,
}

impl Reload {
    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

pub fn compare(old: &Config, new: &Config) -> Result<Reload, Error> {
    let keys = fixed(old, new);
    if !keys.is_empty() {
        return Err(Error::NeedsRestart { keys });
    }
    let named = |config: &Config| -> Vec<String> {
        config.targets.iter().map(|target| target.name.clone()).collect()
    };
    let find = |config: &'_ Config, name: &str| -> Option<TargetConfig> {
        config.targets.iter().find(|target| target.name == name).cloned()
    };
    let (before, after) = (named(old), named(new));
    let (stayed, added): (Vec<_>, Vec<_>) = after.iter().cloned().partition(|name| before.contains(name));
    let (were, removed): (Vec<_>, Vec<_>) = before.into_iter().partition(|name| after.contains(name));
    let reordered = stayed != were;
    let changed = stayed.into_iter().filter(|name| find(old, name) != find(new, name)).collect();
    let sections = [
        ("machine", old.machine != new.machine),
        ("default_rules", old.default_rules != new.default_rules),
        ("budget", old.budget != new.budget),
        ("history", old.history != new.history),
        ("http", old.http != new.http),
        ("record", old.record != new.record),
        ("collect", old.collect != new.collect),
        ("rule", old.rules != new.rules),
        ("hook", old.hooks != new.hooks),
    ];
    let sections = sections.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name).collect();
    Ok(Reload { added, removed, changed, reordered, sections })
}

/// Keys that differ and are fixed while a monitor runs: steps of the history and times of rules count in windows, and a database or a socket that is
/// open stays open.
fn fixed(old: &Config, new: &Config) -> Vec<String> {
    let seconds = |config: &Config| format!("{} s", config.window_ns as f64 / 1e9);
    let path = |path: &Option<std::path::PathBuf>| path.as_deref().map(Path::display).map(|p| p.to_string());
    let tls = |config: &Config| config.http.tls_cert.is_some();
    let mut keys = Vec::new();
    if old.window_ns != new.window_ns {
        keys.push(format!("`window` ({} to {})", seconds(old), seconds(new)));
    }
    push(&mut keys, "[history] `path`", &path(&old.history.path), &path(&new.history.path));
    push(&mut keys, "[http] `listen`", &old.http.listen, &new.http.listen);
    if tls(old) != tls(new) {
        let spelled = |on| if on { "set" } else { "not set" };
        keys.push(format!("[http] `tls_cert` ({} to {})", spelled(tls(old)), spelled(tls(new))));
    }
    keys
}

fn push<T: PartialEq + Debug>(keys: &mut Vec<String>, key: &str, old: &Option<T>, new: &Option<T>) {
    let spelled =
        |value: &Option<T>| value.as_ref().map_or("not set".to_owned(), |value| format!("{value:?}"));
    if old != new {
        keys.push(format!("{key} ({} to {})", spelled(old), spelled(new)));
    }
}
