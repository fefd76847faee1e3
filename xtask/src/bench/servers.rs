//! Programs of Debian's packages as targets: a redis-server without persistence, a busy python3.

use super::context::Context;
use super::peers;
use super::process::Process;
use anyhow::{Result, bail};
use std::path::PathBuf;
use std::process::Command;

/// A redis-server on a socket of its own, on the targets' CPU.
pub struct Redis {
    pub process: Process,
    pub socket: PathBuf,
}

impl Redis {
    /// Starts it; returns when it takes connections.
    pub fn start(context: &Context) -> Result<Self> {
        if let Some(why) = peers::missing("redis-server") {
            bail!(why);
        }
        let socket = context.folder.join("redis.sock");
        let mut command = Command::new("redis-server");
        command.args(["--port", "0", "--save", "", "--appendonly", "no", "--unixsocket"]).arg(&socket);
        let mut process = Process::start(command.current_dir(&context.folder), context.cpus.target)?;
        process.wait_for(|line| line.contains("ready to accept connections"))?;
        Ok(Self { process, socket })
    }
}

/// A python3 that makes and drops small objects, on the targets' CPU.
pub fn python(context: &Context) -> Result<Process> {
    if let Some(why) = peers::missing("python3") {
        bail!(why);
    }
    let script = "print('ready', flush=True)\nwhile True: [str(i) * 100 for i in range(1000)]";
    let mut process = Process::start(Command::new("python3").args(["-c", script]), context.cpus.target)?;
    process.wait_for(|line| line == "ready")?;
    Ok(process)
}
