//! The samples of a heat map: all of them, or an even choice where there are more than can be shown.

use waytrace_model::access::{Access, AccessKind};

use super::space::Range;
use super::view::View;
use crate::{Cause, Error};

/// One sample, with what is told when somebody points at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Point {
    /// When, nanoseconds since the run started.
    pub at_ns: u64,
    /// Its first byte.
    pub address: u64,
    /// Events it stands for.
    pub weight: u64,
    /// Process it belongs to.
    pub process: u32,
    /// Thread.
    pub tid: u32,
    /// Its instruction, where known.
    pub code: Option<u32>,
    /// Site of the block it lies in, where known.
    pub site: Option<u32>,
    /// Store, else load.
    pub is_store: bool,
    /// The last cut that leaves it in.
    survives: u8,
}

impl Point {
    /// The byte it lies at; its width does not matter in a picture.
    pub fn range(&self) -> Range {
        Range { process: self.process, start: self.address, end: self.address.saturating_add(1) }
    }
}

/// Samples, oldest first.
#[derive(Debug, Default)]
pub struct Points {
    /// What is shown.
    pub list: Vec<Point>,
    /// Samples in view, shown or not.
    pub count: u64,
    /// Cuts made: one in `2^cuts` is shown.
    pub cuts: u8,
}

impl Points {
    /// The samples `view` shows. When there are more than `max`, every second one goes, by a hash of its number, so that
    /// no rhythm of the program decides which; and again until they fit.
    ///
    /// # Errors
    /// [`Error::Read`] when `accesses` fails.
    pub fn of<E: Into<Cause>>(
        accesses: impl Iterator<Item = Result<Access, E>>,
        process: impl Fn(&Access) -> u32,
        view: &View,
        max: usize,
    ) -> Result<Self, Error> {
        let mut points = Self::default();
        for access in accesses {
            let access = access.map_err(Error::reading_accesses)?;
            if !view.shows(access.at_ns, access.address) {
                continue;
            }
            let survives = mixed(points.count).trailing_zeros() as u8;
            points.count += 1;
            if survives < points.cuts {
                continue;
            }
            points.list.push(point(&access, process(&access), survives));
            while points.list.len() > max.max(1) && points.cuts < 64 {
                points.cuts += 1;
                let cuts = points.cuts;
                points.list.retain(|point| point.survives >= cuts);
            }
        }
        points.list.sort_by_key(|point| point.at_ns);
        Ok(points)
    }
}

fn point(access: &Access, process: u32, survives: u8) -> Point {
    Point {
        at_ns: access.at_ns,
        address: access.address,
        weight: access.weight,
        process,
        tid: access.tid,
        code: access.code,
        site: access.block.map(|block| block.site),
        is_store: access.kind == AccessKind::Store,
        survives,
    }
}

/// SplitMix64's mixing function: neighbouring numbers have nothing to do with one another.
fn mixed(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    fn access(at_ns: u64) -> Access {
        Access {
            at_ns,
            tid: 1,
            cpu: None,
            address: at_ns * 64,
            width_bytes: None,
            kind: if at_ns.is_multiple_of(4) { AccessKind::Store } else { AccessKind::Load },
            code: None,
            region: None,
            block: None,
            weight: 1,
            precise: None,
        }
    }

    fn points(count: u64, view: &View, max: usize) -> Points {
        Points::of((0..count).map(|at| Ok::<_, Infallible>(access(at))), |_| 7, view, max).unwrap()
    }

    #[test]
    fn few_are_all_kept() {
        let points = points(1000, &View::default(), 1000);
        assert_eq!((points.list.len(), points.count, points.cuts), (1000, 1000, 0));
    }

    /// One in four is a store in the source, so about one in four is one in the choice: 16,000 samples of a share of
    /// 0.25 spread by 0.0034, and 0.02 is six times that.
    #[test]
    fn many_are_thinned_evenly() {
        let points = points(100_000, &View::default(), 20_000);
        assert_eq!((points.count, points.cuts), (100_000, 3));
        let kept = points.list.len() as f64;
        assert!((kept - 12_500.0).abs() < 700.0, "{kept}");
        let stores = points.list.iter().filter(|point| point.is_store).count() as f64 / kept;
        assert!((stores - 0.25).abs() < 0.02, "{stores}");
        let early = points.list.iter().filter(|point| point.at_ns < 50_000).count() as f64 / kept;
        assert!((early - 0.5).abs() < 0.03, "{early}");
    }

    #[test]
    fn what_is_out_of_view_is_not_counted() {
        let view = View {
            time_min_ns: 10,
            time_max_ns: Some(20),
            block_min: 12 * 64,
            block_max: 15 * 64,
            ..View::default()
        };
        let points = points(1000, &view, 1000);
        assert_eq!(points.list.iter().map(|point| point.at_ns).collect::<Vec<_>>(), [12, 13, 14, 15]);
        assert_eq!(points.count, 4);
    }

    #[test]
    fn what_cannot_be_read_is_an_error() {
        let rows = [Ok(access(1)), Err("the disk is gone")];
        let error = Points::of(rows.into_iter(), |_| 0, &View::default(), 9).unwrap_err();
        assert_eq!(error.to_string(), "cannot read the sampled accesses");
    }
}
