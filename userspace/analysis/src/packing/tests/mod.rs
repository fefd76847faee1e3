//! Tests: plans of random problems against a validator and an exhaustive search, known optima, certificates that lie.

mod flows;
mod known;
mod lies;
mod oracle;
mod random;
mod shapes;

use super::*;

/// A unit of so many general and fixed counters.
fn unit(name: &str, general: u32, fixed: u32) -> Unit {
    let mask = |count: u32| (1_u64 << count) - 1;
    Unit { name: name.to_owned(), general: mask(general), fixed: mask(fixed), ..Unit::default() }
}

fn pool(name: &str, instances: usize) -> Pool {
    Pool { name: name.to_owned(), instances }
}

/// Items of the first unit that differ in name only.
fn items(name: &str, count: usize, like: &Item) -> Vec<Item> {
    (0..count).map(|at| Item { name: format!("{name}.{at}"), ..like.clone() }).collect()
}

fn on(general: u64) -> Item {
    Item { general, ..Item::default() }
}

/// The plan of a problem, which must be right.
fn packed(problem: &Problem) -> Plan {
    let plan = pack(problem).unwrap();
    assert_eq!(validate::faults(problem, &plan), Vec::<String>::new(), "{problem:#?}");
    plan
}
