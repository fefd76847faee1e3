//! Log2 histograms, the shape the kernel side aggregates sizes and lifetimes in.

use serde::{Deserialize, Serialize};

/// One bucket: values `v` with `floor(log2(v)) == log2`, and 0 and 1 together in bucket 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Bucket {
    /// Exponent: the bucket spans `[2^log2, 2^(log2+1))`.
    pub log2: u8,
    /// Values in it (an estimate in budgeted mode).
    pub count: f64,
    /// Sum of the sizes in it, in bytes; for lifetimes, the bytes that lived this long.
    pub bytes: f64,
}

/// The bucket a value falls into.
pub fn log2_bucket(value: u64) -> u8 {
    value.max(1).ilog2() as u8
}

#[cfg(test)]
mod tests {
    use super::log2_bucket;

    #[test]
    fn buckets_start_at_powers_of_two() {
        let cases = [(0, 0), (1, 0), (2, 1), (3, 1), (4, 2), (4095, 11), (4096, 12), (u64::MAX, 63)];
        for (value, bucket) in cases {
            assert_eq!(log2_bucket(value), bucket, "value {value}");
        }
    }
}
