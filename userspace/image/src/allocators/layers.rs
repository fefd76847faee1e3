//! Which functions are the lowest layer of the whole process.
//!
//! A wrapper stays one only if every function it passes on to is really there and itself ends in a lowest function:
//! wrappers that only pass on to each other, or to nothing, are probed.

use std::collections::HashMap;

use super::module::Module;
use super::x86::Target;

/// For every function of every module: is it to be probed? With `others_exist`, names that no module defines are
/// taken to be defined elsewhere.
pub(super) fn lowest(modules: &[Module], others_exist: bool) -> Vec<Vec<bool>> {
    let mut definitions: HashMap<&str, Vec<(usize, usize)>> = HashMap::new();
    for (m, module) in modules.iter().enumerate() {
        for (f, function) in module.functions.iter().enumerate() {
            for name in &function.exported {
                definitions.entry(name).or_default().push((m, f));
            }
        }
    }
    let lowest: Vec<Vec<bool>> = modules
        .iter()
        .map(|module| module.functions.iter().map(|f| f.wrapping.is_none()).collect())
        .collect();
    let grounded = ground(modules, &definitions, lowest.clone(), others_exist);
    let combine = |(lowest, grounded): (Vec<bool>, Vec<bool>)| {
        lowest.into_iter().zip(grounded).map(|(lowest, grounded)| lowest || !grounded).collect()
    };
    lowest.into_iter().zip(grounded).map(combine).collect()
}

/// Spreads `grounded` from the lowest functions to the wrappers above them, until nothing changes.
fn ground(
    modules: &[Module],
    definitions: &HashMap<&str, Vec<(usize, usize)>>,
    mut grounded: Vec<Vec<bool>>,
    others_exist: bool,
) -> Vec<Vec<bool>> {
    loop {
        let mut changed = false;
        for (m, module) in modules.iter().enumerate() {
            for (f, function) in module.functions.iter().enumerate() {
                let Some(wrapping) = function.wrapping.as_ref().filter(|_| !grounded[m][f]) else { continue };
                let reaches = |target: &Target| match target {
                    Target::Local(address) => {
                        let at = module.functions.iter().position(|other| other.address == *address);
                        at.is_some_and(|at| grounded[m][at])
                    }
                    Target::Import(name) => match definitions.get(name.as_str()) {
                        Some(places) => places.iter().any(|&(m, f)| grounded[m][f]),
                        None => others_exist,
                    },
                };
                if wrapping.targets.iter().all(reaches) {
                    grounded[m][f] = true;
                    changed = true;
                }
            }
        }
        if !changed {
            return grounded;
        }
    }
}
