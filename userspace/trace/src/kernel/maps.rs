//! Typed access to the kernel part's maps.

use std::os::fd::{AsFd, BorrowedFd};

use aya::maps::{Array, HashMap, Map, MapData, MapError, PerCpuArray, RingBuf};
use waytrace_abi::access::{Hot, Ticks};
use waytrace_abi::allocation::{BUCKETS, Bucket, MAX_SITES, Peak, Site, Totals};
use waytrace_abi::counter::{OnCpu, Reading, ReadingKey};
use waytrace_abi::loss;
use waytrace_abi::mapping::MapTotals;
use waytrace_abi::pod::Pod;
use waytrace_abi::settings::Settings;
use waytrace_hw::clock;

use super::{Kernel, object, sys};
use crate::Error;

/// A shared record as aya wants it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(transparent)]
pub struct Plain<T>(pub T);

// SAFETY: `waytrace_abi::pod::Pod` promises what `aya::Pod` asks for: any bits are valid, no padding.
unsafe impl<T: Pod> aya::Pod for Plain<T> {}

pub(super) fn map_error(name: &'static str) -> impl FnOnce(MapError) -> Error {
    move |source| Error::Map { name, source }
}

macro_rules! map_as {
    ($self:ident, $name:literal, $ty:ty) => {{
        let map = $self.ebpf.map_mut($name).ok_or_else(|| Error::Missing($name.to_owned()))?;
        <$ty>::try_from(map).map_err(map_error($name))
    }};
}
pub(super) use map_as;

/// Allocations and frees of all targets, from all CPUs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Successful allocations.
    pub alloc_count: u64,
    /// Bytes asked for, growth in place included.
    pub alloc_bytes: u64,
    /// Frees of a block.
    pub free_count: u64,
    /// Bytes of them, where known, and what shrank in place.
    pub freed_bytes: u64,
    /// Frees whose size is not known.
    pub unsized_free_count: u64,
    /// Hits of probes at function entries.
    pub hit_count: u64,
    /// Hits of return probes.
    pub return_count: u64,
    /// Stack samples.
    pub sample_count: u64,
}

/// What the totals stand at; per-CPU parts summed.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sums {
    /// Allocations and frees.
    pub totals: Counts,
    /// Live bytes.
    pub peak: Peak,
    /// Mapping changes.
    pub maps: MapTotals,
}

/// Reads totals and CPU time from another thread.
pub struct TotalsReader {
    lifetimes: bool,
    totals: PerCpuArray<MapData, Plain<Totals>>,
    on_cpu: PerCpuArray<MapData, Plain<OnCpu>>,
}

impl TotalsReader {
    /// The totals now.
    ///
    /// # Errors
    /// [`Error::Map`].
    pub fn read(&self) -> Result<Counts, Error> {
        Ok(sum(&self.totals.get(&0, 0).map_err(map_error("TOTALS"))?, self.lifetimes).0)
    }

    /// Time all targets have run on all CPUs up to this moment, as the switch program saw it. The kernel's own
    /// figures for a thread that is running are only as fresh as the last scheduler tick.
    ///
    /// # Errors
    /// [`Error::Map`].
    pub fn target_cpu_ns(&self) -> Result<u64, Error> {
        let read = || self.on_cpu.get(&0, 0).map_err(map_error("ON_CPU"));
        let mut before = read()?;
        // A slot changes only at a switch: two equal readings are one that no switch tore.
        for _ in 0..8 {
            let now_ns = clock::monotonic_ns();
            let after = read()?;
            if before.iter().zip(after.iter()).all(|(a, b)| a == b) {
                return Ok(after.iter().map(|Plain(cpu)| cpu.target_ns + running_ns(cpu, now_ns)).sum());
            }
            before = after;
        }
        let now_ns = clock::monotonic_ns();
        Ok(before.iter().map(|Plain(cpu)| cpu.target_ns + running_ns(cpu, now_ns)).sum())
    }
}

fn running_ns(cpu: &OnCpu, now_ns: u64) -> u64 {
    if cpu.tgid == 0 { 0 } else { now_ns.saturating_sub(cpu.began_ns) }
}

/// A histogram of all CPUs.
pub type Histogram = [Bucket; BUCKETS as usize];

