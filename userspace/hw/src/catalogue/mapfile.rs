//! `mapfile.csv`: which files hold the events of which CPU, in Intel's layout and in the kernel's.
//!
//! Both begin `pattern,version,file,type`; Intel's goes on with the kind of core. Intel's `file` is one file, the kernel's a folder.

use std::path::Path;

use super::CatalogueError;
use super::limits::{self, clean};
use super::pattern::Pattern;

const FILE_BYTES: u64 = 4 << 20;

/// A line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Pattern of the CPUs, as written.
    pub pattern: String,
    /// The same, parsed.
    pub matcher: Pattern,
    /// Version of the events.
    pub version: String,
    /// File or folder, relative, with `/`.
    pub file: String,
    /// `core`, `uncore`, `hybridcore`, …
    pub kind: String,
    /// Role of a hybrid CPU's cores: `Core`, `Atom`.
    pub role: String,
}

/// Rows in their order, and what is wrong with the lines that are none.
#[derive(Debug, Default)]
pub struct Mapfile {
    pub rows: Vec<Row>,
    pub rejected: Vec<(String, String)>,
}

/// Reads a `mapfile.csv`.
pub fn read(path: &Path) -> Result<Mapfile, CatalogueError> {
    let bytes = limits::read(path, FILE_BYTES)?;
    Ok(parse(&String::from_utf8_lossy(&bytes)))
}

/// Parses its text. Quotes are not used by any such file, and a pattern has no comma.
pub fn parse(text: &str) -> Mapfile {
    let mut mapfile = Mapfile::default();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let fields: Vec<&str> = line.split(',').map(str::trim).collect();
        if fields.first().is_some_and(|first| first.eq_ignore_ascii_case("Family-model")) {
            continue;
        }
        match row(&fields) {
            Ok(row) => mapfile.rows.push(row),
            Err(reason) => mapfile.rejected.push((clean(line, 80), reason.to_owned())),
        }
    }
    mapfile
}

fn row(fields: &[&str]) -> Result<Row, &'static str> {
    let [pattern, version, file, kind, rest @ ..] = fields else {
        return Err("fewer than four columns: pattern, version, file, type");
    };
    let matcher =
        Pattern::parse(pattern).filter(|_| !pattern.is_empty()).ok_or("its first column is no pattern")?;
    let file = file.trim_start_matches('/');
    if file.is_empty() || file.split('/').any(|part| part == ".." || part.is_empty()) || file.contains('\0') {
        return Err("its third column is no path within the directory");
    }
    Ok(Row {
        pattern: (*pattern).to_owned(),
        matcher,
        version: clean(version, 40),
        file: file.to_owned(),
        kind: kind.to_ascii_lowercase(),
        role: rest.get(2).map(|role| clean(role, 40)).unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_layouts_are_read() {
        let text = "Family-model,Version,Filename,EventType,Core Type,Native Model ID,Core Role Name\r\n\
            GenuineIntel-6-55-[01234],V1.37,/SKX/events/skylakex_core.json,core,,,\r\n\
            GenuineIntel-6-97,V1.40,/ADL/events/alderlake_gracemont_core.json,hybridcore,0x20,0x000001,Atom\r\n\
            # a comment\n\
            AuthenticAMD-25-([12][[:xdigit:]]|[[:xdigit:]]),v1,amdzen3,core\n\
            0x00000000410fd0c0,v1,arm/neoverse-n1,core\n";
        let mapfile = parse(text);
        assert!(mapfile.rejected.is_empty(), "{:?}", mapfile.rejected);
        let seen: Vec<_> = mapfile
            .rows
            .iter()
            .map(|row| (row.file.as_str(), row.kind.as_str(), row.role.as_str()))
            .collect();
        assert_eq!(
            seen,
            [
                ("SKX/events/skylakex_core.json", "core", ""),
                ("ADL/events/alderlake_gracemont_core.json", "hybridcore", "Atom"),
                ("amdzen3", "core", ""),
                ("arm/neoverse-n1", "core", ""),
            ]
        );
    }

    #[test]
    fn lines_that_are_none_are_named() {
        let mapfile = parse("a,b\n(,v1,x,core\na,v1,/../etc/passwd,core\na,v1,,core\na,v1,x.json,core\n");
        assert_eq!((mapfile.rows.len(), mapfile.rejected.len()), (1, 4));
        assert!(mapfile.rejected[2].1.contains("path within"), "{:?}", mapfile.rejected);
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_rows_or_reasons(text in "[a-z,/.\\[\\]()|\n-]{0,200}") {
            for row in parse(&text).rows {
                proptest::prop_assert!(!row.file.starts_with('/') && !row.file.split('/').any(|part| part == ".."));
            }
        }
    }
}
