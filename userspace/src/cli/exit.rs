//! Exit codes: 0 ok, 1 measurement incomplete, 2 usage or permission, 3 internal; with `-- CMD`, CMD's own.
//!
//! Internal is what neither another request nor another right would mend.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use waytrace_store::StoreError;

use super::Outcome;
use super::output::{plain, say};

/// The run has begun, and was not measured to its end.
pub const INCOMPLETE: u8 = 1;
const REFUSED: u8 = 2;
const INTERNAL: u8 = 3;

/// Context of an error that ends a run under way.
#[derive(Debug)]
pub struct Incomplete;

impl std::fmt::Display for Incomplete {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the run is incomplete, what was stored until now is kept")
    }
}

/// Context of an error that ends a measurement under way, which can be gone on with: its name.
#[derive(Debug)]
pub struct Resumable(pub String);

impl std::fmt::Display for Resumable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = plain(&self.0);
        write!(f, "measurement {name} is incomplete, and `--resume {name}` goes on when this is mended")
    }
}

/// Runs a command to its exit code, saying in one line why it failed.
pub fn of(command: impl FnOnce() -> Outcome) -> ExitCode {
    match catch_unwind(AssertUnwindSafe(command)) {
        Ok(Ok(code)) => code,
        Ok(Err(error)) => {
            say(&one_line(&error));
            ExitCode::from(code(&error))
        }
        // The panic has said where and why.
        Err(_) => ExitCode::from(INTERNAL),
    }
}

fn code(error: &anyhow::Error) -> u8 {
    let is_internal = |cause: &(dyn std::error::Error + 'static)| {
        cause.downcast_ref::<StoreError>().is_some_and(StoreError::is_internal)
            || cause.downcast_ref::<waytrace_trace::Error>().is_some_and(waytrace_trace::Error::is_internal)
    };
    if error.is::<Incomplete>() || error.is::<Resumable>() {
        INCOMPLETE
    } else if error.chain().any(is_internal) {
        INTERNAL
    } else {
        REFUSED
    }
}

/// An error and its causes on one line; a cause its effect already quotes is not said twice.
fn one_line(error: &anyhow::Error) -> String {
    let mut line = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if line.is_empty() {
            line = cause;
        } else if !line.contains(&cause) {
            line = format!("{line}: {cause}");
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use std::io;

    use anyhow::{Context as _, anyhow};
    use waytrace_trace::Error as Trace;

    use super::*;

    #[test]
    fn errors_are_sorted_by_who_can_mend_them() {
        let denied = || io::Error::from_raw_os_error(libc::EPERM);
        let broken = || io::Error::from_raw_os_error(libc::EIO);
        let call = |source| Trace::Syscall { what: "attaching".to_owned(), source };
        let cases: [(anyhow::Error, u8); 8] = [
            (anyhow!("no such option"), REFUSED),
            (StoreError::Absent { path: "runs.db".into() }.into(), REFUSED),
            (Trace::PidNamespace.into(), REFUSED),
            (Trace::Permission(denied()).into(), REFUSED),
            (call(denied()).into(), REFUSED),
            (call(broken()).into(), INTERNAL),
            (Trace::Missing("RING".to_owned()).into(), INTERNAL),
            (Trace::UnknownField("task_struct", "pid").into(), INTERNAL),
        ];
        for (error, expected) in cases {
            assert_eq!(code(&error), expected, "{error}");
            let message = error.to_string();
            let deep = Err::<(), _>(error).context("reading the run back").unwrap_err();
            assert_eq!(code(&deep), expected, "{deep:#}");
            let late = Err::<(), _>(deep).context(Incomplete).unwrap_err();
            assert_eq!(code(&late), INCOMPLETE, "{late:#}");
            assert!(one_line(&late).contains(&message), "{late:#}");
            let late = Err::<(), _>(late).context(Resumable("long".to_owned())).unwrap_err();
            assert_eq!(code(&late), INCOMPLETE, "{late:#}");
            assert!(one_line(&late).contains("--resume long"), "{late:#}");
        }
    }

    #[test]
    fn a_panic_is_internal() {
        let code = of(|| std::panic::resume_unwind(Box::new(())));
        assert_eq!(code, ExitCode::from(INTERNAL));
        assert_eq!(of(|| Ok(ExitCode::from(7))), ExitCode::from(7));
        assert_eq!(of(|| Err(anyhow!("no such option"))), ExitCode::from(REFUSED));
    }
}
