//! Rows of one window: the host's, and all that hangs on it.

use rusqlite::{Connection, params};
use waytrace_model::monitor::{CollectorShare, HostWindow, Metric, TargetWindow};

use super::columns::{self, Keys};
use super::fold::{Numbers, Own};
use super::names::{Kind, Names};
use crate::codec::{Quantity, finite, to_json};

/// Number of what was too small to be kept under its own name.
pub(super) const OTHERS: i64 = 0;

/// The host's row of a window or a step.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct HostRow {
    /// Monitor that measured it; of a step the last one.
    pub session: i64,
    /// 0, or the step's length.
    pub step_ns: u64,
    /// Start; of a step its own.
    pub start_unix_ns: u64,
    /// Start of the first window.
    pub first_unix_ns: u64,
    /// End of the last window.
    pub last_unix_ns: u64,
    /// Start of the first window by `CLOCK_BOOTTIME`.
    pub start_boot_ns: u64,
    /// Position of the first window in its session.
    pub position: u64,
    /// Time measured.
    pub length_ns: u64,
    /// Windows.
    pub windows: u64,
    /// What watching cost.
    pub own: Own,
}

impl HostRow {
    /// Of one window.
    pub(super) fn of(window: &HostWindow, session: i64) -> Self {
        Self {
            session,
            step_ns: 0,
            start_unix_ns: window.start_unix_ns,
            first_unix_ns: window.start_unix_ns,
            last_unix_ns: window.start_unix_ns.saturating_add(window.length_ns),
            start_boot_ns: window.start_boot_ns,
            position: window.index,
            length_ns: window.length_ns,
            windows: 1,
            own: Own::of(window),
        }
    }

    /// Adds another stretch of time.
    pub(super) fn add(&mut self, other: &Self) {
        self.own = self.own.with(self.length_ns, &other.own, other.length_ns);
        if other.first_unix_ns < self.first_unix_ns {
            self.first_unix_ns = other.first_unix_ns;
            self.start_boot_ns = other.start_boot_ns;
            self.position = other.position;
        }
        self.session = self.session.max(other.session);
        self.last_unix_ns = self.last_unix_ns.max(other.last_unix_ns);
        self.length_ns = self.length_ns.saturating_add(other.length_ns);
        self.windows = self.windows.saturating_add(other.windows);
    }

    /// Inserts it, and gives its number back.
    pub(super) fn insert(&self, connection: &Connection) -> rusqlite::Result<i64> {
        let mut insert = connection.prepare_cached(
            "INSERT INTO monitor_window (session_id, step_ns, start_unix_ns, first_unix_ns, last_unix_ns, start_boot_ns,
                 position, length_ns, windows, folded, page_bytes, cpu_pct, recording_cpu_pct, rss_bytes, open_files,
                 probes, store_bytes, store_waiting)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, 0, ?11, ?12, ?13, ?14, ?15, ?16, ?17)",
        )?;
        insert.execute(params![
            self.session,
            Quantity(self.step_ns),
            Quantity(self.start_unix_ns),
            Quantity(self.first_unix_ns),
            Quantity(self.last_unix_ns),
            Quantity(self.start_boot_ns),
            Quantity(self.position),
            Quantity(self.length_ns),
            Quantity(self.windows),
            self.step_ns > 0,
            self.own.cpu_pct,
            self.own.recording_cpu_pct,
            self.own.rss_bytes,
            self.own.open_files,
            self.own.probes,
            self.own.store_bytes,
            self.own.store_waiting,
        ])?;
        Ok(connection.last_insert_rowid())
    }

    /// Puts it in the place of row `id`.
    pub(super) fn update(&self, connection: &Connection, id: i64) -> rusqlite::Result<()> {
        let mut update = connection.prepare_cached(
            "UPDATE monitor_window SET session_id = ?2, first_unix_ns = ?3, last_unix_ns = ?4, start_boot_ns = ?5,
                 position = ?6, length_ns = ?7, windows = ?8, cpu_pct = ?9, recording_cpu_pct = ?10, rss_bytes = ?11,
                 open_files = ?12, probes = ?13, store_bytes = ?14, store_waiting = ?15
             WHERE id = ?1",
        )?;
        let row = params![
            id,
            self.session,
            Quantity(self.first_unix_ns),
            Quantity(self.last_unix_ns),
            Quantity(self.start_boot_ns),
            Quantity(self.position),
            Quantity(self.length_ns),
            Quantity(self.windows),
            self.own.cpu_pct,
            self.own.recording_cpu_pct,
            self.own.rss_bytes,
            self.own.open_files,
            self.own.probes,
            self.own.store_bytes,
            self.own.store_waiting,
        ];
        update.execute(row).map(drop)
    }
}

/// Stores a window with all its targets.
pub(super) fn window(
    connection: &Connection,
    names: &mut Names,
    session: i64,
    window: &HostWindow,
) -> rusqlite::Result<i64> {
    let (id, now) = (HostRow::of(window, session).insert(connection)?, window.start_unix_ns);
    for target in &window.targets {
        self::target(connection, names, id, window, target)?;
    }
    for name in &window.missing {
        let target = names.id(connection, Kind::Target, name, now)?;
        missing(connection, id, target, window.length_ns)?;
    }
    for share in &window.collectors {
        let name = names.id(connection, Kind::Name, &share.name, now)?;
        let reason = share.reason.as_deref().map(|reason| names.id(connection, Kind::Name, reason, now));
        let tool_cpu_ns = tool_cpu_ns(share, window.length_ns);
        let state = (name, share.state.as_str(), reason.transpose()?);
        collector(connection, id, state, window.length_ns, tool_cpu_ns)?;
    }
    for (kind, count) in &window.loss.0 {
        loss(connection, id, kind, *count)?;
    }
    Ok(id)
}

