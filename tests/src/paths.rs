//! Where things lie, found from the running executable, so that a moved target directory still works.

use std::env;
use std::path::PathBuf;

/// Cargo's target directory: the nearest folder above this executable that holds `CACHEDIR.TAG`.
///
/// Falls back to `target` in the workspace, where the executable was not built by cargo.
pub fn target_dir() -> PathBuf {
    let exe = env::current_exe().unwrap_or_default();
    let found = exe.ancestors().find(|folder| folder.join("CACHEDIR.TAG").exists());
    found.map_or_else(|| workspace_dir().join("target"), PathBuf::from)
}

/// The workspace's root folder.
pub fn workspace_dir() -> PathBuf {
    let package = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    package.parent().map(PathBuf::from).unwrap_or(package)
}

/// The source of a workload, `malloc_sizes.c`.
pub fn workload_source(file: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("workloads").join(file)
}

/// The binary under test: `$WAYTRACE_BIN`, else the release build.
pub fn waytrace_binary() -> PathBuf {
    env::var_os("WAYTRACE_BIN").map_or_else(|| target_dir().join("release/waytrace"), PathBuf::from)
}
