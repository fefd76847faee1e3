//! Conditions on live metrics that must hold: `ipc > 0.5`, `mpki < 20 && occupancy < 8MiB`, `(ipc > 1 || miss_ratio < 5%)`.

use waytrace_model::units::{parse_percent, parse_size_bytes};

use crate::SweepError;

/// What a condition can be on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metric {
    /// Instructions per cycle.
    Ipc,
    /// Misses per thousand instructions.
    Mpki,
    /// Misses per reference, 0–1.
    MissRatio,
    /// Bytes held.
    Occupancy,
    /// Bytes a second from and to memory.
    Bandwidth,
    /// Instructions a second.
    InstructionRate,
    /// Loss of instructions a second against the last reference point, 0–1.
    Slowdown,
}

const NAMES: [(&str, Metric); 7] = [
    ("ipc", Metric::Ipc),
    ("mpki", Metric::Mpki),
    ("miss_ratio", Metric::MissRatio),
    ("occupancy", Metric::Occupancy),
    ("bandwidth", Metric::Bandwidth),
    ("ips", Metric::InstructionRate),
    ("slowdown", Metric::Slowdown),
];

/// Brackets within one another that are followed.
const DEEPEST: usize = 32;

/// Values of the metrics; `None`: not known now.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Metrics {
    /// [`Metric::Ipc`].
    pub ipc: Option<f64>,
    /// [`Metric::Mpki`].
    pub mpki: Option<f64>,
    /// [`Metric::MissRatio`].
    pub miss_ratio: Option<f64>,
    /// [`Metric::Occupancy`].
    pub occupancy_bytes: Option<f64>,
    /// [`Metric::Bandwidth`].
    pub bandwidth_bytes: Option<f64>,
    /// [`Metric::InstructionRate`].
    pub instruction_rate: Option<f64>,
    /// [`Metric::Slowdown`].
    pub slowdown: Option<f64>,
}

impl Metrics {
    /// One of them.
    pub fn get(&self, metric: Metric) -> Option<f64> {
        match metric {
            Metric::Ipc => self.ipc,
            Metric::Mpki => self.mpki,
            Metric::MissRatio => self.miss_ratio,
            Metric::Occupancy => self.occupancy_bytes,
            Metric::Bandwidth => self.bandwidth_bytes,
            Metric::InstructionRate => self.instruction_rate,
            Metric::Slowdown => self.slowdown,
        }
    }
}

/// A condition.
#[derive(Debug, Clone, PartialEq)]
pub struct Slo {
    text: String,
    node: Node,
}

#[derive(Debug, Clone, PartialEq)]
enum Node {
    All(Vec<Node>),
    Any(Vec<Node>),
    Is { metric: Metric, than: Than, value: f64 },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Than {
    Less,
    AtMost,
    More,
    AtLeast,
}

impl Slo {
    /// Reads one.
    ///
    /// # Errors
    /// [`SweepError::Slo`] with what is wrong and where.
    pub fn parse(text: &str) -> Result<Self, SweepError> {
        let wrong = |reason| SweepError::Slo { text: text.to_owned(), reason };
        let mut rest = text;
        let node = any(&mut rest, 0).map_err(wrong)?;
        match rest.trim_start() {
            "" => Ok(Self { text: text.to_owned(), node }),
            rest => Err(wrong(format!("`{rest}` is too much; join conditions with && or ||"))),
        }
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The metrics it speaks of.
    pub fn metrics(&self) -> Vec<&'static str> {
        let mut metrics = Vec::new();
        self.node.collect(&mut metrics);
        NAMES.iter().filter(|(_, metric)| metrics.contains(metric)).map(|(name, _)| *name).collect()
    }

    /// Whether it speaks of a metric.
    pub fn uses(&self, metric: Metric) -> bool {
        let mut metrics = Vec::new();
        self.node.collect(&mut metrics);
        metrics.contains(&metric)
    }

    /// Whether it holds; `None` where that depends on what is not known.
    pub fn holds(&self, metrics: &Metrics) -> Option<bool> {
        self.node.holds(metrics)
    }
}

impl Node {
    fn collect(&self, into: &mut Vec<Metric>) {
        match self {
            Self::All(nodes) | Self::Any(nodes) => nodes.iter().for_each(|node| node.collect(into)),
            Self::Is { metric, .. } => into.push(*metric),
        }
    }

