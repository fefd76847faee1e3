//! The header's features: machine, command line, names of events. Damaged ones are as if they were not there.

use waytrace_hw::sampling::bytes::Bytes;
use waytrace_model::run::Host;

use super::attr::Attr;

pub const HOSTNAME: u32 = 3;
pub const RELEASE: u32 = 4;
pub const ARCH: u32 = 6;
pub const CPUS: u32 = 7;
pub const CPU_MODEL: u32 = 8;
pub const MEMORY: u32 = 10;
pub const COMMAND: u32 = 11;
pub const EVENTS: u32 = 12;

/// More than any machine or command line has.
const MOST: u32 = 1 << 16;

/// An event's name, its attributes, and the ids its samples carry.
pub type NamedEvent = (String, Option<Attr>, Vec<u64>);

/// What the features say.
#[derive(Debug, Default)]
pub struct Features {
    pub host: Host,
    pub command: Option<String>,
    pub events: Vec<NamedEvent>,
}

impl Features {
    /// Takes in the feature numbered `feature`.
    pub fn take(&mut self, feature: u32, body: &[u8]) {
        let mut bytes = Bytes::new(body);
        match feature {
            HOSTNAME => set(&mut self.host.hostname, string(&mut bytes)),
            RELEASE => set(&mut self.host.kernel, string(&mut bytes)),
            ARCH => set(&mut self.host.arch, string(&mut bytes)),
            CPU_MODEL => set(&mut self.host.cpu_model, string(&mut bytes)),
            CPUS => set(
                &mut self.host.cpus_online,
                bytes.u32().and_then(|_available| bytes.u32()).filter(|count| *count <= MOST),
            ),
            MEMORY => set(&mut self.host.memory_bytes, bytes.u64().and_then(|kib| kib.checked_mul(1024))),
            COMMAND => {
                let count = bytes.u32().filter(|count| *count <= MOST).unwrap_or(0);
                let words: Vec<String> = (0..count).map_while(|_| string(&mut bytes)).collect();
                self.command = Some(words.join(" ")).filter(|command| !command.is_empty());
            }
            EVENTS => self.events = events(&mut bytes).unwrap_or_default(),
            _ => {}
        }
    }
}

fn set<T>(field: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *field = value;
    }
}

/// A length, and so many bytes with zeros at the end.
fn string(bytes: &mut Bytes<'_>) -> Option<String> {
    let len = bytes.u32()?;
    bytes.take(usize::try_from(len).ok()?).map(Bytes::text)
}

fn events(bytes: &mut Bytes<'_>) -> Option<Vec<NamedEvent>> {
    let (count, attr_bytes) = (bytes.u32().filter(|count| *count <= MOST)?, bytes.u32()?);
    let mut events = Vec::new();
    for _ in 0..count {
        let attr = bytes.take(usize::try_from(attr_bytes).ok()?).map(Attr::parse)?;
        let ids = bytes.u32()?;
        let name = string(bytes)?;
        let ids = (0..ids).map_while(|_| bytes.u64()).collect();
        events.push((name, attr, ids));
    }
    Some(events)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Vec<u8> {
        let mut bytes = 16_u32.to_le_bytes().to_vec();
        bytes.extend(text.bytes());
        bytes.resize(20, 0);
        bytes
    }

    #[test]
    fn features_of_known_bytes() {
        let mut features = Features::default();
        features.take(HOSTNAME, &text("db-7"));
        features.take(CPUS, &[8, 0, 0, 0, 6, 0, 0, 0]);
        features.take(MEMORY, &4_u64.to_le_bytes());
        features.take(COMMAND, &[&2_u32.to_le_bytes()[..], &text("perf"), &text("record")].concat());
        let mut events = [1_u32.to_le_bytes(), 64_u32.to_le_bytes()].concat();
        events.extend([0; 64]);
        events.extend(2_u32.to_le_bytes());
        events.extend(text("r4003E:ppp"));
        events.extend([7_u64.to_le_bytes(), 8_u64.to_le_bytes()].concat());
        features.take(EVENTS, &events);
        assert_eq!((features.host.hostname.as_str(), features.host.cpus_online), ("db-7", 6));
        assert_eq!((features.host.memory_bytes, features.command.as_deref()), (4096, Some("perf record")));
        let (name, attr, ids) = &features.events[0];
        assert_eq!((name.as_str(), attr.is_some(), ids.as_slice()), ("r4003E:ppp", true, &[7, 8][..]));
    }

    #[test]
    fn damage_is_absence() {
        let mut features = Features::default();
        for feature in 0..40 {
            features.take(feature, &[0xff; 11]);
            features.take(feature, &[]);
        }
        assert!(features.host == Host::default() && features.command.is_none() && features.events.is_empty());
    }
}
