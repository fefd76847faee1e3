//! The model-specific registers of allocation and monitoring, as `/dev/cpu/N/msr` gives access to them.
//!
//! Source: Intel SDM vol. 3B, 19.18 and 19.19, and vol. 4 for the addresses; AMD64 PQoS extensions for bandwidth.

use crate::model::control::Association;
use crate::model::machine::Machine;
use crate::spec::{Broken, CatSpec, MonitorEvent, Vendor, full_mask};

/// Time stamp counter.
pub const TSC: u32 = 0x10;
/// L3 code and data prioritisation: bit 0.
pub const L3_QOS_CFG: u32 = 0xc81;
/// Which event of which RMID [`QM_CTR`] shows.
pub const QM_EVTSEL: u32 = 0xc8d;
/// The counter, with bit 63 for an error and bit 62 for a value that is not there.
pub const QM_CTR: u32 = 0xc8e;
/// RMID and CLOSID of a CPU.
pub const PQR_ASSOC: u32 = 0xc8f;
/// First of the L3 masks.
pub const L3_MASK: u32 = 0xc90;
/// First of the L2 masks.
pub const L2_MASK: u32 = 0xd10;
/// First of Intel's bandwidth delays.
pub const MBA_THROTTLE: u32 = 0xd50;
/// First of AMD's bandwidth limits.
pub const AMD_MBA: u32 = 0xc000_0200;

/// Most registers of a kind.
const RANGE: u32 = 0x40;
const ERROR_BIT: u64 = 1 << 63;
const UNAVAILABLE_BIT: u64 = 1 << 62;

/// A general protection fault: no such register, or a value it does not take. The kernel makes it EIO.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("general protection fault at MSR {0:#x}")]
pub struct GeneralProtection(pub u32);

/// Which register an address is, on a host that has it.
enum Register {
    Tsc,
    L3Config,
    EventSelect,
    Counter,
    Association,
    L3Mask(usize),
    L2Mask(usize),
    Bandwidth(usize),
}

/// Reads a register of a CPU.
///
/// # Errors
/// [`GeneralProtection`] where the host has no such register.
pub fn read(machine: &Machine, cpu: usize, address: u32) -> Result<u64, GeneralProtection> {
    let fault = GeneralProtection(address);
    let (control, spec) = (&machine.control, machine.spec());
    let domain = spec.domain_of(cpu);
    let value = match register(machine, address).ok_or(fault)? {
        Register::Tsc => {
            u64::try_from(u128::from(machine.now_ns()) * u128::from(spec.timing.hz) / 1_000_000_000).ok()
        }
        Register::L3Config => control.cdp.get(domain).map(|&on| u64::from(on)),
        Register::EventSelect => control.event_select.get(cpu).copied(),
        Register::Counter => control.event_select.get(cpu).map(|&select| counter(machine, domain, select)),
        Register::Association => {
            control.pqr.get(cpu).map(|pqr| u64::from(pqr.closid) << 32 | u64::from(pqr.rmid))
        }
        Register::L3Mask(index) => control.l3.get(domain).and_then(|masks| masks.get(index)).copied(),
        Register::L2Mask(index) => {
            control.l2.get(spec.core_of(cpu)).and_then(|masks| masks.get(index)).copied()
        }
        Register::Bandwidth(index) => control.mba.get(domain).and_then(|values| values.get(index)).copied(),
    };
    value.ok_or(fault)
}

/// Writes a register of a CPU. Masks and limits hold for all CPUs of the cache.
///
/// # Errors
/// [`GeneralProtection`] where the host has no such register, it cannot be written, or it does not take the value.
pub fn write(machine: &mut Machine, cpu: usize, address: u32, value: u64) -> Result<(), GeneralProtection> {
    let fault = GeneralProtection(address);
    let register = register(machine, address).ok_or(fault)?;
    if !takes(machine, &register, value) {
        return Err(fault);
    }
    let (domain, core) = (machine.spec().domain_of(cpu), machine.spec().core_of(cpu));
    let control = &mut machine.control;
    let place = match register {
        Register::Tsc | Register::Counter => None,
        Register::L3Config => {
            *control.cdp.get_mut(domain).ok_or(fault)? = value == 1;
            return Ok(());
        }
        Register::Association => {
            let rmid = u16::try_from(value & 0x3ff).map_err(|_| fault)?;
            let closid = u32::try_from(value >> 32).map_err(|_| fault)?;
            *control.pqr.get_mut(cpu).ok_or(fault)? = Association { closid, rmid };
            return Ok(());
        }
        Register::EventSelect => control.event_select.get_mut(cpu),
        Register::L3Mask(index) => control.l3.get_mut(domain).and_then(|masks| masks.get_mut(index)),
        Register::L2Mask(index) => control.l2.get_mut(core).and_then(|masks| masks.get_mut(index)),
        Register::Bandwidth(index) => control.mba.get_mut(domain).and_then(|values| values.get_mut(index)),
    };
    *place.ok_or(fault)? = value;
    Ok(())
}

