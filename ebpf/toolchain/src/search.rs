//! Where to look for compilers and for the linker.

use crate::{Compiler, CompilerGap, Lack, Missing, Origin, Toolchain};
use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The places that are searched; [`Search::from_env`] is this machine's.
#[derive(Debug, Clone)]
pub struct Search {
    /// The folders of `PATH`.
    pub path: Vec<PathBuf>,
    /// Cargo's home: `bin/` in it is searched after `PATH`.
    pub cargo_home: Option<PathBuf>,
    /// Prefix of the distribution's packages: `/usr`.
    pub prefix: PathBuf,
}

/// Finds a toolchain on this machine.
///
/// # Errors
/// [`Missing`] lists what lacks and the commands that would mend it.
pub fn find() -> Result<Toolchain, Missing> {
    Search::from_env().find()
}

impl Search {
    /// The places this process's environment names.
    #[must_use]
    pub fn from_env() -> Self {
        let home = || env::var_os("HOME").map(|home| Path::new(&home).join(".cargo"));
        Self {
            path: env::var_os("PATH").map(|path| env::split_paths(&path).collect()).unwrap_or_default(),
            cargo_home: env::var_os("CARGO_HOME").map(PathBuf::from).or_else(home),
            prefix: PathBuf::from("/usr"),
        }
    }

    /// Finds a toolchain in these places: rustup's nightly, its other toolchains, the distribution's.
    ///
    /// # Errors
    /// [`Missing`] lists what lacks and the commands that would mend it.
    pub fn find(&self) -> Result<Toolchain, Missing> {
        let linker = self.executable("bpf-linker");
        let compiler = self.rustup().or_else(|rustup| {
            Compiler::probe(Origin::Distribution, &self.prefix).map_err(|distribution| (rustup, distribution))
        });
        match (compiler, linker) {
            (Ok(compiler), Some(linker)) => Ok(Toolchain { compiler, linker }),
            (compiler, linker) => Err(Missing { compilers: compiler.err(), linker: linker.is_none() }),
        }
    }

    /// The first file of that name in `PATH` or in cargo's bin folder.
    #[must_use]
    pub fn executable(&self, name: &str) -> Option<PathBuf> {
        let cargo_bin = self.cargo_home.iter().map(|home| home.join("bin"));
        self.path.iter().cloned().chain(cargo_bin).map(|folder| folder.join(name)).find(|file| file.is_file())
    }

    /// The first usable one of rustup's toolchains, nightlies before the rest: stable ones do as well, if
    /// they have core's source, because the build allows itself unstable options. The gap reported is the
    /// first nightly's.
    fn rustup(&self) -> Result<Compiler, CompilerGap> {
        let gap = |place: &str, lack| CompilerGap { place: place.to_owned(), lack };
        let rustup = self.executable("rustup").ok_or_else(|| gap("rustup", Lack::Rustup))?;
        let output = Command::new(&rustup).args(["toolchain", "list", "-v"]).output();
        let listing = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
        let mut sysroots = toolchains(&listing.unwrap_or_default());
        sysroots.sort_by_key(|(name, _)| !name.starts_with("nightly"));
        let mut first_gap = None;
        for (name, sysroot) in sysroots {
            match Compiler::probe(Origin::Rustup, &sysroot) {
                Ok(compiler) => return Ok(compiler),
                Err(gap) if name.starts_with("nightly") => first_gap = first_gap.or(Some(gap)),
                Err(_) => {}
            }
        }
        Err(first_gap.unwrap_or_else(|| gap("rustup's nightly channel", Lack::Compiler)))
    }
}

/// Names and folders from `rustup toolchain list -v`: `nightly-x86_64-… (active) /…/toolchains/nightly-x86_64-…`.
fn toolchains(listing: &str) -> Vec<(String, PathBuf)> {
    let one = |line: &str| {
        let name = line.split_whitespace().next()?;
        let path = line.get(line.find('/')?..)?;
        Some((name.to_owned(), PathBuf::from(path.trim_end())))
    };
    listing.lines().filter_map(one).collect()
}
