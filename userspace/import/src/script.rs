//! The text `perf script` prints, in whatever fields it was asked for: `[comm] [pid/]tid [cpu] time: [period] [event:] addr
//! [data_src] [weight] [ip symbol (file)] [phys_addr] [page size]`.
//!
//! perf prints fields always in this order. Which numbers are which follows from what stands beside them; where that does
//! not decide, nothing is taken. Source: `tools/perf/builtin-script.c`.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use waytrace_hw::sampling::data_source::DataSource;
use waytrace_model::access::{AccessKind, Precise};

use crate::item::{Facts, Item, Place, Sample};
use crate::space::file_name;
use crate::{Directions, Error};

const MEND: &str = "print them: `perf script --ns -F comm,pid,tid,cpu,time,period,event,addr,ip,sym,dso` (recorded with `-d`)";

/// Lines longer than this are none of perf's.
const LONGEST: usize = 1 << 16;

/// A line as far as it was understood.
#[derive(Debug, Default, PartialEq)]
struct Line<'a> {
    comm: Option<&'a str>,
    tgid: Option<u32>,
    tid: Option<u32>,
    cpu: Option<u32>,
    time_ns: u64,
    period: Option<u64>,
    event: Option<&'a str>,
    address: Option<u64>,
    data_source: Option<DataSource>,
    latency_cycles: Option<u32>,
    ip: Option<u64>,
    symbol: Option<&'a str>,
    module: Option<&'a str>,
    physical_address: Option<u64>,
    page_bytes: Option<u64>,
}

/// Whether a line is a sample of perf's with at least an address or an instruction.
pub fn is_sample(line: &str) -> bool {
    parse(line).is_some_and(|line| line.address.is_some() || line.ip.is_some())
}

/// Reads a file, item by item.
pub fn scan(path: &Path, directions: &Directions, take: &mut dyn FnMut(u64, Item)) -> Result<Facts, Error> {
    let mut reader = BufReader::with_capacity(1 << 18, File::open(path).map_err(Error::read(path))?);
    let mut facts = Facts { mend: MEND, ..Facts::default() };
    let mut events = HashMap::new();
    let mut comms = HashMap::new();
    let (mut bytes, mut strange) = (Vec::new(), 0_u64);
    loop {
        bytes.clear();
        if reader.read_until(b'\n', &mut bytes).map_err(Error::read(path))? == 0 {
            break;
        }
        let text = String::from_utf8_lossy(&bytes);
        let text = text.trim_end();
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        let Some(line) = (text.len() <= LONGEST).then(|| parse(text)).flatten() else {
            // Frames of a call chain stand on lines of their own, without a time.
            strange += u64::from(!text.starts_with(char::is_whitespace));
            continue;
        };
        let name = line.event.unwrap_or_default();
        let event = *events.entry(name.to_owned()).or_insert_with(|| {
            facts.events.push(name.to_owned());
            (facts.events.len() - 1, directions.of(name))
        });
        let tgid = line.tgid.or(line.tid).unwrap_or(0);
        if let Some(comm) = line.comm
            && comms.get(&tgid).is_none_or(|known| known != comm)
        {
            comms.insert(tgid, comm.to_owned());
            let tid = line.tid.unwrap_or(tgid);
            take(line.time_ns, Item::Named { tgid, tid, comm: comm.to_owned(), exec: false });
        }
        take(line.time_ns, Item::Sample(Box::new(line.sample(event))));
    }
    if strange > 0 {
        facts.note(format!("{strange} lines are no samples of perf's and were passed over"));
    }
    facts.note("text of perf script: it has no mappings, so no address is of a known one");
    Ok(facts)
}

