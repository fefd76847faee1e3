//! The numbers of one target in one window.

use serde::de::{MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Fold, Metric};

/// A number for each metric that was measured; the others are absent, which is not zero. In JSON an object by metric name, in which absent
/// ones do not occur.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Values([Option<f64>; Metric::COUNT]);

impl Default for Values {
    fn default() -> Self {
        Self([None; Metric::COUNT])
    }
}

impl Values {
    /// The number; `None` where it was not measured.
    pub fn get(&self, metric: Metric) -> Option<f64> {
        self.0[metric.index()]
    }

    /// Sets a number, or makes it absent. What is not finite is absent.
    pub fn set(&mut self, metric: Metric, value: Option<f64>) {
        self.0[metric.index()] = value.filter(|value| value.is_finite());
    }

    /// The number per second of a window of that length; of levels and shares the number itself.
    pub fn rate(&self, metric: Metric, length_ns: u64) -> Option<f64> {
        let value = self.get(metric)?;
        Some(match metric.fold() {
            Fold::Sum => value * 1e9 / length_ns.max(1) as f64,
            Fold::Level | Fold::Mean => value,
        })
    }

    /// Adds what another process of the same target had in the same window. Shares are weighted by CPU time.
    pub fn add_process(&mut self, other: &Self) {
        let (own_ns, their_ns) = (self.weight(), other.weight());
        for &metric in Metric::ALL {
            let sum = match (self.get(metric), other.get(metric)) {
                (Some(own), Some(theirs)) if metric.fold() == Fold::Mean => {
                    Some((own * own_ns + theirs * their_ns) / (own_ns + their_ns))
                }
                (Some(own), Some(theirs)) => Some(own + theirs),
                (own, theirs) => own.or(theirs),
            };
            self.set(metric, sum);
        }
    }

    fn weight(&self) -> f64 {
        self.get(Metric::Cpu).unwrap_or(0.0) + 1.0
    }

    /// Those that were measured.
    pub fn iter(&self) -> impl Iterator<Item = (Metric, f64)> + '_ {
        Metric::ALL.iter().filter_map(|&metric| Some((metric, self.get(metric)?)))
    }
}

impl FromIterator<(Metric, f64)> for Values {
    fn from_iter<I: IntoIterator<Item = (Metric, f64)>>(items: I) -> Self {
        let mut values = Self::default();
        for (metric, value) in items {
            values.set(metric, Some(value));
        }
        values
    }
}

impl Serialize for Values {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (metric, value) in self.iter() {
            map.serialize_entry(metric.name(), &value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Values {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ByName;
        impl<'de> Visitor<'de> for ByName {
            type Value = Values;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("numbers by metric name")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Values, A::Error> {
                let mut values = Values::default();
                while let Some((metric, value)) = map.next_entry::<Metric, f64>()? {
                    values.set(metric, Some(value));
                }
                Ok(values)
            }
        }
        deserializer.deserialize_map(ByName)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_of_a_target_add_up() {
        let mut first = Values::from_iter([(Metric::Cpu, 2e9), (Metric::Rss, 10.0), (Metric::Stores, 0.5)]);
        let second = Values::from_iter([(Metric::Cpu, 2e9), (Metric::Stores, 0.1), (Metric::Threads, 3.0)]);
        first.add_process(&second);
        assert_eq!(first.get(Metric::Cpu), Some(4e9));
        assert_eq!(first.get(Metric::Rss), Some(10.0));
        assert_eq!(first.get(Metric::Threads), Some(3.0));
        assert!((first.get(Metric::Stores).unwrap() - 0.3).abs() < 1e-9);
        assert_eq!(first.get(Metric::AllocBytes), None);
    }

    #[test]
    fn only_amounts_have_rates() {
        let values = Values::from_iter([(Metric::Cpu, 5e9), (Metric::Rss, 10.0)]);
        assert_eq!(values.rate(Metric::Cpu, 10_000_000_000), Some(5e8));
        assert_eq!(values.rate(Metric::Rss, 10_000_000_000), Some(10.0));
        assert_eq!(values.rate(Metric::OffCpu, 1), None);
    }

    #[test]
    fn absent_is_not_in_the_json_and_unknown_is_refused() {
        let values = Values::from_iter([(Metric::Cpu, 5.0), (Metric::Rss, f64::NAN)]);
        let json = serde_json::to_string(&values).unwrap();
        assert_eq!(json, r#"{"cpu_ns":5.0}"#);
        assert_eq!(serde_json::from_str::<Values>(&json).unwrap(), values);
        assert!(serde_json::from_str::<Values>(r#"{"cpu":5.0}"#).is_err());
    }
}
