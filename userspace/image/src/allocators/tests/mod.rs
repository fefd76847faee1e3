//! Real files of this machine, and small ones made here, against truth from `objdump`, `readelf`, `gdb` and the
//! programs themselves.

mod damaged;
mod live;
mod machine;
mod made;

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{AllocatorMap, ProbePoint, find_in_file};

/// The library if it is installed.
fn library(name: &str) -> Option<PathBuf> {
    let places = ["/usr/lib/x86_64-linux-gnu", "/lib/x86_64-linux-gnu", "/usr/lib64", "/usr/lib"];
    let found = places.iter().map(|place| Path::new(place).join(name)).find(|path| path.is_file());
    if found.is_none() {
        println!("SKIP: {name} is not installed");
    }
    found
}

/// Runs a program and returns what it printed; `None`, with a message, if it is not installed.
fn output(program: &str, arguments: &[&str]) -> Option<String> {
    match Command::new(program).args(arguments).output() {
        // `readelf` also fails when it has printed everything but met something odd in another section.
        Ok(output) if output.status.success() || program == "readelf" => {
            Some(String::from_utf8_lossy(&output.stdout).into_owned())
        }
        Ok(output) => panic!("{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr)),
        Err(error) => {
            println!("SKIP: {program}: {error}");
            None
        }
    }
}

/// Builds `source`, named with its language's extension, into `directory`.
fn build(
    directory: &Path,
    compiler: &str,
    source: (&str, &str),
    flags: &[&str],
    target: &str,
) -> Option<PathBuf> {
    let (name, text) = source;
    let path = directory.join(name);
    std::fs::write(&path, text).unwrap();
    let target = directory.join(target);
    let mut arguments = vec![path.to_str().unwrap()];
    arguments.extend(flags);
    arguments.extend(["-o", target.to_str().unwrap()]);
    output(compiler, &arguments).map(|_| target)
}

fn probe<'m>(map: &'m AllocatorMap, function: &str) -> &'m ProbePoint {
    let found = map.probes.iter().find(|probe| probe.function == function);
    found.unwrap_or_else(|| panic!("{function} is not among {:?}", names(map)))
}

fn names(map: &AllocatorMap) -> Vec<&str> {
    map.probes.iter().map(|probe| probe.function.as_str()).collect()
}

fn find_in(path: &Path) -> AllocatorMap {
    find_in_file(path).unwrap_or_else(|error| panic!("{error}"))
}
