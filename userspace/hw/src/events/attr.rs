//! A perf event ready to be opened: its encoding per kind of core, and its modifiers.

use perf_event::events::Event;
use perf_event_open_sys::bindings::perf_event_attr;

use super::Modifiers;
use crate::pmu::Scale;

/// `type` and `config` words of one PMU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Encoding {
    /// `perf_event_attr.type`.
    pub type_: u32,
    /// `config`, `config1`, `config2`, `config3`.
    pub config: [u64; 4],
}

impl Event for Encoding {
    fn update_attrs(self, attr: &mut perf_event_attr) {
        attr.type_ = self.type_;
        let [config, config1, config2, config3] = self.config;
        attr.config = config;
        attr.config1 = config1;
        attr.config2 = config2;
        attr.config3 = config3;
    }
}

/// Encodings with the CPUs each is for; `None` is every CPU.
pub(crate) type Encodings = Vec<(Option<Vec<u32>>, Encoding)>;

/// A perf event. On a hybrid CPU it has one encoding per kind of core.
#[derive(Debug, Clone, PartialEq)]
pub struct PerfAttr {
    /// Name, for errors.
    pub(crate) name: String,
    /// How it is encoded where.
    pub(crate) encodings: Encodings,
    /// Modes and precision.
    pub modifiers: Modifiers,
    /// Whether it counts for tasks. What counts for a package (memory controller, energy) cannot be attributed to
    /// threads and is opened only on [`PerfAttr::cpus`].
    pub per_task: bool,
    /// What one count is worth, where the PMU says; readings stay raw.
    pub scale: Option<Scale>,
}

impl PerfAttr {
    /// An event encoded alike on all CPUs, counting everywhere and for tasks.
    pub fn new(name: impl Into<String>, type_: u32, config: u64) -> Self {
        let encoding = Encoding { type_, config: [config, 0, 0, 0] };
        Self {
            name: name.into(),
            encodings: vec![(None, encoding)],
            modifiers: Modifiers::default(),
            per_task: true,
            scale: None,
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How to open it on `cpu`; `None` where it is not counted there.
    pub fn for_cpu(&self, cpu: u32) -> Option<Encoding> {
        let here = |cpus: &Option<Vec<u32>>| cpus.as_ref().is_none_or(|cpus| cpus.contains(&cpu));
        self.encodings.iter().find(|(cpus, _)| here(cpus)).map(|(_, encoding)| *encoding)
    }

    /// The CPUs it is to be opened on, ascending; `None` is every CPU.
    pub fn cpus(&self) -> Option<Vec<u32>> {
        let mut all = Vec::new();
        for (cpus, _) in &self.encodings {
            all.extend_from_slice(cpus.as_ref()?);
        }
        all.sort_unstable();
        all.dedup();
        Some(all)
    }
}

#[cfg(test)]
mod tests {
    use perf_event::Builder;

    use super::*;

    #[test]
    fn all_words_reach_the_attributes() {
        let encoding = Encoding { type_: 4, config: [1, 2, 3, 4] };
        let builder = Builder::new(encoding);
        let attr = builder.attrs();
        assert_eq!((attr.type_, attr.config, attr.config1, attr.config2, attr.config3), (4, 1, 2, 3, 4));
    }

    #[test]
    fn each_cpu_gets_its_own_encoding() {
        let mut attr = PerfAttr::new("e", 0, 7);
        assert_eq!((attr.for_cpu(99).map(|e| e.config[0]), attr.cpus()), (Some(7), None));
        let encoding = |type_| Encoding { type_, config: [0; 4] };
        attr.encodings = vec![(Some(vec![2, 3]), encoding(10)), (Some(vec![0, 1]), encoding(4))];
        assert_eq!(attr.for_cpu(1).map(|e| e.type_), Some(4));
        assert_eq!(attr.for_cpu(2).map(|e| e.type_), Some(10));
        assert_eq!((attr.for_cpu(4), attr.cpus()), (None, Some(vec![0, 1, 2, 3])));
    }
}