/// What `IA32_QM_CTR` says of the event and RMID that `select` names.
pub fn counter(machine: &Machine, domain: usize, select: u64) -> u64 {
    let Some(monitoring) = &machine.spec().monitoring else { return ERROR_BIT };
    let rmid = u16::try_from(select >> 32 & 0x3ff).unwrap_or(u16::MAX);
    let named = MonitorEvent::ALL.into_iter().find(|&event| event as u64 == select & 0xff);
    let Some(event) = named.filter(|event| monitoring.events.contains(event) && rmid < monitoring.rmids)
    else {
        return ERROR_BIT;
    };
    match monitoring.broken.iter().find(|(broken, _)| *broken == event) {
        Some((_, Broken::Error)) => ERROR_BIT,
        Some((_, Broken::Unavailable | Broken::Unassigned)) => UNAVAILABLE_BIT,
        None => {
            let bytes = match event {
                MonitorEvent::Occupancy => machine.occupancy_bytes(domain, rmid),
                MonitorEvent::TotalBytes | MonitorEvent::LocalBytes => machine.traffic_bytes(domain, rmid),
            };
            let width = usize::try_from(monitoring.counter_width).unwrap_or(62);
            (bytes / monitoring.upscale_bytes.max(1)) & full_mask(width)
        }
    }
}

fn register(machine: &Machine, address: u32) -> Option<Register> {
    let spec = machine.spec();
    let within = |first: u32, count: usize| {
        let index = address.checked_sub(first).filter(|&index| index < RANGE)?;
        usize::try_from(index).ok().filter(|&index| index < count)
    };
    let mba_first = if spec.vendor == Vendor::Amd { AMD_MBA } else { MBA_THROTTLE };
    let has_classes = spec.l3_cat.is_some() || spec.l2.is_some() || spec.mba.is_some();
    match address {
        TSC => Some(Register::Tsc),
        L3_QOS_CFG => spec.l3_cat.filter(|cat| cat.cdp_capable).map(|_| Register::L3Config),
        QM_EVTSEL => spec.monitoring.as_ref().map(|_| Register::EventSelect),
        QM_CTR => spec.monitoring.as_ref().map(|_| Register::Counter),
        PQR_ASSOC => (has_classes || spec.monitoring.is_some()).then_some(Register::Association),
        _ => within(L3_MASK, spec.l3_cat.map_or(0, |cat| cat.closids))
            .map(Register::L3Mask)
            .or_else(|| within(L2_MASK, spec.l2.map_or(0, |l2| l2.cat.closids)).map(Register::L2Mask))
            .or_else(|| within(mba_first, spec.mba.map_or(0, |mba| mba.closids)).map(Register::Bandwidth)),
    }
}

/// Whether the hardware takes a value; otherwise it faults.
fn takes(machine: &Machine, register: &Register, value: u64) -> bool {
    let spec = machine.spec();
    match register {
        Register::Tsc | Register::Counter => false,
        Register::L3Config => value <= 1,
        Register::EventSelect => value & !(0x3ff << 32 | 0xff) == 0,
        Register::Association => {
            let (closid, rmid) = (value >> 32, value & 0xffff_ffff);
            closid < spec.closids() as u64 && rmid < u64::from(spec.rmids())
        }
        Register::L3Mask(_) => spec.l3_cat.is_some_and(|cat| takes_mask(&cat, spec.vendor, value)),
        Register::L2Mask(_) => spec.l2.is_some_and(|l2| takes_mask(&l2.cat, spec.vendor, value)),
        Register::Bandwidth(_) => spec.mba.is_some_and(|mba| match spec.vendor {
            Vendor::Intel => value <= u64::from(mba.max - mba.min),
            Vendor::Amd => value <= u64::from(mba.max),
        }),
    }
}

