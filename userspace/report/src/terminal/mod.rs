//! The compact plain-text summary `profile` and `show` print. No colour, no I/O, no decisions about the terminal.

mod accesses;
mod allocations;
mod counters;
mod honesty;
mod sites;

use waytrace_model::report::RunReport;
use waytrace_model::run::EndedBy;
use waytrace_model::units::{format_bytes, format_ns};

pub(crate) use counters::format_value;
pub(crate) use honesty::loss_meaning;

use crate::text::{cells, cut, cut_middle, plain, wrap};

/// Column the text starts at; what comes before it names the line.
const LABEL_WIDTH: usize = 13;
const WIDTH_MIN: usize = 60;
const WIDTH_MAX: usize = 160;

/// The run on one screen, in lines of at most `width` columns (clamped to 60–160).
pub fn summary(report: &RunReport, width: usize) -> String {
    let mut page = Page { width: width.clamp(WIDTH_MIN, WIDTH_MAX), text: String::new() };
    header(&mut page, report);
    counters::section(&mut page, report);
    allocations::section(&mut page, report);
    sites::section(&mut page, report);
    accesses::section(&mut page, report);
    honesty::section(&mut page, report);
    page.text
}

/// Lines of a summary; none leaves its width.
struct Page {
    width: usize,
    text: String,
}

impl Page {
    /// Columns right of the label.
    fn room(&self) -> usize {
        self.width - LABEL_WIDTH
    }

    fn blank(&mut self) {
        self.text.push('\n');
    }

    /// One line, cut where it would not fit.
    fn line(&mut self, text: &str) {
        self.text.push_str(cut(&plain(text), self.width).trim_end());
        self.text.push('\n');
    }

    /// `label      text`, wrapped at spaces under itself.
    fn labelled(&mut self, label: &str, text: &str) {
        let room = self.room();
        for (index, piece) in wrap(&plain(text), room).iter().enumerate() {
            let label = if index == 0 { label } else { "" };
            self.line(&format!("{}{piece}", padded(label, LABEL_WIDTH)));
        }
    }
}

/// `text` and spaces up to `width` columns.
fn padded(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(cells(text))))
}

fn header(page: &mut Page, report: &RunReport) {
    let (run, target, host) = (&report.run, &report.target, &report.host);
    let name = cut_middle(&plain(&run.name), page.width / 3);
    page.line(&format!(
        "{name} (run {}): {} in {} windows of {}, {}",
        run.id,
        format_ns(run.duration_ns as f64),
        run.windows,
        format_ns(run.interval_ns as f64),
        ended(report)
    ));
    let comm = plain(&target.comm);
    let room = page.room().saturating_sub(cells(&comm) + 14);
    let cmdline = cut_middle(&plain(&target.cmdline), room);
    page.line(&format!("{}{comm} [{}] {cmdline}", padded("target", LABEL_WIDTH), target.tgid));
    let hypervisor = host.hypervisor.as_ref().map(|name| format!(" under {name}")).unwrap_or_default();
    page.labelled(
        "machine",
        &format!(
            "{}: Linux {} {}{hypervisor}, {} CPUs, {}",
            cut_middle(&host.hostname, 24),
            host.kernel,
            host.arch,
            host.cpus_online,
            format_bytes(host.memory_bytes as f64)
        ),
    );
    page.labelled("started", &run.started_at);
}

fn ended(report: &RunReport) -> String {
    let exit = report.run.exit_code.map(|code| format!(" with code {code}")).unwrap_or_default();
    match report.run.ended_by {
        EndedBy::Duration => "ended by duration".to_owned(),
        EndedBy::Interrupt => "ended by interrupt".to_owned(),
        EndedBy::TargetExit => format!("target exited{exit}"),
        EndedBy::StoreFailure => "ended by a store failure".to_owned(),
        EndedBy::Unfinished => "unfinished: waytrace was killed".to_owned(),
    }
}
