//! The two text forms of metrics: OpenMetrics 1.0 and Prometheus 0.0.4.
//!
//! They differ in where a counter's `_total` stands, in units, which only the former tells, in info, and in the last line.

use std::fmt::Write;

/// Which of the forms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::web) enum Format {
    OpenMetrics,
    Prometheus,
}

/// What a family's numbers are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Info,
}

impl Format {
    /// The form a client prefers by its `Accept` header; OpenMetrics has to be named.
    pub(in crate::web) fn negotiate(accept: &str) -> Self {
        let (mut open, mut plain) = (0.0, 0.0);
        for offer in accept.split(',') {
            let mut parts = offer.split(';').map(str::trim);
            let media = parts.next().unwrap_or_default();
            let (mut quality, mut version) = (1.0, None);
            for part in parts {
                match part.split_once('=') {
                    Some(("q", value)) => quality = value.trim().parse().unwrap_or(0.0),
                    Some(("version", value)) => version = Some(value.trim().trim_matches('"')),
                    _ => {}
                }
            }
            if media.eq_ignore_ascii_case("application/openmetrics-text") {
                if matches!(version, None | Some("1.0.0" | "0.0.1")) {
                    open = f64::max(open, quality);
                }
            } else if media.eq_ignore_ascii_case("text/plain") {
                plain = f64::max(plain, quality);
            }
        }
        if open > 0.0 && open >= plain { Self::OpenMetrics } else { Self::Prometheus }
    }

    /// The `Content-Type`.
    pub(in crate::web) const fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// A page of metrics as it grows.
pub(super) struct Exposition {
    format: Format,
    text: String,
}

/// One family. Its header is written with its first sample, so that a family without any leaves no trace.
pub(super) struct Family<'a> {
    page: &'a mut Exposition,
    name: &'a str,
    kind: Kind,
    help: &'a str,
    is_begun: bool,
}

impl Exposition {
    pub(super) const fn new(format: Format) -> Self {
        Self { format, text: String::new() }
    }

    /// Begins a family. `name` is without `_total` and `_info`, which its samples get; a unit is its end.
    pub(super) const fn family<'a>(&'a mut self, name: &'a str, kind: Kind, help: &'a str) -> Family<'a> {
        Family { page: self, name, kind, help, is_begun: false }
    }

    /// A gauge without labels.
    pub(super) fn gauge(&mut self, name: &str, value: f64, help: &str) {
        self.family(name, Kind::Gauge, help).sample(&[], value);
    }

    /// A counter without labels.
    pub(super) fn counter(&mut self, name: &str, value: u64, help: &str) {
        self.family(name, Kind::Counter, help).sample(&[], value as f64);
    }

    pub(super) fn finish(mut self) -> String {
        if self.format == Format::OpenMetrics {
            self.text.push_str("# EOF\n");
        }
        self.text
    }

    fn header(&mut self, name: &str, kind: Kind, help: &str) {
        let (suffix, word) = match (self.format, kind) {
            (Format::OpenMetrics, Kind::Counter) => ("", "counter"),
            (Format::OpenMetrics, Kind::Info) => ("", "info"),
            (Format::Prometheus, Kind::Counter) => ("_total", "counter"),
            (Format::Prometheus, Kind::Info) => ("_info", "gauge"),
            (_, Kind::Gauge) => ("", "gauge"),
        };
        let unit = ["seconds", "bytes", "ratio"].into_iter().find(|unit| name.ends_with(&format!("_{unit}")));
        self.text.push_str(&format!("# HELP {name}{suffix} "));
        escape(help, &mut self.text);
        self.text.push_str(&format!("\n# TYPE {name}{suffix} {word}\n"));
        if let (Format::OpenMetrics, Some(unit)) = (self.format, unit) {
            self.text.push_str(&format!("# UNIT {name} {unit}\n"));
        }
    }
}

impl Family<'_> {
    /// A sample; what is not finite is none.
    pub(super) fn sample(&mut self, labels: &[(&str, &str)], value: f64) {
        if !value.is_finite() {
            return;
        }
        if !self.is_begun {
            self.is_begun = true;
            self.page.header(self.name, self.kind, self.help);
        }
        let text = &mut self.page.text;
        text.push_str(self.name);
        text.push_str(match self.kind {
            Kind::Counter => "_total",
            Kind::Info => "_info",
            Kind::Gauge => "",
        });
        for (position, (name, label)) in labels.iter().enumerate() {
            text.push(if position == 0 { '{' } else { ',' });
            text.push_str(name);
            text.push_str("=\"");
            escape(label, text);
            text.push('"');
        }
        if !labels.is_empty() {
            text.push('}');
        }
        // Writing to a string cannot fail.
        let _ = writeln!(text, " {value}");
    }
}

/// Backslash, quote and line end, as both forms have it.
fn escape(value: &str, text: &mut String) {
    for c in value.chars() {
        match c {
            '\\' => text.push_str("\\\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str("\\n"),
            c => text.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(format: Format) -> String {
        let mut page = Exposition::new(format);
        page.family("x_seconds", Kind::Counter, "Time.").sample(&[("target", "a\"b\\c\nd")], 1.5);
        page.family("x_build", Kind::Info, "Build.").sample(&[("version", "1"), ("os", "l")], 1.0);
        page.gauge("x_none", f64::NAN, "Never.");
        page.finish()
    }

    #[test]
    fn each_form_has_its_ways() {
        assert_eq!(
            page(Format::OpenMetrics),
            "# HELP x_seconds Time.\n# TYPE x_seconds counter\n# UNIT x_seconds seconds\n\
             x_seconds_total{target=\"a\\\"b\\\\c\\nd\"} 1.5\n\
             # HELP x_build Build.\n# TYPE x_build info\nx_build_info{version=\"1\",os=\"l\"} 1\n# EOF\n"
        );
        assert_eq!(
            page(Format::Prometheus),
            "# HELP x_seconds_total Time.\n# TYPE x_seconds_total counter\n\
             x_seconds_total{target=\"a\\\"b\\\\c\\nd\"} 1.5\n\
             # HELP x_build_info Build.\n# TYPE x_build_info gauge\nx_build_info{version=\"1\",os=\"l\"} 1\n"
        );
    }

    #[test]
    fn the_client_chooses() {
        let scraper =
            "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        assert_eq!(Format::negotiate(scraper), Format::OpenMetrics);
        assert_eq!(Format::negotiate("application/openmetrics-text"), Format::OpenMetrics);
        assert_eq!(Format::negotiate("text/plain, application/openmetrics-text;q=0.5"), Format::Prometheus);
        assert_eq!(Format::negotiate("application/openmetrics-text; version=2.0.0"), Format::Prometheus);
        for other in ["", "*/*", "text/html", "application/openmetrics-text;q=0", ";;=,q"] {
            assert_eq!(Format::negotiate(other), Format::Prometheus, "{other}");
        }
    }
}