impl Line<'_> {
    fn sample(&self, (event, kind): (usize, Option<AccessKind>)) -> Sample {
        let place = (self.symbol.is_some() || self.module.is_some()).then(|| self.place());
        let precise = Precise {
            latency_cycles: self.latency_cycles,
            served_by: self.data_source.and_then(DataSource::served_by).map(str::to_owned),
            page_bytes: self.page_bytes,
            physical_address: self.physical_address,
        };
        Sample {
            time_ns: self.time_ns,
            tgid: self.tgid.or(self.tid).unwrap_or(0),
            tid: self.tid.unwrap_or(0),
            cpu: self.cpu,
            ip: self.ip,
            place,
            address: self.address.filter(|address| *address != 0),
            kind: self.data_source.and_then(DataSource::kind).or(kind),
            period: self.period,
            event,
            in_kernel: self.ip.is_some_and(|ip| ip >> 63 != 0),
            precise: (precise != Precise::default()).then_some(precise),
        }
    }

    fn place(&self) -> Place {
        let symbol = self.symbol.filter(|symbol| *symbol != "[unknown]");
        let (name, offset) = match symbol.and_then(|symbol| symbol.rsplit_once("+0x")) {
            Some((name, offset)) => (Some(name), u64::from_str_radix(offset, 16).unwrap_or(0)),
            None => (symbol, 0),
        };
        Place {
            symbol: name.map(str::to_owned),
            offset: if name.is_some() { offset } else { self.ip.unwrap_or(0) },
            module: self.module.map(|module| file_name(module).to_owned()),
        }
    }
}

fn parse(text: &str) -> Option<Line<'_>> {
    let mut line = Line::default();
    let rest = line.head(text)?;
    let rest = line.event(rest);
    line.numbers(rest)?;
    Some(line)
}

fn hex(text: &str) -> Option<u64> {
    let digits = text.bytes().all(|byte| byte.is_ascii_hexdigit());
    (digits && !text.is_empty()).then(|| u64::from_str_radix(text, 16).ok())?
}

