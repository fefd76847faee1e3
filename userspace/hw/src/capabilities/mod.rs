//! What this machine permits: the data of `waytrace doctor`.
//!
//! [`Facts`] are read, [`Attempts`] are made, and [`judge`] concludes from both, which is why it can be tested on
//! machines that are not at hand. Changes nothing that lasts.

mod attempts;
mod bpf;
mod cache_rows;
mod facts;
mod features;
mod kernel;
mod machine_state;
mod privilege;
mod steady_rows;
mod uprobe;

pub use attempts::{Attempt, Attempts, ProcessAccess};
pub use facts::{Facts, PmuFacts, RdtFacts, TracefsFacts};
pub use features::{Feature, PROFILE, State, judge};
pub use kernel::{Kernel, OptionState};
pub use machine_state::{CacheFacts, FrequencyFacts, LeftFacts};
pub use privilege::CAPABILITY_NAMES;
use serde::Serialize;

use crate::{Machine, Root};

/// Facts, attempts and conclusions.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Capabilities {
    /// What was read.
    pub facts: Facts,
    /// What was tried.
    pub attempts: Attempts,
    /// What follows for each feature of waytrace.
    pub features: Vec<Feature>,
}

impl Capabilities {
    /// Examines the machine whose files are under `root`; attempts always concern the running one.
    pub fn gather(root: Root) -> Self {
        let machine = Machine::new(root);
        let facts = Facts::read(&machine);
        let attempts = Attempts::make(&machine);
        let features = judge(&facts, &attempts);
        Self { facts, attempts, features }
    }

    /// The conclusion about a feature.
    pub fn feature(&self, name: &str) -> Option<&Feature> {
        self.features.iter().find(|feature| feature.name == name)
    }
}