    fn holds(&self, metrics: &Metrics) -> Option<bool> {
        let among = |nodes: &[Self], decides: bool| {
            let each: Vec<Option<bool>> = nodes.iter().map(|node| node.holds(metrics)).collect();
            if each.contains(&Some(decides)) {
                return Some(decides);
            }
            if each.contains(&None) { None } else { Some(!decides) }
        };
        match self {
            Self::All(nodes) => among(nodes, false),
            Self::Any(nodes) => among(nodes, true),
            Self::Is { metric, than, value } => {
                let now = metrics.get(*metric)?;
                Some(match than {
                    Than::Less => now < *value,
                    Than::AtMost => now <= *value,
                    Than::More => now > *value,
                    Than::AtLeast => now >= *value,
                })
            }
        }
    }
}

fn take(rest: &mut &str, token: &str) -> bool {
    let Some(after) = rest.trim_start().strip_prefix(token) else { return false };
    *rest = after;
    true
}

fn any(rest: &mut &str, depth: usize) -> Result<Node, String> {
    joined(rest, "||", |rest| joined(rest, "&&", |rest| one(rest, depth), Node::All), Node::Any)
}

fn joined(
    rest: &mut &str,
    token: &str,
    mut part: impl FnMut(&mut &str) -> Result<Node, String>,
    join: fn(Vec<Node>) -> Node,
) -> Result<Node, String> {
    let first = part(rest)?;
    let mut nodes = vec![first];
    while take(rest, token) {
        nodes.push(part(rest)?);
    }
    match <[Node; 1]>::try_from(nodes) {
        Ok([node]) => Ok(node),
        Err(nodes) => Ok(join(nodes)),
    }
}

fn one(rest: &mut &str, depth: usize) -> Result<Node, String> {
    if take(rest, "(") {
        if depth >= DEEPEST {
            return Err(format!("brackets are nested deeper than {DEEPEST}"));
        }
        let inner = any(rest, depth + 1)?;
        return if take(rest, ")") { Ok(inner) } else { Err("a bracket is not closed".to_owned()) };
    }
    let name = word(rest, |c| c.is_ascii_alphanumeric() || c == '_');
    let known = NAMES.iter().find(|(known, _)| *known == name);
    let Some((_, metric)) = known else {
        let names: Vec<&str> = NAMES.iter().map(|(name, _)| *name).collect();
        return Err(format!("`{name}` is no metric; there are {}", names.join(", ")));
    };
    let than = [("<=", Than::AtMost), (">=", Than::AtLeast), ("<", Than::Less), (">", Than::More)];
    let Some((_, than)) = than.into_iter().find(|(token, _)| take(rest, token)) else {
        return Err(format!("after `{name}` one of < <= > >= is needed"));
    };
    let text = word(rest, |c| c.is_ascii_alphanumeric() || matches!(c, '.' | '%' | '-' | '+' | '/'));
    let value = value(*metric, text)
        .ok_or_else(|| format!("`{text}` is no value of {name}; write it like {}", example(*metric)))?;
    Ok(Node::Is { metric: *metric, than, value })
}

fn word<'a>(rest: &mut &'a str, is_part: impl Fn(char) -> bool) -> &'a str {
    let text = rest.trim_start();
    let end = text.find(|c| !is_part(c)).unwrap_or(text.len());
    let (word, after) = text.split_at(end);
    *rest = after;
    word
}

fn value(metric: Metric, text: &str) -> Option<f64> {
    let plain = || text.parse::<f64>().ok();
    let value = match metric {
        Metric::Ipc | Metric::Mpki | Metric::InstructionRate => plain(),
        Metric::MissRatio | Metric::Slowdown => match text.ends_with('%') {
            true => parse_percent(text).ok().map(|pct| pct / 100.0),
            false => plain(),
        },
        Metric::Occupancy => parse_size_bytes(text).ok().map(|bytes| bytes as f64),
        Metric::Bandwidth => {
            parse_size_bytes(text.strip_suffix("/s").unwrap_or(text)).ok().map(|bytes| bytes as f64)
        }
    };
    value.filter(|value| value.is_finite() && *value >= 0.0)
}

fn example(metric: Metric) -> &'static str {
    match metric {
        Metric::Ipc => "0.5",
        Metric::Mpki => "20",
        Metric::InstructionRate => "1e9",
        Metric::MissRatio | Metric::Slowdown => "0.2 or 20%",
        Metric::Occupancy => "8MiB",
        Metric::Bandwidth => "500MiB/s",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(text: &str) -> Option<bool> {
        let metrics = Metrics {
            ipc: Some(0.6),
            mpki: Some(10.0),
            occupancy_bytes: Some(8.0 * 1048576.0),
            slowdown: Some(0.25),
            ..Metrics::default()
        };
        Slo::parse(text).unwrap().holds(&metrics)
    }

    #[test]
    fn conditions_are_true_false_or_unknown() {
        for (text, expected) in [
            ("ipc > 0.5", Some(true)),
            ("ipc>0.6", Some(false)),
            ("ipc >= 0.6", Some(true)),
            ("slowdown < 20%", Some(false)),
            ("slowdown <= 0.25", Some(true)),
            ("mpki < 20 && occupancy < 8MiB", Some(false)),
            ("mpki < 20 && occupancy <= 8MiB", Some(true)),
            ("miss_ratio < 5%", None),
            ("miss_ratio < 5% || ipc > 0.1", Some(true)),
            ("miss_ratio < 5% && ipc > 1", Some(false)),
            ("miss_ratio < 5% && ipc > 0.1", None),
            ("ipc > 1 || mpki < 20 && slowdown < 50%", Some(true)),
            ("(ipc > 1 || mpki < 20) && slowdown < 10%", Some(false)),
            ("bandwidth < 500MiB/s", None),
        ] {
            assert_eq!(holds(text), expected, "{text}");
        }
        assert_eq!(Slo::parse("mpki<1||ipc>1").unwrap().metrics(), ["ipc", "mpki"]);
    }

    #[test]
    fn mistakes_are_named() {
        let deep = "(".repeat(100);
        for (text, needle) in [
            ("", "`` is no metric"),
            ("speed > 1", "`speed` is no metric; there are ipc"),
            ("ipc", "one of < <= > >="),
            ("ipc == 1", "one of <"),
            ("ipc > fast", "`fast` is no value of ipc"),
            ("ipc > -1", "is no value"),
            ("ipc > NaN", "is no value"),
            ("occupancy < 8 sheep", "is too much"),
            ("occupancy < 8sheep", "8MiB"),
            ("(ipc > 1", "not closed"),
            ("ipc > 1 mpki < 2", "too much"),
            ("ipc > 1 &&", "is no metric"),
            (&deep, "deeper"),
        ] {
            let error = Slo::parse(text).unwrap_err().to_string();
            assert!(error.contains(needle), "{text}: {error}");
        }
    }
}
