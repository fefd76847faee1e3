//! Telling a program: the message on its standard input, a few variables, a time it must end in.

use std::fs::File;
use std::io::{self, Seek as _, Write as _};
use std::os::fd::{FromRawFd as _, OwnedFd};
use std::process::{Command, Stdio};
use std::time::Instant;

use super::message::Message;
use super::worker::Attempt;
use crate::record::process::{Manner, Process};

/// Runs it once. What it prints to standard output is dropped, for that is the monitor's own.
pub fn run(words: &[String], message: &Message, deadline: Instant, is_over: impl Fn() -> bool) -> Attempt {
    let Some((program, arguments)) = words.split_first() else {
        return Attempt::Refused("no program".to_owned());
    };
    let input = match input(message) {
        Ok(input) => input,
        Err(error) => return Attempt::Failed(format!("its input: {error}")),
    };
    let mut command = Command::new(program);
    command.args(arguments).envs(message.variables()).stdin(input).stdout(Stdio::null());
    let manner = Manner { end_with_parent: Some(libc::SIGKILL), ..Manner::default() };
    let mut process = match Process::start(&mut command, manner) {
        Ok((process, _)) => process,
        Err(error) => return Attempt::Refused(format!("cannot start `{program}`: {error}")),
    };
    match process.wait_until(deadline, is_over) {
        Some(ended) if ended.code == 0 => Attempt::Delivered,
        // It may have done half of its work: whether to try again only it can know.
        Some(ended) => Attempt::Refused(format!("`{program}` ended with code {}", ended.code)),
        None => {
            process.kill();
            Attempt::Refused(format!("`{program}` did not end in time and was killed"))
        }
    }
}

/// A file in memory: a program that does not read its input delays nobody, as a full pipe would.
fn input(message: &Message) -> io::Result<Stdio> {
    // SAFETY: the name is a string that lives through the call.
    let fd = unsafe { libc::memfd_create(c"waytrace-alert".as_ptr(), libc::MFD_CLOEXEC) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just opened it for us.
    let mut file = File::from(unsafe { OwnedFd::from_raw_fd(fd) });
    file.write_all(&serde_json::to_vec(message)?)?;
    file.write_all(b"\n")?;
    file.rewind()?;
    Ok(file.into())
}