fn decimal(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// `SECONDS.FRACTION`, in nanoseconds.
pub fn seconds_ns(text: &str) -> Option<u64> {
    let (seconds, fraction) = text.split_once('.')?;
    if fraction.is_empty() || fraction.len() > 9 {
        return None;
    }
    let scale = 10_u64.pow(9 - fraction.len() as u32);
    decimal(seconds)?.checked_mul(1_000_000_000)?.checked_add(decimal(fraction)?.checked_mul(scale)?)
}

/// The first word of `text` and what follows it.
fn word(text: &str) -> (&str, &str) {
    let text = text.trim_start();
    text.split_at(text.find(char::is_whitespace).unwrap_or(text.len()))
}

impl<'a> Line<'a> {
    /// Everything up to the time; gives what follows. A comm may hold spaces, so the words before the time are read from
    /// behind.
    fn head(&mut self, text: &'a str) -> Option<&'a str> {
        let mut at = 0;
        let end = loop {
            let (found, rest) = word(text.get(at..)?);
            let end = text.len() - rest.len();
            if found.is_empty() {
                return None;
            }
            if let Some(time_ns) = found.strip_suffix(':').and_then(seconds_ns) {
                self.time_ns = time_ns;
                at = end - found.len();
                break end;
            }
            at = end;
        };
        let mut before = text.get(..at)?.trim();
        let mut last = |accept: &dyn Fn(&str) -> bool| {
            let start = before.rfind(char::is_whitespace).map_or(0, |space| space + 1);
            let found = before.get(start..).filter(|found| accept(found))?;
            before = before.get(..start).unwrap_or_default().trim_end();
            Some(found)
        };
        let is_cpu = |text: &str| text.starts_with('[') && text.ends_with(']');
        let cpu = last(&is_cpu).and_then(|text| decimal(text.trim_matches(['[', ']'])));
        self.cpu = cpu.and_then(|cpu| u32::try_from(cpu).ok());
        let is_ids = |text: &str| text.split('/').all(|part| decimal(part).is_some() || part == "-1");
        if let Some(ids) = last(&is_ids) {
            let (first, second) = ids.split_once('/').unwrap_or((ids, ids));
            self.tid = second.parse().ok();
            self.tgid = ids.contains('/').then(|| first.parse().ok()).flatten();
        }
        self.comm = Some(before).filter(|comm| !comm.is_empty());
        text.get(end..)
    }

    /// Period and event; gives what follows.
    fn event(&mut self, text: &'a str) -> &'a str {
        let (first, rest) = word(text);
        let (name, behind) = match decimal(first) {
            // A number before a name is the period; before another number it is no event at all.
            Some(period) if word(rest).0.ends_with(':') => {
                self.period = Some(period);
                word(rest)
            }
            _ => (first, rest),
        };
        match name.strip_suffix(':') {
            Some(event) if !event.is_empty() => {
                self.event = Some(event.trim_matches('"'));
                behind
            }
            _ => text,
        }
    }

    /// Addresses and what stands beside them.
    fn numbers(&mut self, text: &'a str) -> Option<()> {
        let (before, behind) = self.split_at_source(text);
        let mut rest = before;
        let mut numbers = Vec::new();
        loop {
            let (found, after) = word(rest);
            // A symbol such as `add` is hexadecimal too, but has an offset or a file behind it.
            let Some(number) =
                hex(found).filter(|_| !after.trim_start().starts_with('(') || numbers.is_empty())
            else {
                break;
            };
            numbers.push((found, number));
            rest = after;
        }
        if let Some(behind) = behind {
            self.address = numbers.first().map(|(_, number)| *number);
            return self.behind_source(behind);
        }
        let has_symbol = !rest.trim().is_empty();
        match (numbers.as_slice(), has_symbol) {
            // What stands before a symbol is its instruction.
            ([(_, ip)], true) => self.ip = Some(*ip),
            ([(_, address), (_, ip)], _) => (self.address, self.ip) = (Some(*address), Some(*ip)),
            ([(_, address), (weight, _), (_, ip)], _) => {
                (self.address, self.ip) = (Some(*address), Some(*ip));
                self.weight(weight);
            }
            ([(_, address)], false) => self.address = Some(*address),
            _ => return None,
        }
        self.symbol(rest);
        Some(())
    }

    /// `addr data_src |OP …|…|` and what follows the description, if there is one.
    fn split_at_source(&mut self, text: &'a str) -> (&'a str, Option<&'a str>) {
        let Some(bar) = text.find(" |OP ") else { return (text, None) };
        let (before, described) = text.split_at(bar);
        let start = before.trim_end().rfind(char::is_whitespace).map_or(0, |space| space + 1);
        self.data_source = hex(before.get(start..).unwrap_or_default().trim()).map(DataSource);
        // The last field of the description is one or two words, none of them a number.
        let end = described.find("|BLK").or_else(|| described.find("|LCK")).map_or(0, |at| at + "|BLK".len());
        let mut behind = described.get(end..).unwrap_or_default();
        while let (found, after) = word(behind)
            && !found.is_empty()
            && hex(found).is_none()
        {
            behind = after;
        }
        (before.get(..start).unwrap_or_default(), Some(behind))
    }

    /// `[weight] [ip symbol (file)] [phys_addr] [page size]`.
    fn behind_source(&mut self, text: &'a str) -> Option<()> {
        let (first, rest) = word(text);
        let (second, after) = word(rest);
        match (hex(first), hex(second)) {
            (Some(_), Some(ip)) if !after.trim_start().starts_with('(') || decimal(first).is_some() => {
                self.weight(first);
                self.ip = Some(ip);
                self.symbol(after);
            }
            (Some(ip), None) if !second.is_empty() => {
                self.ip = Some(ip);
                self.symbol(rest);
            }
            _ => {}
        }
        Some(())
    }

    fn weight(&mut self, text: &str) {
        self.latency_cycles =
            decimal(text).and_then(|cycles| u32::try_from(cycles).ok()).filter(|cycles| *cycles > 0);
    }

    /// `symbol+0xoffset (file)`, then physical address and page size. Symbols may hold spaces and parentheses.
    fn symbol(&mut self, text: &'a str) {
        let text = text.trim();
        let Some(open) = text.rfind(" (").or_else(|| text.starts_with('(').then_some(0)) else {
            self.symbol = Some(text).filter(|symbol| !symbol.is_empty());
            return;
        };
        let (symbol, file) = text.split_at(open);
        self.symbol = Some(symbol.trim()).filter(|symbol| !symbol.is_empty());
        let Some((file, behind)) = file.trim_start().strip_prefix('(').and_then(|file| file.rsplit_once(')'))
        else {
            return;
        };
        self.module = Some(file);
        let (physical, size) = word(behind);
        self.physical_address = hex(physical).filter(|address| *address != 0);
        self.page_bytes = page_bytes(size.trim());
    }
}

/// `4K`, `2M`, `1G`.
fn page_bytes(text: &str) -> Option<u64> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let shift = match unit {
        "K" => 10,
        "M" => 20,
        "G" => 30,
        _ => return None,
    };
    decimal(number)?.checked_mul(1 << shift)
}

#[cfg(test)]
#[path = "script_tests.rs"]
mod tests;