/// Counts and histograms, from the parts of all CPUs. With lifetimes every allocating call has a return probe, and the
/// kernel part leaves counting its hits to us.
fn sum(cpus: &[Plain<Totals>], lifetimes: bool) -> (Counts, Histogram, Histogram) {
    let (mut counts, mut sizes, mut ages) = (Counts::default(), empty(), empty());
    let mut other_hits = 0;
    for Plain(cpu) in cpus {
        merge(&mut sizes, &cpu.sizes);
        merge(&mut ages, &cpu.lifetimes);
        counts.alloc_bytes += cpu.grown_bytes;
        counts.free_count += cpu.unseen_free_count;
        counts.freed_bytes += cpu.unseen_freed_bytes + cpu.shrunk_bytes;
        counts.unsized_free_count += cpu.unsized_free_count;
        counts.return_count += cpu.return_count;
        counts.sample_count += cpu.sample_count;
        other_hits += cpu.other_hit_count;
    }
    let total =
        |histogram: &Histogram| histogram.iter().fold((0, 0), |sum, b| (sum.0 + b.count, sum.1 + b.bytes));
    let ((allocs, alloc_bytes), (frees, freed_bytes)) = (total(&sizes), total(&ages));
    counts.alloc_count = allocs;
    counts.alloc_bytes += alloc_bytes;
    counts.free_count += frees;
    counts.freed_bytes += freed_bytes;
    counts.hit_count = counts.alloc_count + counts.free_count + other_hits;
    if lifetimes {
        counts.return_count = counts.alloc_count;
    }
    (counts, sizes, ages)
}

fn empty() -> Histogram {
    [Bucket::default(); BUCKETS as usize]
}

fn merge(sum: &mut Histogram, part: &Histogram) {
    for (sum, part) in sum.iter_mut().zip(part) {
        sum.count += part.count;
        sum.bytes += part.bytes;
    }
}

impl Kernel {
    /// Changes the settings.
    ///
    /// # Errors
    /// [`Error::Map`].
    pub fn configure(&mut self, settings: Settings) -> Result<(), Error> {
        let mut map = map_as!(self, "SETTINGS", Array<&mut MapData, Plain<Settings>>)?;
        map.set(0, Plain(settings), 0).map_err(map_error("SETTINGS"))
    }

    /// Makes a process a target.
    ///
    /// # Errors
    /// [`Error::Map`].
    pub fn add_target(&mut self, tgid: u32) -> Result<(), Error> {
        let mut map = map_as!(self, "TARGETS", HashMap<&mut MapData, u32, u32>)?;
        map.insert(tgid, 0, 0).map_err(map_error("TARGETS"))
    }

    /// Forgets a process that has gone, so that its places can be used again.
    ///
    /// # Errors
    /// [`Error::Map`].
    pub fn forget_target(&mut self, tgid: u32) -> Result<(), Error> {
        // It may not have been there: a child without a heap, or one that found no room.
        let _ = map_as!(self, "TARGETS", HashMap<&mut MapData, u32, u32>)?.remove(&tgid);
        let _ = map_as!(self, "HEAP_END", HashMap<&mut MapData, u32, u64>)?.remove(&tgid);
        Ok(())
    }

    /// Tells where a process's heap ends now.
    ///
    /// # Errors
    /// [`Error::Map`].
    pub fn set_heap_end(&mut self, tgid: u32, end: u64) -> Result<(), Error> {
        let mut map = map_as!(self, "HEAP_END", HashMap<&mut MapData, u32, u64>)?;
        match map.insert(tgid, end, 0) {
            // Without room the first change of this heap is not known.
            Err(MapError::SyscallError(error)) if error.io_error.raw_os_error() == Some(libc::E2BIG) => {
                Ok(())
            }
            result => result.map_err(map_error("HEAP_END")),
        }
    }

    /// Enters a wrapper: the return address inside it, and how far up its own return address lies.
    ///
    /// # Errors
    /// [`Error::Map`].
    pub fn add_wrapper(&mut self, return_address: u64, slot: u32) -> Result<(), Error> {
        let mut map = map_as!(self, "WRAPPERS", HashMap<&mut MapData, u64, u32>)?;
        map.insert(return_address, slot, 0).map_err(map_error("WRAPPERS"))
    }

