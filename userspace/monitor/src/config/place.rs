//! Where in a file a mistake is: its line and section, found again in the text.

use waytrace_model::spelling::nearest;

use super::error::{Error, Problem};

/// A parser's error with file, line, section and the nearest name that is known.
pub fn of_parse(text: &str, origin: &str, error: &toml::de::Error) -> Error {
    let what = rephrase(error.message());
    let Some(span) = error.span() else { return Error::Bad { place: origin.to_owned(), what } };
    let before = text.get(..span.start).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let section = Sections::of(text).at(line).map(|section| format!(": {section}")).unwrap_or_default();
    let key = key_of(text.lines().nth(line - 1).unwrap_or_default(), &what);
    Error::Bad { place: format!("{origin}:{line}{section}{key}"), what }
}

/// A problem of the whole with file, line and section.
pub fn of_problem(text: &str, origin: &str, problem: &Problem) -> Error {
    let line = Sections::of(text).line_of(problem);
    Error::Bad { place: format!("{origin}:{line}"), what: problem.to_string() }
}

/// Serde's words for what people get wrong most, said with the mend. Its other messages are clear as they are.
fn rephrase(message: &str) -> String {
    let message = message.replace('\n', ", ");
    for (start, thing) in [("unknown field `", "key"), ("unknown variant `", "value")] {
        let Some((wrong, rest)) = message.strip_prefix(start).and_then(|rest| rest.split_once('`')) else {
            continue;
        };
        let known: Vec<&str> = rest.split('`').skip(1).step_by(2).collect();
        return match nearest(wrong, known.iter().copied()) {
            Some(near) => format!("unknown {thing} `{wrong}`; did you mean `{near}`?"),
            None if known.is_empty() => format!("unknown {thing} `{wrong}`; remove it"),
            None => format!("unknown {thing} `{wrong}`; there are {}", known.join(", ")),
        };
    }
    match message.strip_prefix("missing field `").and_then(|rest| rest.split_once('`')) {
        Some((key, _)) => format!("`{key}` is missing; add it"),
        None => message,
    }
}

/// The key of a line ``: `key` ``, where the message does not name it already.
fn key_of(line: &str, what: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-' || c == '.';
    match line.split_once('=').map(|(key, _)| key.trim()) {
        Some(key) if !key.is_empty() && key.chars().all(plain) && !what.contains(&format!("`{key}`")) => {
            format!(": `{key}`")
        }
        _ => String::new(),
    }
}

/// The lines at which tables begin. Read by line, so a line of a text over several lines may pass for one; that moves a line number in an error,
/// nothing else.
struct Sections<'a> {
    lines: Vec<&'a str>,
    /// Line from 0, name, and whether it is one of a list.
    headers: Vec<(usize, &'a str, bool)>,
}

impl<'a> Sections<'a> {
    fn of(text: &'a str) -> Self {
        let lines: Vec<&str> = text.lines().collect();
        let headers = lines.iter().enumerate().filter_map(|(number, line)| {
            let line = line.split('#').next()?.trim();
            let list = line.strip_prefix("[[").and_then(|line| line.strip_suffix("]]"));
            let name = list.or_else(|| line.strip_prefix('[').and_then(|line| line.strip_suffix(']')))?;
            let plain = |c: char| c.is_ascii_alphanumeric() || "_-. \"".contains(c);
            name.chars().all(plain).then(|| (number, name.trim(), list.is_some()))
        });
        Self { headers: headers.collect(), lines }
    }

    /// The section a line (from 1) is in, as people call it; `None` before the first.
    fn at(&self, line: usize) -> Option<String> {
        let index = self.headers.iter().rposition(|(number, ..)| *number < line)?;
        let (_, name, list) = *self.headers.get(index)?;
        if !list {
            return Some(format!("[{name}]"));
        }
        let nth = self.headers.iter().take(index + 1).filter(|(_, other, _)| *other == name).count();
        let called = self.body(index).find_map(|(_, line)| {
            let (key, value) = line.split_once('=')?;
            let value = value.split('#').next()?.trim().trim_matches(['"', '\'']);
            (key.trim() == "name" && !value.is_empty()).then(|| format!("`{}`", value.escape_debug()))
        });
        Some(format!("[[{name}]] {}", called.unwrap_or_else(|| nth.to_string())))
    }

    /// Lines of a table, with their numbers from 0.
    fn body(&self, index: usize) -> impl Iterator<Item = (usize, &'a str)> + '_ {
        let from = self.headers.get(index).map_or(0, |(number, ..)| number + 1);
        let to = self.headers.get(index + 1).map_or(self.lines.len(), |(number, ..)| *number);
        self.lines.iter().copied().enumerate().take(to).skip(from)
    }

    /// The line (from 1) of a problem's key, or of its table where the key is not written there.
    fn line_of(&self, problem: &Problem) -> usize {
        let is_key = |(_, line): &(usize, &str)| {
            line.split_once('=').is_some_and(|(key, _)| key.trim() == problem.key)
        };
        if problem.table.is_empty() {
            let end = self.headers.first().map_or(self.lines.len(), |(number, ..)| *number);
            let top = self.lines.iter().copied().enumerate().take(end);
            return top.into_iter().find(is_key).map_or(1, |(number, _)| number + 1);
        }
        let mut of_name = (0..self.headers.len())
            .filter(|&index| self.headers.get(index).is_some_and(|(_, name, _)| *name == problem.table));
        let Some(index) = of_name.nth(problem.nth) else {
            // A table within a table may be written in one line of that.
            return problem
                .table
                .split_once('.')
                .map_or(1, |(table, key)| self.line_of(&Problem { table, key, ..problem.clone() }));
        };
        let header = self.headers.get(index).map_or(1, |(number, ..)| number + 1);
        self.body(index).find(is_key).map_or(header, |(number, _)| number + 1)
    }
}
