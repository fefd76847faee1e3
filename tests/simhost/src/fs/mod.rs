//! The host as files: a tree of paths (`tree`), what its files hold (`device`, `proc`, `sysfs`), and the FUSE mount.

mod device;
mod filesystem;
mod handles;
pub mod mount;
mod proc;
mod sysfs;
mod tree;
