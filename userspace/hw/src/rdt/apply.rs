//! A change as a whole: a class, its values and its members, or, if a part of it fails, nothing.

use waytrace_model::cache_report::{Class, Mode};

use super::{CacheAllocation, DEFAULT_CLASS, RdtError, Setting};

/// What to change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Class; made where there is none of that name.
    pub class: String,
    /// Its values.
    pub settings: Vec<Setting>,
    /// Who becomes a member.
    pub members: Members,
}

/// Members of a class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Members {
    /// Threads.
    Tasks(Vec<u32>),
    /// Logical CPUs.
    Cpus(Vec<u32>),
    /// None beside those there are.
    None,
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The class.
    pub class: String,
    /// Whether it was made for this.
    pub created: bool,
}

/// Carries a request out. After an error everything is as before, unless the error says otherwise.
///
/// # Errors
/// What failed; [`RdtError::NotUndone`] where taking back failed, too.
pub fn apply(allocation: &mut dyn CacheAllocation, request: &Request) -> Result<Change, RdtError> {
    let before = allocation.classes()?;
    spare_exclusive(&before, &request.class, &request.members)?;
    let exists = before.iter().any(|class| class.name == request.class);
    let class = if exists { request.class.clone() } else { allocation.create_class(&request.class)? };
    let refused = match allocation.set(&class, &request.settings) {
        // Values are set all or none, and of members none was touched.
        Err(refused) => (refused, &Members::None),
        Ok(()) => match assign(allocation, &class, &request.members) {
            Ok(()) => return Ok(Change { class, created: !exists }),
            Err(refused) => (refused, &request.members),
        },
    };
    let (first, touched) = refused;
    let undone = match (exists, touched) {
        (true, Members::None) => Ok(()),
        _ => undo(allocation, &class, exists, &before, touched),
    };
    match undone {
        Ok(()) => Err(first),
        Err(second) => Err(RdtError::NotUndone { first: Box::new(first), second: Box::new(second) }),
    }
}

/// Who is in an exclusive class stays there: somebody has put aside ways for him.
fn spare_exclusive(classes: &[Class], wanted: &str, members: &Members) -> Result<(), RdtError> {
    let held = |class: &&Class| class.mode == Some(Mode::Exclusive) && class.name != wanted;
    for class in classes.iter().filter(held) {
        let who = match members {
            Members::Tasks(tids) => {
                let taken = tids.iter().find(|tid| class.tasks.contains(tid));
                taken.map(|tid| format!("thread {tid} is"))
            }
            Members::Cpus(cpus) => {
                let taken = cpus.iter().find(|cpu| class.cpus.contains(cpu));
                // Of an exclusive default class nobody else's CPUs could come.
                taken.filter(|_| class.name != DEFAULT_CLASS).map(|cpu| format!("CPU {cpu} is"))
            }
            Members::None => None,
        };
        if let Some(who) = who {
            return Err(RdtError::Exclusive { who, class: class.name.clone() });
        }
    }
    Ok(())
}

fn assign(allocation: &mut dyn CacheAllocation, class: &str, members: &Members) -> Result<(), RdtError> {
    match members {
        Members::Tasks(tids) => allocation.assign_tasks(class, tids),
        Members::Cpus(cpus) => allocation.assign_cpus(class, cpus),
        Members::None => Ok(()),
    }
}

/// Members go back to the classes they had, then the class to its values.
fn undo(
    allocation: &mut dyn CacheAllocation,
    class: &str,
    existed: bool,
    before: &[Class],
    members: &Members,
) -> Result<(), RdtError> {
    for old in before.iter().filter(|old| old.name != class) {
        match members {
            // Nobody's threads are the default class's: of that one they are not told.
            Members::Tasks(tids) => {
                let elsewhere = |tid: &&u32| {
                    before.iter().any(|other| other.name != DEFAULT_CLASS && other.tasks.contains(tid))
                };
                let back: Vec<u32> = match old.name == DEFAULT_CLASS {
                    true => tids.iter().filter(|tid| !elsewhere(tid)).copied().collect(),
                    false => tids.iter().filter(|tid| old.tasks.contains(tid)).copied().collect(),
                };
                put_back(allocation, &old.name, &back)?;
            }
            Members::Cpus(cpus) => {
                for cpu in cpus.iter().filter(|cpu| old.cpus.contains(cpu)) {
                    match allocation.assign_cpus(&old.name, &[*cpu]) {
                        // It went offline, and is in no class.
                        Ok(()) | Err(RdtError::NoCpu { .. }) => {}
                        Err(error) => return Err(error),
                    }
                }
            }
            Members::None => {}
        }
    }
    match before.iter().find(|old| old.name == class).filter(|_| existed) {
        Some(old) => unless_gone(allocation.set(class, &settings_of(old))),
        None => unless_gone(allocation.remove_class(class)),
    }
}

/// Somebody else removed the class, and with it what was done to it.
fn unless_gone(result: Result<(), RdtError>) -> Result<(), RdtError> {
    if matches!(result, Err(RdtError::NoClass { .. })) { Ok(()) } else { result }
}

/// A thread that is gone needs no class, and where threads cannot have one none was moved.
fn put_back(allocation: &mut dyn CacheAllocation, class: &str, tids: &[u32]) -> Result<(), RdtError> {
    for tid in tids {
        match allocation.assign_tasks(class, &[*tid]) {
            Err(RdtError::NoTask { .. } | RdtError::Unsupported { .. }) | Ok(()) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The values a class has.
fn settings_of(class: &Class) -> Vec<Setting> {
    let masks = class.masks.iter().map(|mask| Setting::Mask {
        resource: mask.resource.clone(),
        cache_id: mask.cache_id,
        mask: mask.mask,
    });
    let limits = class.limits.iter().map(|limit| Setting::Limit {
        resource: limit.resource.clone(),
        cache_id: limit.cache_id,
        value: limit.value,
    });
    masks.chain(limits).collect()
}
