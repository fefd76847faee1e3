//! Whether an event counts loads or stores, by its name: a sample that tells it itself goes before.

use waytrace_model::access::AccessKind;

/// Pieces of names of events of stores. `r20016` is POWER9's, `r82d0` and `r42d0` Intel's.
const STORES: [&str; 6] = ["store", "write", "r20016", "r82d0", "r42d0", "umask=0x82"];
/// And of loads. `r4003e` is POWER9's, `r81d0`, `r1cd` Intel's.
const LOADS: [&str; 6] = ["load", "read", "r4003e", "r81d0", "r1cd", "umask=0x81"];

/// Names given by the user, which go before all others.
#[derive(Debug, Clone, Default)]
pub struct Directions {
    /// A piece of the name of the event that samples loads.
    pub read_event: Option<String>,
    /// A piece of the name of the event that samples stores.
    pub write_event: Option<String>,
}

impl Directions {
    /// What the event called `name` samples; `None` where the name does not tell.
    pub fn of(&self, name: &str) -> Option<AccessKind> {
        let name = name.to_lowercase();
        let given =
            |event: &Option<String>| event.as_ref().is_some_and(|part| name.contains(&part.to_lowercase()));
        match () {
            () if given(&self.write_event) => Some(AccessKind::Store),
            () if given(&self.read_event) => Some(AccessKind::Load),
            () => watched(&name).unwrap_or_else(|| by_name(&name)),
        }
    }
}

/// `mem:ADDRESS[/LENGTH]:rwx[:modifiers]`: of a watched address the letters tell, and rw tells both.
fn watched(name: &str) -> Option<Option<AccessKind>> {
    let mut parts = name.strip_prefix("mem:0x")?.split(':').skip(1);
    Some(match parts.next().unwrap_or("rw") {
        "w" => Some(AccessKind::Store),
        "r" => Some(AccessKind::Load),
        _ => None,
    })
}

fn by_name(name: &str) -> Option<AccessKind> {
    let has = |pieces: &[&str]| pieces.iter().any(|piece| name.contains(piece));
    match (has(&LOADS), has(&STORES)) {
        (true, false) => Some(AccessKind::Load),
        (false, true) => Some(AccessKind::Store),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_their_direction_or_nothing() {
        let plain = Directions::default();
        for name in [
            "cpu/mem-stores/P",
            "r20016:ppp",
            "\"r20016:ppp\"",
            "mem:0x404040:w:u",
            "mem_inst_retired.all_stores",
        ] {
            assert_eq!(plain.of(name), Some(AccessKind::Store), "{name}");
        }
        for name in
            ["cpu/mem-loads,ldlat=30/P", "R4003E:ppp", "mem:0x404040/8:r", "mem_inst_retired.all_loads:pp"]
        {
            assert_eq!(plain.of(name), Some(AccessKind::Load), "{name}");
        }
        for name in ["mem:0x404040:rw:u", "mem:0x404040", "ibs_op//", "cycles:pp", "load_store"] {
            assert_eq!(plain.of(name), None, "{name}");
        }
    }

    #[test]
    fn what_the_user_says_goes_before() {
        let given = Directions { read_event: Some("R1".to_owned()), write_event: Some("load".to_owned()) };
        assert_eq!(
            (given.of("r1234"), given.of("mem-loads")),
            (Some(AccessKind::Load), Some(AccessKind::Store))
        );
    }
}
