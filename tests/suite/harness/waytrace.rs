//! The binary under test: run to its end, or attached to a process and stopped when the test says so.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use waytrace_model::report::RunReport;

use super::pipes::{DEADLINE, Lines};

/// What a finished command left.
#[derive(Debug)]
pub struct Finished {
    /// Exit code; negative: the signal that ended it.
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Finished {
    /// The JSON document on stdout; lines before it belong to a command waytrace started.
    pub fn json(&self) -> serde_json::Value {
        let start = self.stdout.find("\n{").map_or(0, |at| at + 1);
        let parsed = serde_json::from_str(&self.stdout[start..]);
        parsed.unwrap_or_else(|error| panic!("no JSON on stdout: {error}\n{self:#?}"))
    }

    /// The same as the contract's type.
    pub fn report(&self) -> RunReport {
        serde_json::from_value(self.json())
            .unwrap_or_else(|error| panic!("not a run report: {error}\n{self:#?}"))
    }

    /// Lines of stderr that say something.
    pub fn complaints(&self) -> Vec<&str> {
        self.stderr.lines().filter(|line| !line.trim().is_empty()).collect()
    }
}

/// The binary; tests without it fail rather than skip, for it can be built wherever they were.
pub fn binary() -> PathBuf {
    let path = waytrace_tests::paths::waytrace_binary();
    assert!(path.is_file(), "{} is missing: cargo build --release -p waytrace", path.display());
    path
}

/// A command of the binary with a clean environment.
pub fn command(args: &[&str]) -> Command {
    let mut command = Command::new(binary());
    command.args(args).env_remove("WAYTRACE_LOG").env("NO_COLOR", "1").stdin(Stdio::null());
    command
}

/// Runs the binary to its end.
pub fn run(args: &[&str]) -> Finished {
    Running::start(&mut command(args)).finish()
}

/// The binary, running; killed when dropped.
pub struct Running {
    child: Child,
    stdout: Lines,
    stderr: Lines,
}

impl Running {
    pub fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (stdout, stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        Self { child, stdout: Lines::of(stdout), stderr: Lines::of(stderr) }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until all probes are in place.
    pub fn await_attached(&mut self) {
        self.await_line("attached");
    }

    /// Waits for a line on stderr that has this part.
    pub fn await_line(&mut self, part: &str) {
        if self.stderr.wait_for(|line| line.contains(part)).is_none() {
            panic!("waytrace never said `{part}`:\n{}", self.stderr.seen.join("\n"));
        }
    }

    /// What it said on stderr until it was last waited for there: the rest of the line that has this part.
    pub fn said(&self, part: &str) -> Option<&str> {
        self.stderr.seen.iter().find_map(|line| Some(line.split_once(part)?.1))
    }

    /// Waits for the next line it prints.
    pub fn await_output(&mut self) {
        if self.stdout.wait_for(|_| true).is_none() {
            panic!("waytrace printed nothing:\n{}", self.stderr.read_to_end());
        }
    }

    /// Goes past what it has printed by now.
    pub fn skip_output(&mut self) {
        self.stdout.skip();
    }

    /// Asks it to end the run and keep the data, as Ctrl-C does.
    pub fn interrupt(&self) {
        self.signal(libc::SIGINT);
    }

    pub fn signal(&self, signal: i32) {
        // SAFETY: kill has no memory preconditions; the child has not been waited for, so its pid is its own.
        assert_eq!(unsafe { libc::kill(self.pid() as i32, signal) }, 0);
    }

    /// Waits for its end.
    pub fn finish(mut self) -> Finished {
        let deadline = Instant::now() + DEADLINE;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < deadline, "waytrace does not end:\n{}", self.stderr.seen.join("\n"));
            sleep(Duration::from_millis(5));
        };
        let signal = std::os::unix::process::ExitStatusExt::signal(&status);
        let code = status.code().unwrap_or_else(|| -signal.unwrap_or(0));
        Finished { code, stdout: self.stdout.read_to_end(), stderr: self.stderr.read_to_end() }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A folder with a database path in it that does not exist yet.
pub struct Store {
    folder: TempDir,
}

impl Store {
    pub fn new() -> Self {
        Self { folder: TempDir::new().unwrap() }
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn path(&self) -> PathBuf {
        self.folder.path().join("runs.db")
    }

    /// The path as an argument.
    pub fn arg(&self) -> String {
        self.path().to_str().unwrap().to_owned()
    }

    /// Runs a command on this database, which is named right after the command: what follows `--` is another's.
    pub fn run(&self, args: &[&str]) -> Finished {
        let path = self.arg();
        let mut all = vec![args[0], "--db", &path];
        all.extend(&args[1..]);
        run(&all)
    }

    /// How many runs it holds; 0 when it was never made.
    pub fn run_count(&self) -> u64 {
        run_count(&self.path())
    }
}

/// How many runs a database holds; 0 when there is none. Fails on one that SQLite finds damaged.
pub fn run_count(database: &Path) -> u64 {
    if !database.exists() {
        return 0;
    }
    let connection = rusqlite::Connection::open(database).unwrap();
    let check: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(check, "ok");
    let listed = run(&["list", "--json", "--db", database.to_str().unwrap()]);
    assert_eq!(listed.code, 0, "{listed:#?}");
    listed.json().as_array().unwrap_or_else(|| panic!("{listed:#?}")).len() as u64
}