fn tool_cpu_ns(share: &CollectorShare, length_ns: u64) -> f64 {
    finite(share.tool_cpu_pct) / 100.0 * length_ns as f64
}

fn target(
    connection: &Connection,
    names: &mut Names,
    id: i64,
    host: &HostWindow,
    window: &TargetWindow,
) -> rusqlite::Result<()> {
    let (now, length_ns) = (host.start_unix_ns, host.length_ns);
    let target = names.id(connection, Kind::Target, &window.target, now)?;
    let absent = match window.absent.is_empty() {
        true => None,
        false => Some(names.id(connection, Kind::Name, &to_json(&window.absent)?, now)?),
    };
    let sizes: Vec<f64> = window.sizes.iter().map(|bytes| finite(*bytes)).collect();
    let keys = Keys { window: id, target, absent, sizes: &sizes };
    columns::put(connection, &keys, &Numbers::of(window, length_ns))?;
    let seconds = length_ns as f64 / 1e9;
    for one in window.sites.iter().take(TargetWindow::MAX_SITES) {
        let name = names.id(connection, Kind::Name, &one.name, now)?;
        let amounts = (finite(one.alloc_per_s * seconds), finite(one.bytes_per_s * seconds));
        site(connection, (id, target, name), amounts)?;
    }
    // A share is of samples; without their number all windows weigh alike.
    let samples = window.values.get(Metric::Samples).filter(|samples| *samples > 0.0).unwrap_or(1.0);
    for one in window.regions.iter().take(TargetWindow::MAX_SITES) {
        let name = names.id(connection, Kind::Name, &one.name, now)?;
        let share = finite(one.share_ratio) * samples;
        region(connection, (id, target, name), (share, share * finite(one.store_ratio)))?;
    }
    Ok(())
}

/// Adds to what a caller did; the key is window, target, name.
pub(super) fn site(
    connection: &Connection,
    (window, target, name): (i64, i64, i64),
    (alloc_count, alloc_bytes): (f64, f64),
) -> rusqlite::Result<()> {
    let mut add = connection.prepare_cached(
        "INSERT INTO monitor_site (window_id, target_id, name_id, alloc_count, alloc_bytes) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT DO UPDATE SET alloc_count = alloc_count + excluded.alloc_count,
                                   alloc_bytes = alloc_bytes + excluded.alloc_bytes",
    )?;
    add.execute(params![window, target, name, alloc_count, alloc_bytes]).map(drop)
}

/// Adds to the samples of a region.
pub(super) fn region(
    connection: &Connection,
    (window, target, name): (i64, i64, i64),
    (samples, stores): (f64, f64),
) -> rusqlite::Result<()> {
    let mut add = connection.prepare_cached(
        "INSERT INTO monitor_region (window_id, target_id, name_id, samples, stores) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT DO UPDATE SET samples = samples + excluded.samples, stores = stores + excluded.stores",
    )?;
    add.execute(params![window, target, name, samples, stores]).map(drop)
}

/// Adds to the time a target had no process.
pub(super) fn missing(
    connection: &Connection,
    window: i64,
    target: i64,
    length_ns: u64,
) -> rusqlite::Result<()> {
    let mut add = connection.prepare_cached(
        "INSERT INTO monitor_missing (window_id, target_id, length_ns) VALUES (?1, ?2, ?3)
         ON CONFLICT DO UPDATE SET length_ns = length_ns + excluded.length_ns",
    )?;
    add.execute(params![window, target, Quantity(length_ns)]).map(drop)
}

/// Adds to the time a collector (its name, its state, and why) was in a state.
pub(super) fn collector(
    connection: &Connection,
    window: i64,
    (name, state, reason): (i64, &str, Option<i64>),
    length_ns: u64,
    tool_cpu_ns: f64,
) -> rusqlite::Result<()> {
    let mut add = connection.prepare_cached(
        "INSERT INTO monitor_collector (window_id, name_id, state, reason_id, length_ns, tool_cpu_ns)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT DO UPDATE SET length_ns = length_ns + excluded.length_ns,
             tool_cpu_ns = tool_cpu_ns + excluded.tool_cpu_ns, reason_id = coalesce(excluded.reason_id, reason_id)",
    )?;
    add.execute(params![window, name, state, reason, Quantity(length_ns), tool_cpu_ns]).map(drop)
}

/// Adds to what was lost.
pub(super) fn loss(connection: &Connection, window: i64, kind: &str, count: u64) -> rusqlite::Result<()> {
    let mut add = connection.prepare_cached(
        "INSERT INTO monitor_loss (window_id, kind, count) VALUES (?1, ?2, ?3)
         ON CONFLICT DO UPDATE SET count = count + excluded.count",
    )?;
    add.execute(params![window, kind, Quantity(count)]).map(drop)
}
