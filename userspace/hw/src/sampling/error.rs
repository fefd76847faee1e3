//! Why a machine has no source of precise samples.

/// What is missing, and how to mend it.
#[derive(Debug, thiserror::Error)]
pub enum NoSource {
    /// A virtual machine without a PMU, or a CPU without such events.
    #[error(
        "no PMU here gives addresses of memory accesses (looked for ibs_op, arm_spe_0, mem-loads of the core PMU; there \
         are: {}); the forward walk needs none, or name events with --read-event and --write-event", .present.join(", ")
    )]
    Nothing {
        /// PMUs there are.
        present: Vec<String>,
    },
    /// An event given by name that cannot be sampled.
    #[error(transparent)]
    Event(#[from] crate::Error),
    /// An event the kernel keeps as a number per task, and that has no addresses.
    #[error("event `{event}` has no addresses; name one of loads or stores, as `cpu/mem-loads/`")]
    NoAddresses {
        /// As given.
        event: String,
    },
    /// Events of two sources.
    #[error("--read-event and --write-event are of two kinds of PMU; name events of one")]
    Mixed,
}
