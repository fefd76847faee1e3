//! A test that cannot run says why. Straight to the terminal: the test runner captures what `println!` prints.

use std::io::{self, Write};
use std::path::Path;

/// Says that the running test cannot run here.
pub fn say(reason: &str) {
    let name = std::thread::current().name().unwrap_or("a test").to_owned();
    let line = format!("\nSKIP: {reason} ({name})\n");
    io::stderr().write_all(line.as_bytes()).unwrap();
}

/// The value, or the end of the running test with its reason.
#[macro_export]
macro_rules! or_skip {
    ($result:expr) => {
        match $result {
            Ok(value) => value,
            Err(reason) => return $crate::harness::skip::say(&reason.to_string()),
        }
    };
}

/// Whether a program is there to be run.
///
/// # Errors
/// The reason to skip.
pub fn program(name: &str, package: &str) -> Result<(), String> {
    let path = std::env::var("PATH").unwrap_or_default();
    let found = path.split(':').any(|folder| Path::new(folder).join(name).is_file());
    found.then_some(()).ok_or(format!("no `{name}` on this machine; install {package}"))
}
