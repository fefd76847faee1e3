//! Where the database is when nobody says: `$XDG_DATA_HOME/waytrace/runs.db`, by the XDG base directory specification.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Where a service without a home directory keeps its runs.
const SYSTEM_DIR: &str = "/var/lib";

/// The default database of this environment; nothing is created.
pub fn default_path() -> PathBuf {
    resolve(std::env::var_os("XDG_DATA_HOME"), std::env::var_os("HOME"))
}

/// Relative and empty values are ignored, as the specification asks.
fn resolve(data_home: Option<OsString>, home: Option<OsString>) -> PathBuf {
    let absolute = |value: Option<OsString>| value.map(PathBuf::from).filter(|path| path.is_absolute());
    let base = absolute(data_home)
        .or_else(|| absolute(home).map(|home| home.join(".local/share")))
        .unwrap_or_else(|| Path::new(SYSTEM_DIR).to_owned());
    base.join("waytrace/runs.db")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_home_then_home_then_var_lib() {
        let cases = [
            (Some("/data"), Some("/home/u"), "/data/waytrace/runs.db"),
            (None, Some("/home/u"), "/home/u/.local/share/waytrace/runs.db"),
            (Some(""), Some("/home/u"), "/home/u/.local/share/waytrace/runs.db"),
            (Some("relative"), None, "/var/lib/waytrace/runs.db"),
            (None, Some(""), "/var/lib/waytrace/runs.db"),
        ];
        for (data_home, home, expected) in cases {
            assert_eq!(resolve(data_home.map(Into::into), home.map(Into::into)), Path::new(expected));
        }
    }
}