    /// Puts a counting perf event where the switch program reads it.
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::Syscall`].
    pub fn set_event(&mut self, cpu: u32, event: usize, fd: BorrowedFd<'_>) -> Result<(), Error> {
        let name = format!("EVENT_{event}");
        let Some(Map::PerfEventArray(data)) = self.ebpf.map(&name) else {
            return Err(Error::Missing(name));
        };
        sys::set_perf_event(data.fd().as_fd(), cpu, fd)
            .map_err(Error::syscall(format!("handing event {event} of CPU {cpu} to the kernel part")))
    }

    /// The ring, to be read independently of the rest, by one reader at a time.
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::Map`], [`Error::Syscall`].
    pub fn ring(&self) -> Result<RingBuf<MapData>, Error> {
        RingBuf::try_from(Map::RingBuf(self.copy_of("RING")?)).map_err(map_error("RING"))
    }

    /// The ring of captures, likewise.
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::Map`], [`Error::Syscall`].
    pub fn access_ring(&self) -> Result<RingBuf<MapData>, Error> {
        RingBuf::try_from(Map::RingBuf(self.copy_of("ACCESS_RING")?)).map_err(map_error("ACCESS_RING"))
    }

    /// The word that says who has come by the first breakpoint of a check.
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::Map`], [`Error::Syscall`].
    pub fn access_check(&self) -> Result<Array<MapData, u32>, Error> {
        Array::try_from(Map::Array(self.copy_of("ACCESS_CHECK")?)).map_err(map_error("ACCESS_CHECK"))
    }

    /// Sets the lines to capture for a process.
    ///
    /// # Errors
    /// [`Error::Map`].
    pub fn set_hot(&mut self, tgid: u32, hot: Hot) -> Result<(), Error> {
        let mut map = map_as!(self, "ACCESS_HOT", HashMap<&mut MapData, u32, Plain<Hot>>)?;
        map.insert(tgid, Plain(hot), 0).map_err(map_error("ACCESS_HOT"))
    }

    /// The lines to capture, by process.
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::Map`], [`Error::Syscall`].
    pub fn access_hot(&self) -> Result<HashMap<MapData, u32, Plain<Hot>>, Error> {
        HashMap::try_from(Map::HashMap(self.copy_of("ACCESS_HOT")?)).map_err(map_error("ACCESS_HOT"))
    }

    /// What the sampler's ticks found, on all CPUs.
    ///
    /// # Errors
    /// [`Error::Map`].
    pub fn access_ticks(&mut self) -> Result<Ticks, Error> {
        let map = map_as!(self, "ACCESS_TICKS", PerCpuArray<&mut MapData, Plain<Ticks>>)?;
        let cpus = map.get(&0, 0).map_err(map_error("ACCESS_TICKS"))?;
        Ok(cpus.iter().fold(Ticks::default(), |sum, Plain(cpu)| Ticks {
            user: sum.user + cpu.user,
            kernel: sum.kernel + cpu.kernel,
            dropped: sum.dropped + cpu.dropped,
            capture_ns: sum.capture_ns + cpu.capture_ns,
        }))
    }

    /// All totals.
    ///
    /// # Errors
    /// [`Error::Map`].
    pub fn sums(&mut self) -> Result<Sums, Error> {
        let totals = self.totals()?.0;
        let peak = map_as!(self, "PEAK", Array<&mut MapData, Plain<Peak>>)?;
        let peak = peak.get(&0, 0).map_err(map_error("PEAK"))?.0;
        let maps = map_as!(self, "MAP_TOTALS", Array<&mut MapData, Plain<MapTotals>>)?;
        let maps = maps.get(&0, 0).map_err(map_error("MAP_TOTALS"))?.0;
        Ok(Sums { totals, peak, maps })
    }

    /// A reader of the totals that works independently of the rest.
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::Map`], [`Error::Syscall`].
    pub fn totals_reader(&self) -> Result<TotalsReader, Error> {
        let lifetimes = self.lifetimes;
        Ok(TotalsReader {
            lifetimes,
            totals: self.per_cpu_copy("TOTALS")?,
            on_cpu: self.per_cpu_copy("ON_CPU")?,
        })
    }

    fn per_cpu_copy<T: aya::Pod>(&self, name: &'static str) -> Result<PerCpuArray<MapData, T>, Error> {
        PerCpuArray::try_from(Map::PerCpuArray(self.copy_of(name)?)).map_err(map_error(name))
    }

    /// A map under a descriptor of its own, for a thread of its own.
    fn copy_of(&self, name: &'static str) -> Result<MapData, Error> {
        let fd = self.map_fd(name)?.try_clone_to_owned();
        let fd = fd.map_err(Error::syscall(format!("duplicating map {name}")))?;
        MapData::from_fd(fd).map_err(map_error(name))
    }

    fn map_fd(&self, name: &'static str) -> Result<BorrowedFd<'_>, Error> {
        let fd = self.ebpf.map(name).and_then(object::map_fd);
        fd.ok_or_else(|| Error::Missing(name.to_owned()))
    }

    /// Empties a hash table.
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::Syscall`].
    pub fn clear_table<K: Pod, V: Pod>(&mut self, name: &'static str) -> Result<(), Error> {
        let map = self.map_fd(name)?;
        let clear = || {
            let keys: Vec<K> = sys::lookup_all::<K, V>(map)?.into_iter().map(|(key, _)| key).collect();
            sys::delete_all(map, &keys)
        };
        clear().map_err(Error::syscall(format!("emptying map {name}")))
    }

    /// Forgets all sites. No probe may be in place.
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::Map`].
    pub fn clear_sites(&mut self) -> Result<(), Error> {
        let used = self.sites()?.len() as u32;
        let mut sites = map_as!(self, "SITES", Array<&mut MapData, Plain<Site>>)?;
        for index in 0..used {
            sites.set(index, Plain(Site::default()), 0).map_err(map_error("SITES"))?;
        }
        let mut count = map_as!(self, "SITE_COUNT", Array<&mut MapData, u64>)?;
        count.set(0, 0, 0).map_err(map_error("SITE_COUNT"))
    }

    /// Sets the live and peak bytes back to nothing.
    ///
    /// # Errors
    /// [`Error::Map`].
    pub fn clear_peak(&mut self) -> Result<(), Error> {
        let mut map = map_as!(self, "PEAK", Array<&mut MapData, Plain<Peak>>)?;
        map.set(0, Plain(Peak::default()), 0).map_err(map_error("PEAK"))
    }

    /// Counts, sizes asked for, and lifetimes in nanoseconds.
    ///
    /// # Errors
    /// [`Error::Map`].
    pub fn totals(&mut self) -> Result<(Counts, Histogram, Histogram), Error> {
        let lifetimes = self.lifetimes;
        let totals = map_as!(self, "TOTALS", PerCpuArray<&mut MapData, Plain<Totals>>)?;
        Ok(sum(&totals.get(&0, 0).map_err(map_error("TOTALS"))?, lifetimes))
    }

    /// All sites, by index; site 0 is what found no room.
    ///
    /// # Errors
    /// [`Error::Map`].
    pub fn sites(&mut self) -> Result<Vec<Site>, Error> {
        let count = map_as!(self, "SITE_COUNT", Array<&mut MapData, u64>)?;
        let count = count.get(&0, 0).map_err(map_error("SITE_COUNT"))?.min(u64::from(MAX_SITES) - 1) as u32;
        let map = map_as!(self, "SITES", Array<&mut MapData, Plain<Site>>)?;
        (0..=count)
            .map(|index| map.get(&index, 0).map(|Plain(site)| site).map_err(map_error("SITES")))
            .collect()
    }

    /// The addresses of a stack by frame pointer, innermost first: the probed function, then return addresses. Empty if it
    /// is not there.
    ///
    /// # Errors
    /// [`Error::Map`].
    pub fn stack(&mut self, number: u32) -> Result<Vec<u64>, Error> {
        let map = map_as!(self, "STACKS", aya::maps::StackTraceMap<&mut MapData>)?;
        match map.get(&number, 0) {
            Ok(trace) => Ok(trace.frames().iter().map(|frame| frame.ip).collect()),
            Err(MapError::KeyNotFound) => Ok(Vec::new()),
            Err(error) => Err(map_error("STACKS")(error)),
        }
    }

    /// All readings the kernel part holds.
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::Syscall`].
    pub fn readings(&mut self) -> Result<Vec<(ReadingKey, Reading)>, Error> {
        let Some(Map::HashMap(data)) = self.ebpf.map("READINGS") else {
            return Err(Error::Missing("READINGS".to_owned()));
        };
        sys::lookup_all(data.fd().as_fd()).map_err(Error::syscall("reading the counter readings"))
    }

    /// Removes a finished reading.
    ///
    /// # Errors
    /// [`Error::Map`].
    pub fn remove_reading(&mut self, key: ReadingKey) -> Result<(), Error> {
        let mut map = map_as!(self, "READINGS", HashMap<&mut MapData, Plain<ReadingKey>, Plain<Reading>>)?;
        map.remove(&Plain(key)).map_err(map_error("READINGS"))
    }

    /// Losses by kind, in the order of [`loss::NAMES`].
    ///
    /// # Errors
    /// [`Error::Map`].
    pub fn losses(&mut self) -> Result<[u64; loss::KINDS as usize], Error> {
        let map = map_as!(self, "LOSS", Array<&mut MapData, u64>)?;
        let mut losses = [0; loss::KINDS as usize];
        for (kind, count) in (0..loss::KINDS).zip(&mut losses) {
            *count = map.get(&kind, 0).map_err(map_error("LOSS"))?;
        }
        Ok(losses)
    }
}