fn takes_mask(cat: &CatSpec, vendor: Vendor, mask: u64) -> bool {
    let run = if mask == 0 { 0 } else { mask >> mask.trailing_zeros() };
    let is_consecutive = run & run.wrapping_add(1) == 0;
    mask & !full_mask(cat.ways) == 0
        && (vendor == Vendor::Amd || (mask != 0 && (cat.sparse || is_consecutive)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hosts;
    use crate::model::program::{Program, Workload};
    use crate::model::task::TaskSpec;

    fn machine(spec: &crate::spec::HostSpec) -> Machine {
        Machine::new(spec, 1)
    }

    #[test]
    fn masks_fault_where_the_processor_would() {
        let mut twelve = machine(&hosts::twelve());
        for mask in [0, 0b101, 0x1000, u64::MAX] {
            assert!(write(&mut twelve, 0, L3_MASK, mask).is_err(), "{mask:#x}");
        }
        for mask in [1, 0xff0, 0xfff] {
            write(&mut twelve, 0, L3_MASK + 15, mask).unwrap();
            assert_eq!(read(&twelve, 7, L3_MASK + 15), Ok(mask), "one register for all CPUs of the cache");
        }
        assert_eq!(write(&mut twelve, 0, L3_MASK + 16, 1), Err(GeneralProtection(L3_MASK + 16)));
        assert!(write(&mut machine(&hosts::sparse()), 0, L3_MASK, 0b101).is_ok());
        assert!(write(&mut machine(&hosts::amd()), 0, L3_MASK, 0).is_ok());
    }

    #[test]
    fn registers_a_host_lacks_fault() {
        let eleven = machine(&hosts::eleven());
        let bare = machine(&hosts::no_monitoring());
        for (machine, register) in [
            (&eleven, MBA_THROTTLE),
            (&eleven, L3_QOS_CFG),
            (&eleven, L2_MASK),
            (&bare, QM_EVTSEL),
            (&bare, QM_CTR),
            (&bare, 0x11),
        ] {
            assert!(read(machine, 0, register).is_err(), "{register:#x}");
        }
        assert!(write(&mut machine(&hosts::twelve()), 0, QM_CTR, 0).is_err());
    }

    #[test]
    fn associations_are_checked_and_belong_to_one_cpu() {
        let mut twelve = machine(&hosts::twelve());
        write(&mut twelve, 3, PQR_ASSOC, 15 << 32 | 63).unwrap();
        assert_eq!((read(&twelve, 3, PQR_ASSOC), read(&twelve, 2, PQR_ASSOC)), (Ok(15 << 32 | 63), Ok(0)));
        for value in [16 << 32, 64, 1 << 20] {
            assert!(write(&mut twelve, 3, PQR_ASSOC, value).is_err(), "{value:#x}");
        }
    }

    #[test]
    fn delays_and_limits_are_bounded() {
        let mut intel = machine(&hosts::twelve());
        assert!(write(&mut intel, 0, MBA_THROTTLE + 7, 90).is_ok());
        assert!(write(&mut intel, 0, MBA_THROTTLE + 7, 91).is_err());
        let mut amd = machine(&hosts::amd());
        assert_eq!(read(&amd, 0, AMD_MBA + 1), Ok(2048));
        assert!(write(&mut amd, 0, AMD_MBA + 1, 2049).is_err());
        assert!(read(&amd, 0, MBA_THROTTLE).is_err());
    }

    #[test]
    fn counters_show_what_was_selected() {
        let mut narrow = machine(&hosts::narrow());
        let workload = Workload::of(Program::Stream);
        narrow.start(TaskSpec { tgid: 1, tid: 1, cpu: 0, workload });
        write(&mut narrow, 0, PQR_ASSOC, 5).unwrap();
        narrow.step(3_000_000_000);
        let select = |machine: &mut Machine, event: u64, rmid: u64| {
            write(machine, 0, QM_EVTSEL, rmid << 32 | event).unwrap();
            read(machine, 0, QM_CTR).unwrap()
        };
        assert_eq!(select(&mut narrow, 1, 5) * 64, hosts::narrow().l3.bytes());
        let bytes = narrow.traffic_bytes(0, 5);
        assert!(bytes / 64 > 1 << 24, "the test needs a counter that wraps");
        assert_eq!(select(&mut narrow, 2, 5), bytes / 64 % (1 << 24));
        assert_eq!(select(&mut narrow, 2, 6), 0);
        assert_eq!(select(&mut narrow, 9, 5) >> 62, 0b10, "no such event");
        assert_eq!(select(&mut narrow, 1, 64) >> 62, 0b10, "no such RMID");
        let mut broken = machine(&hosts::broken());
        assert_eq!([select(&mut broken, 1, 0) >> 62, select(&mut broken, 2, 0) >> 62], [0b10, 0b01]);
    }
}
