//! Alerts: a row each, put again when it ends or its recording comes about.

use rusqlite::{Connection, Row, params};
use waytrace_model::monitor::{Alert, AlertEnd, RecordingLink};

use crate::codec::{Quantity, quantity, quantity_opt};

/// Puts an alert; rule, target and begin tell it apart.
pub(super) fn put(connection: &Connection, session: i64, alert: &Alert) -> rusqlite::Result<()> {
    let (recording, run, reason) = match &alert.recording {
        RecordingLink::None => ("none", None, None),
        RecordingLink::Running => ("running", None, None),
        RecordingLink::Run(name) => ("run", Some(name), None),
        RecordingLink::Failed(reason) => ("failed", None, Some(reason)),
    };
    let state = if alert.ended.is_some() { "ended" } else { "active" };
    let mut put = connection.prepare_cached(
        "INSERT INTO monitor_alert (session_id, rule, target, condition, detail, began_unix_ns, ended_unix_ns, state,
                                    recording, run, reason)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
         ON CONFLICT (rule, target, began_unix_ns) DO UPDATE SET session_id = excluded.session_id,
             detail = excluded.detail, ended_unix_ns = excluded.ended_unix_ns, state = excluded.state,
             recording = excluded.recording, run = excluded.run, reason = excluded.reason",
    )?;
    put.execute(params![
        session,
        alert.rule,
        alert.target,
        alert.when,
        alert.detail,
        Quantity(alert.began_unix_ns),
        alert.ended.map(|end| Quantity(end.at_unix_ns)),
        state,
        recording,
        run,
        reason,
    ])
    .map(drop)
}

/// Ends those that an earlier monitor left active: nobody knows whether they held after its last window.
pub(super) fn cut_short(connection: &Connection, session: i64) -> rusqlite::Result<()> {
    connection
        .execute(
            "UPDATE monitor_alert SET state = 'cut', ended_unix_ns = max(began_unix_ns, coalesce(
                 (SELECT max(last_unix_ns) FROM monitor_window WHERE monitor_window.session_id = monitor_alert.session_id
                  AND step_ns = 0), began_unix_ns)),
                 recording = iif(recording = 'running', 'failed', recording),
                 reason = iif(recording = 'running', 'the monitor ended before the recording did', reason)
             WHERE state = 'active' AND session_id <> ?1",
            [session],
        )
        .map(drop)
}

/// Alerts that held at any time from `from` to `to`, of one target or of all, the oldest first.
pub(super) fn in_range(
    connection: &Connection,
    (from, to): (u64, u64),
    target: Option<&str>,
) -> rusqlite::Result<Vec<Alert>> {
    let mut select = connection.prepare_cached(
        "SELECT * FROM monitor_alert WHERE began_unix_ns < ?2 AND coalesce(ended_unix_ns, ?1) >= ?1
             AND (?3 IS NULL OR target = ?3) ORDER BY began_unix_ns, id",
    )?;
    select.query_map(params![Quantity(from), Quantity(to), target], alert)?.collect()
}

fn alert(row: &Row<'_>) -> rusqlite::Result<Alert> {
    let text = |column: &str| row.get::<_, Option<String>>(column).map(Option::unwrap_or_default);
    Ok(Alert {
        rule: row.get("rule")?,
        target: row.get("target")?,
        when: row.get("condition")?,
        detail: row.get("detail")?,
        began_unix_ns: quantity(row, "began_unix_ns")?,
        ended: quantity_opt(row, "ended_unix_ns")?.map(|at_unix_ns| AlertEnd { at_unix_ns }),
        recording: match text("recording")?.as_str() {
            "running" => RecordingLink::Running,
            "run" => RecordingLink::Run(text("run")?),
            "failed" => RecordingLink::Failed(text("reason")?),
            _ => RecordingLink::None,
        },
    })
}
