//! What every test here needs: workloads that speak the ready protocol, the binary under test, and what it reported.

pub mod bpf;
pub mod disk;
pub mod live;
pub mod measurement;
pub mod memory;
pub mod pipes;
pub mod report;
pub mod simulated;
pub mod skip;
pub mod truth;
pub mod waytrace;
pub mod workload;
