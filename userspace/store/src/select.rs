//! Run selectors: an id, a name, `last`, `last~N` (N before the last), or the beginning of exactly one name.

use waytrace_model::units::format_count;

use crate::error::{OnPath, Result, StoreError};
use crate::store::{RunId, Store};

/// Candidates listed in an error.
const CANDIDATES: usize = 8;

impl Store {
    /// The run that `selector` means.
    ///
    /// # Errors
    /// [`StoreError::NoSuchRun`] and [`StoreError::Ambiguous`] list the candidates; or the failure of reading.
    pub fn find(&self, selector: &str) -> Result<RunId> {
        let selector = selector.trim();
        if let Some(back) = steps_back(selector) {
            return self.nth_newest(back)?.ok_or_else(|| self.no_such_run(selector));
        }
        if let Ok(id) = selector.parse::<i64>() {
            let found = self.ids("SELECT id FROM run WHERE id = ?1 ORDER BY id", [id])?;
            return found.first().copied().ok_or_else(|| self.no_such_run(selector));
        }
        let exact = self.ids("SELECT id FROM run WHERE name = ?1 ORDER BY id", [selector])?;
        if let Some(id) = exact.first() {
            return Ok(*id);
        }
        const PREFIXED: &str =
            "SELECT id FROM run WHERE substr(name, 1, length(?1)) = ?1 AND ?1 <> '' ORDER BY id DESC";
        match self.ids(PREFIXED, [selector])?.as_slice() {
            [] => Err(self.no_such_run(selector)),
            [id] => Ok(*id),
            several => Err(StoreError::Ambiguous {
                path: self.path.clone(),
                selector: selector.to_owned(),
                candidates: self.names_of(several)?,
            }),
        }
    }

    /// The error for a selector that fits nothing, with the newest runs as candidates.
    pub(crate) fn no_such_run(&self, selector: &str) -> StoreError {
        let newest = self.ids("SELECT id FROM run ORDER BY id DESC", []);
        let candidates = match newest.and_then(|ids| Ok((ids.len(), self.names_of(&ids)?))) {
            Err(error) => return error,
            Ok((0, _)) => "it holds no runs yet; `waytrace profile` records one".to_owned(),
            Ok((_, names)) => format!("there are: {names}"),
        };
        StoreError::NoSuchRun { path: self.path.clone(), selector: selector.to_owned(), candidates }
    }

    fn nth_newest(&self, back: u32) -> Result<Option<RunId>> {
        let ids = self.ids("SELECT id FROM run ORDER BY id DESC LIMIT 1 OFFSET ?1", [back])?;
        Ok(ids.first().copied())
    }

    fn ids(&self, sql: &str, params: impl rusqlite::Params) -> Result<Vec<RunId>> {
        let mut statement = self.connection.prepare_cached(sql).on(&self.path)?;
        let rows = statement.query_map(params, |row| row.get(0).map(RunId)).on(&self.path)?;
        rows.collect::<rusqlite::Result<_>>().on(&self.path)
    }

    fn names_of(&self, ids: &[RunId]) -> Result<String> {
        let mut names = Vec::new();
        for id in ids.iter().take(CANDIDATES) {
            let name: String = self
                .connection
                .query_row("SELECT name FROM run WHERE id = ?1", [id.0], |row| row.get(0))
                .on(&self.path)?;
            names.push(format!("{name} (id {id})"));
        }
        let rest = ids.len().saturating_sub(CANDIDATES);
        if rest > 0 {
            names.push(format!("and {} more", format_count(rest as f64)));
        }
        Ok(names.join(", "))
    }
}

/// `last` is 0 steps back, `last~2` two.
fn steps_back(selector: &str) -> Option<u32> {
    match selector.strip_prefix("last")? {
        "" => Some(0),
        rest => rest.strip_prefix('~')?.parse().ok(),
    }
}

/// A name that no other kind of selector could mean, and that prints as one line.
pub(crate) fn is_valid_name(name: &str) -> bool {
    let is_number = name.parse::<i64>().is_ok();
    let is_plain = !name.chars().any(char::is_control) && name.trim() == name;
    !name.is_empty() && !is_number && is_plain && name != "last" && !name.starts_with("last~")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_counts_back() {
        let cases =
            [("last", Some(0)), ("last~2", Some(2)), ("lastlog", None), ("last~x", None), ("1", None)];
        for (selector, steps) in cases {
            assert_eq!(steps_back(selector), steps, "{selector}");
        }
    }

    #[test]
    fn names_cannot_be_taken_for_other_selectors() {
        for name in ["redis-1", "lastlog-1", "7up", "a b", "ünïcode"] {
            assert!(is_valid_name(name), "{name}");
        }
        for name in ["", "7", "-7", "last", "last~1", " padded", "bell\u{7}"] {
            assert!(!is_valid_name(name), "{name:?}");
        }
    }
}
