//! What `monitor` and `top` see of a host, window by window.
//!
//! One shape flows everywhere: a [`HostWindow`] leaves the engine once a window and is stored, judged by rules, exported and shown. What was not
//! measured in a window is absent from [`Values`], and [`TargetWindow::absent`] says why.

mod alert;
mod history;
mod metric;
mod values;
mod window;

pub use alert::{Alert, AlertEnd, RecordingLink};
pub use history::{
    CollectorTotal, Gap, GapReason, HISTORY_SCHEMA_VERSION, HistoryOverview, MetricHistory, Point,
    ProcessSeen, RangeInfo, RegionTotal, SiteTotal, Step, TargetHistory, TargetOverview,
};
pub use metric::{Fold, Metric, Unit};
pub use values::Values;
pub use window::{
    CollectorShare, HostWindow, OwnCost, ProcessWindow, Region, ShareState, SiteRate, TargetWindow,
};
