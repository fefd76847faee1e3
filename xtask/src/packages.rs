//! The distribution's packages, where that is Debian or one of its kin.

use crate::privilege::Rights;
use crate::shell;
use anyhow::Result;
use std::process::Command;

/// Whether packages can be installed here: apt is there and this is root.
pub fn can_install() -> Result<bool> {
    Ok(on_path("apt-get") && Rights::mine()?.is_root())
}

/// Whether a program of that name can be started.
pub fn on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// A command to type: with `sudo` where this is not root.
pub fn as_root(command: &str) -> Result<String> {
    let prefix = if Rights::mine()?.is_root() { "" } else { "sudo " };
    Ok(command.replace("apt-get", &format!("{prefix}apt-get")))
}

/// The packages of `wanted` that are not installed; none where there is no dpkg to ask.
pub fn missing<'a>(wanted: &[&'a str]) -> Vec<&'a str> {
    let mut query = Command::new("dpkg-query");
    query.args(["--show", "--showformat=${Package} ${db:Status-Abbrev}\n"]).args(wanted);
    let Ok(output) = query.output() else { return Vec::new() };
    not_installed(wanted, &String::from_utf8_lossy(&output.stdout))
}

/// `listing` has one line per known package: its name and the state, `ii` for installed.
fn not_installed<'a>(wanted: &[&'a str], listing: &str) -> Vec<&'a str> {
    let installed = |package: &&str| {
        listing.lines().any(|line| {
            line.split_once(' ').is_some_and(|(name, state)| name == *package && state.starts_with("ii"))
        })
    };
    wanted.iter().copied().filter(|package| !installed(package)).collect()
}

/// The command that installs `packages`.
pub fn install_line(packages: &[&str]) -> String {
    format!("apt-get update && apt-get install -y --no-install-recommends {}", packages.join(" "))
}

/// Installs `packages`; whether that succeeded.
pub fn install(packages: &[&str]) -> Result<bool> {
    shell::line(&install_line(packages))
}

/// Installs those of `wanted` that are missing, where that can be done; otherwise says so, and the task goes on.
pub fn ensure(wanted: &[&str]) -> Result<()> {
    let missing = missing(wanted);
    if missing.is_empty() {
        return Ok(());
    }
    if !can_install()? {
        eprintln!("SKIP: not root or no apt, so going on without: {}", missing.join(" "));
    } else if !install(&missing)? {
        eprintln!("SKIP: apt could not install: {}", missing.join(" "));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn removed_and_unknown_packages_are_missing() {
        let listing = "redis-server ii \nmemcached rc \n";
        assert_eq!(not_installed(&["redis-server", "memcached", "gcc"], listing), ["memcached", "gcc"]);
    }
}
