//! `kernel.perf_event_paranoid`: who may open perf events.
//!
//! Up to 2 CAP_PERFMON is enough everywhere. Above it, where Debian's (3) and Ubuntu's (4) begin, their kernels ask for CAP_SYS_ADMIN; kernels without their
//! change take such a value for 2. Tried on Debian's Linux 6.12.

use crate::Root;

/// Up to this value CAP_PERFMON is enough on every kernel.
pub const MOST_FOR_PERFMON: i64 = 2;

/// The setting of a machine; `None` where it cannot be read.
pub fn level(root: &Root) -> Option<i64> {
    root.read_number("proc/sys/kernel/perf_event_paranoid")
}

/// What lets a process open perf events.
pub(crate) fn remedy(level: Option<i64>) -> &'static str {
    match level {
        Some(level) if level > MOST_FOR_PERFMON => {
            "run as root, or grant CAP_PERFMON and set `sysctl kernel.perf_event_paranoid=2`: above 2 the kernels of Debian and Ubuntu ask for CAP_SYS_ADMIN"
        }
        _ => "run as root, grant CAP_PERFMON, or set `sysctl kernel.perf_event_paranoid=-1`",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn above_two_the_remedy_is_another() {
        assert!(remedy(Some(3)).contains("=2`") && remedy(Some(2)).contains("=-1`"));
        assert!(remedy(None).contains("CAP_PERFMON"));
    }
}
