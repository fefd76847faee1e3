//! Terms of an event (`event=0x3c,umask=0` or the name of one) → the config words of `perf_event_attr`.
//!
//! Fields that no term sets are 0. Of two terms for one field the later holds, so that an own term overrides one
//! of a named event. Source: `perf-list(1)`, "ARBITRARY PMUS".

use waytrace_model::spelling::nearest;

use super::format::{Format, WORDS};
use super::{DEVICES, Pmu};
use crate::Error;

/// What one count of an event is worth.
#[derive(Debug, Clone, PartialEq)]
pub struct Scale {
    /// Factor from counts to `unit`.
    pub factor: f64,
    /// Unit, as the PMU spells it (`MiB`, `Joules`); empty for a plain number.
    pub unit: String,
}

/// An encoded event.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Encoded {
    /// `config`, `config1`, `config2`, `config3`.
    pub config: [u64; 4],
    /// Worth of a count, where the PMU says.
    pub scale: Option<Scale>,
    /// Name given by a `name=` term.
    pub name: Option<String>,
}

/// Terms being applied, for the error that may come of them.
struct Encoder<'a> {
    pmu: &'a Pmu,
    event: &'a str,
    encoded: Encoded,
    /// Fields a named event leaves to the user (`chip=?`).
    open: Vec<String>,
}

impl Pmu {
    /// Encodes `terms` of `event` (the whole event as typed, for errors).
    ///
    /// # Errors
    /// [`Error::BadEvent`] for a term this PMU has not, or a value that does not fit; [`Error::BadPmuFile`] where
    /// the PMU's own description is odd.
    pub fn encode(&self, event: &str, terms: &str) -> Result<Encoded, Error> {
        let mut encoder = Encoder { pmu: self, event, encoded: Encoded::default(), open: Vec::new() };
        encoder.apply(terms, true)?;
        match encoder.open.first() {
            Some(field) => encoder.bad(format!("give a value for `{field}=`, which `{terms}` leaves open")),
            None => Ok(encoder.encoded),
        }
    }
}

impl Encoder<'_> {
    fn bad<T>(&self, reason: String) -> Result<T, Error> {
        Err(Error::BadEvent { event: self.event.to_owned(), reason })
    }

    /// Applies terms; only those of the user may name an event, so a description cannot nest for ever.
    fn apply(&mut self, terms: &str, from_user: bool) -> Result<(), Error> {
        for term in terms.split(',').map(str::trim).filter(|term| !term.is_empty()) {
            match term.split_once('=') {
                Some((field, value)) => self.assign(field.trim(), value.trim(), from_user)?,
                None => match self.pmu.events.get(term).filter(|_| from_user) {
                    Some(named) => {
                        self.encoded.scale.clone_from(&named.scale);
                        self.apply(&named.terms, false)?;
                    }
                    None => self.place(term, 1)?,
                },
            }
        }
        Ok(())
    }

    fn assign(&mut self, field: &str, value: &str, from_user: bool) -> Result<(), Error> {
        match (field, value) {
            ("name", name) => self.encoded.name = Some(name.to_owned()),
            // A sample period suggested by the PMU: nothing to a counting event.
            ("period", _) if !from_user => {}
            (_, "?") if !from_user => self.open.push(field.to_owned()),
            _ => {
                let Some(number) = parse_number(value) else {
                    return self.bad(format!("`{field}={value}` is not a number; write it like 60 or 0x3c"));
                };
                self.open.retain(|open| open != field);
                self.place(field, number)?;
            }
        }
        Ok(())
    }

    fn place(&mut self, field: &str, value: u64) -> Result<(), Error> {
        let Some(text) = self.pmu.formats.get(field) else {
            if let Some(word) = WORDS.iter().position(|name| *name == field) {
                self.encoded.config[word] = value;
                return Ok(());
            }
            return self.unknown(field);
        };
        let Some(format) = Format::parse(text) else {
            let path = format!("/{DEVICES}/{}/format/{field}", self.pmu.name).into();
            return Err(Error::BadPmuFile { path, text: text.clone() });
        };
        if format.place(value, &mut self.encoded.config) {
            return Ok(());
        }
        self.bad(format!("`{field}={value:#x}` does not fit; the largest value is {:#x}", format.max()))
    }

    fn unknown<T>(&self, field: &str) -> Result<T, Error> {
        let names = || self.pmu.formats.keys().chain(self.pmu.events.keys()).map(String::as_str);
        let hint =
            nearest(field, names()).map_or_else(String::new, |name| format!(" (did you mean `{name}`?)"));
        let list = names().take(40).collect::<Vec<_>>().join(", ");
        self.bad(format!("PMU `{}` has no `{field}`{hint}; it has: {list}, config, config1", self.pmu.name))
    }
}

