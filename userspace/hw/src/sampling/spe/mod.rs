//! Arm's statistical profiling extension: what the processor writes into the AUX area, as samples.
//!
//! Total: any bytes give packets, and what is none is passed over and counted. Not verified on hardware. Source: Arm
//! Architecture Reference Manual (DDI 0487), "Statistical Profiling Extension Sample Record Specification".

mod packet;
mod record;

pub use packet::{Packet, Packets};
pub use record::{Operation, Records, SpeRecord};
