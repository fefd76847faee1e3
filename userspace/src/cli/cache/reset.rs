//! `waytrace cache reset`: removes classes, and gives the default class everything.

use std::process::ExitCode;

use waytrace_hw::rdt::{DEFAULT_CLASS, RdtError, Setting};
use waytrace_model::cache::WayMask;
use waytrace_model::cache_report::{Capabilities, Class, Mode};

use super::super::Outcome;
use super::super::output::say;
use super::Host;

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only this class: it is removed, or, if it is the default one, given everything [default: all classes].
    #[arg(long, value_name = "NAME")]
    class: Option<String>,
}

/// Runs the command.
pub fn run(args: &Args, host: &Host) -> Outcome {
    let mut allocation = host.open()?;
    let classes = allocation.classes()?;
    let wanted = |class: &&Class| args.class.as_ref().is_none_or(|name| *name == class.name);
    let chosen: Vec<&Class> = classes.iter().filter(wanted).collect();
    if chosen.is_empty() {
        return Err(RdtError::NoClass { class: args.class.clone().unwrap_or_default() }.into());
    }
    let (kept, chosen): (Vec<&Class>, Vec<&Class>) = chosen.into_iter().partition(|class| is_kept(class));
    let held: Vec<&Class> = classes.iter().filter(|class| is_kept(class)).collect();
    if args.class.is_some() && !kept.is_empty() {
        let mode =
            if kept.iter().any(|class| class.mode == Some(Mode::Exclusive)) { "exclusive" } else { "locked" };
        return Err(RdtError::Protected { class: args.class.clone().unwrap_or_default(), mode }.into());
    }
    for class in chosen.iter().filter(|class| class.name != DEFAULT_CLASS) {
        allocation.remove_class(&class.name)?;
    }
    if let Some(default) = chosen.iter().find(|class| class.name == DEFAULT_CLASS) {
        let everything = everything(default, &allocation.capabilities()?, &held);
        allocation.set(DEFAULT_CLASS, &everything)?;
    }
    say(&told(&chosen, &kept));
    Ok(ExitCode::SUCCESS)
}

/// What somebody has to himself is not ours to remove.
fn is_kept(class: &Class) -> bool {
    matches!(class.mode, Some(Mode::Exclusive | Mode::PseudoLocked | Mode::PseudoLocksetup))
}

fn told(reset: &[&Class], kept: &[&Class]) -> String {
    let names = |classes: &[&Class]| {
        let names: Vec<&str> = classes.iter().map(|class| class.name.as_str()).collect();
        names.join(", ")
    };
    match kept {
        [] => format!("reset: {}", names(reset)),
        kept => {
            format!("reset: {}; left as they are, being exclusive or locked: {}", names(reset), names(kept))
        }
    }
}

/// All bandwidth, and all ways but those others keep, of every cache the class has values of. A mask that would not be legal
/// stays as it is.
fn everything(class: &Class, capabilities: &Capabilities, held: &[&Class]) -> Vec<Setting> {
    let masks = class.masks.iter().filter_map(|mask| {
        let cache = capabilities.caches.iter().find(|cache| cache.name == mask.resource)?;
        let (resource, cache_id) = (mask.resource.clone(), mask.cache_id);
        let held = held.iter().flat_map(|class| &class.masks).filter(|held| held.cache_id == cache_id);
        let level = format!("L{}", cache.level);
        let held = held
            .filter(|held| held.resource.starts_with(&level))
            .fold(WayMask::default(), |all, held| all.or(held.mask));
        let free = cache.rules.full_mask.without(held);
        let mask = if free.check(&cache.rules).is_ok() { free } else { mask.mask };
        Some(Setting::Mask { resource, cache_id, mask })
    });
    let limits = class.limits.iter().filter_map(|limit| {
        let bandwidth = capabilities.bandwidth.iter().find(|bandwidth| bandwidth.name == limit.resource)?;
        let value = bandwidth.unit.unlimited();
        Some(Setting::Limit { resource: limit.resource.clone(), cache_id: limit.cache_id, value })
    });
    masks.chain(limits).collect()
}