fn parse_number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(hex) => u64::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Tree, intel_like};

    fn encode(pmu: &str, terms: &str) -> Result<Encoded, Error> {
        let tree = intel_like();
        tree.pmu(
            "amd",
            &[
                ("type", "4"),
                ("format/event", "config:0-7,32-35"),
                ("format/umask", "config:8-15"),
                ("format/odd", "config:0..7"),
                ("events/chip-read", "event=0x1,umask=?"),
                ("events/loop", "loop"),
            ],
        );
        Pmu::load(&tree.root, pmu).unwrap().encode("EVENT", terms)
    }

    #[test]
    fn terms_fill_their_fields_and_leave_the_rest_zero() {
        let cases: [(&str, &str, [u64; 4]); 8] = [
            ("cpu", "event=0x3c,umask=0", [0x3c, 0, 0, 0]),
            ("cpu", "event=0xc0,umask=1,cmask=2,inv,edge", [0x0284_01c0, 0, 0, 0]),
            ("cpu", "mem-loads", [0x1cd, 3, 0, 0]),
            ("cpu", "mem-loads,ldlat=30", [0x1cd, 30, 0, 0]),
            ("cpu", "event=0x3c,acr_mask=0x3", [0x3c, 0, 0, 3]),
            ("cpu", "config=0x1a8,config1=7", [0x1a8, 7, 0, 0]),
            ("amd", "event=0x1c2", [0x1_0000_00c2, 0, 0, 0]),
            ("amd", "chip-read,umask=2", [0x201, 0, 0, 0]),
        ];
        for (pmu, terms, config) in cases {
            assert_eq!(encode(pmu, terms).unwrap().config, config, "{pmu}/{terms}/");
        }
    }

    #[test]
    fn a_named_event_brings_its_scale() {
        let encoded = encode("power", "energy-pkg").unwrap();
        assert_eq!((encoded.config[0], encoded.scale.unwrap().unit.as_str()), (2, "Joules"));
        assert_eq!(encode("cpu", "event=1,name=mine").unwrap().name.as_deref(), Some("mine"));
    }

    #[test]
    fn wrong_terms_say_what_is_right() {
        for (pmu, terms, needle) in [
            ("cpu", "umsk=1", "did you mean `umask`?"),
            ("cpu", "event=0x100", "the largest value is 0xff"),
            ("cpu", "event=ten", "not a number"),
            ("amd", "chip-read", "give a value for `umask=`"),
            ("amd", "odd=1", "format/odd"),
            ("amd", "loop", "has no `loop`"),
        ] {
            let message = encode(pmu, terms).unwrap_err().to_string();
            assert!(message.contains(needle), "{pmu}/{terms}/: {message}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_terms_encode_or_fail(terms in "[a-z0-9=,?x]{0,30}") {
            let tree = Tree::new(&[]);
            tree.pmu("p", &[("type", "4"), ("format/a", "config:0-3"), ("events/b", "a=2,c=?")]);
            let _ = Pmu::load(&tree.root, "p").unwrap().encode("e", &terms);
        }
    }
}
