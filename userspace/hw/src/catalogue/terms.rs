//! An event → the terms the kernel's PMU takes, and the text perf and [`crate::events::resolve`] know it by.
//!
//! Source: `tools/perf/pmu-events/jevents.py` for which term holds which field, `arch/x86/events/intel` for the pseudo codes of
//! fixed counters.

use super::event::{Event, Fields, Msr};
use super::units::{CORE, is_instance};
use crate::Machine;

/// Registers and the terms the kernel sets them by.
const MSRS: [(u64, &str); 4] =
    [(0x1a6, "offcore_rsp"), (0x1a7, "offcore_rsp"), (0x3f6, "ldlat"), (0x3f7, "frontend")];

/// Fields of filter registers, with the value that lets everything through or the usual choice, for events whose source
/// names the register and leaves the value open.
const OPEN_FILTERS: [(&str, &str, u64); 4] = [
    ("cbofilter0[23:17]", "filter_state", 0x1f),
    ("cbofilter0[22:18]", "filter_state", 0x1f),
    ("cbofilter1[15:0]", "filter_nid", 0x3),
    ("cbofilter1[28:20]", "filter_opc", 0x192),
];

impl Event {
    /// Terms of its encoding, in the usual order; none for the kernel's own events.
    pub fn terms(&self) -> Vec<(String, u64)> {
        let fields = &self.fields;
        let mut terms = Vec::new();
        let (code, umask) = selector(self.is_core(), fields);
        // A code of 0 is one too.
        terms.extend(code.map(|code| ("event".to_owned(), code)));
        let mut put = |name: &str, value: u64| {
            if value != 0 {
                terms.push((name.to_owned(), value));
            }
        };
        put("umask", umask);
        put("cmask", fields.cmask);
        put("inv", u64::from(fields.invert));
        put("edge", u64::from(fields.edge));
        put("any", u64::from(fields.any_thread));
        put("ch_mask", fields.port_mask);
        put("fc_mask", fields.fc_mask);
        if let Some((name, value)) = fields.msr.as_ref().and_then(register) {
            put(name, value);
        }
        terms.extend(fields.terms.iter().cloned());
        terms.extend(self.open_filters());
        terms
    }

    fn open_filters(&self) -> Vec<(String, u64)> {
        let term = |filter: &super::Filter| {
            let name = filter.name.to_ascii_lowercase();
            let (_, term, usual) = OPEN_FILTERS.iter().find(|(register, ..)| *register == name)?;
            Some(((*term).to_owned(), filter.value.unwrap_or(*usual)))
        };
        self.filters.iter().filter_map(term).collect()
    }

    /// The terms as text: `event=0xd1,umask=0x20`.
    pub fn encoding(&self) -> String {
        let terms: Vec<String> =
            self.terms().iter().map(|(name, value)| format!("{name}={value:#x}")).collect();
        terms.join(",")
    }

    /// The names by which this machine counts it, one for each instance of its PMU; none where the PMU is missing. The
    /// kernel's own events and those a PMU names in sysfs keep their names, others are written with their terms.
    pub fn perf_names(&self, machine: &Machine) -> Vec<String> {
        let core = machine.core_pmus().iter().map(|pmu| pmu.name.as_str());
        let instances =
            machine.pmu_names().iter().map(String::as_str).filter(|name| is_instance(name, &self.pmu));
        let pmus: Vec<&str> = if self.pmu == CORE { core.collect() } else { instances.collect() };
        if let Some((_, named)) = self.name.split_once('/') {
            return pmus.into_iter().map(|pmu| format!("{pmu}/{named}")).collect();
        }
        if self.fields == Fields::default() {
            return pmus.first().map(|_| self.name.clone()).into_iter().collect();
        }
        pmus.into_iter().map(|pmu| format!("{pmu}/{},name={}/", self.encoding(), self.name)).collect()
    }
}

/// Event code and mask. Files give fixed counters the pseudo code 0; the kernel wants the general event that counts the same,
/// where there is one, and chooses the fixed counter itself.
fn selector(is_core: bool, fields: &Fields) -> (Option<u64>, u64) {
    let code = fields.codes.first().map(|code| code | u64::from(fields.extsel) << 8);
    match (is_core, code, fields.umask) {
        (true, Some(0), 1) => (Some(0xc0), 0),
        (true, Some(0), 2) => (Some(0x3c), 0),
        (_, code, umask) => (code, umask),
    }
}

fn register(msr: &Msr) -> Option<(&'static str, u64)> {
    let (_, term) = MSRS.iter().find(|(index, _)| msr.indices.first() == Some(index))?;
    Some((term, msr.value))
}

#[cfg(test)]
mod tests {
    use super::super::event::Filter;
    use super::*;
    use crate::events::resolve;
    use crate::testing::{Tree, intel_like, software_pmus};

    fn event(codes: &[u64], umask: u64) -> Event {
        let fields = Fields { codes: codes.to_vec(), umask, ..Fields::default() };
        Event { name: "e".to_owned(), pmu: CORE.to_owned(), fields, ..Event::default() }
    }

    #[test]
    fn fields_become_the_kernels_terms() {
        let mut load = event(&[0xcd], 1);
        load.fields.msr = Some(Msr { indices: vec![0x3f6], value: 32 });
        assert_eq!(load.encoding(), "event=0xcd,umask=0x1,ldlat=0x20");
        let mut response = event(&[0xb7, 0xbb], 1);
        response.fields.msr = Some(Msr { indices: vec![0x1a6, 0x1a7], value: 0x10003 });
        assert_eq!(response.encoding(), "event=0xb7,umask=0x1,offcore_rsp=0x10003");
        let mut stalls = event(&[0xa3], 4);
        (stalls.fields.cmask, stalls.fields.invert, stalls.fields.edge, stalls.fields.any_thread) =
            (4, true, true, true);
        assert_eq!(stalls.encoding(), "event=0xa3,umask=0x4,cmask=0x4,inv=0x1,edge=0x1,any=0x1");
        let mut port = Event { pmu: "uncore_iio".to_owned(), ..event(&[0x83], 0x104) };
        (port.fields.port_mask, port.fields.fc_mask, port.fields.extsel) = (1, 7, true);
        assert_eq!(port.encoding(), "event=0x183,umask=0x104,ch_mask=0x1,fc_mask=0x7");
        assert_eq!(event(&[0], 0).encoding(), "event=0x0");
    }

    #[test]
    fn fixed_counters_are_asked_for_by_what_they_count() {
        for (umask, encoding) in [(1, "event=0xc0"), (2, "event=0x3c"), (3, "event=0x0,umask=0x3")] {
            assert_eq!(event(&[0], umask).encoding(), encoding);
        }
        let uncore = Event { pmu: "uncore_cha".to_owned(), ..event(&[0], 1) };
        assert_eq!(uncore.encoding(), "event=0x0,umask=0x1");
    }

    #[test]
    fn a_filter_without_a_value_gets_the_usual_one() {
        let mut event = Event { pmu: "uncore_cbox".to_owned(), ..event(&[0x35], 3) };
        let filter = |value| Filter { name: "CBoFilter1[28:20]".to_owned(), value };
        event.filters = vec![filter(None)];
        assert_eq!(event.encoding(), "event=0x35,umask=0x3,filter_opc=0x192");
        event.filters = vec![filter(Some(0x180))];
        assert_eq!(event.encoding(), "event=0x35,umask=0x3,filter_opc=0x180");
    }

    #[test]
    fn what_it_is_called_on_a_machine_can_be_resolved_there() {
        let tree = intel_like();
        let machine = tree.machine();
        let names = event(&[0xd1], 0x20).perf_names(&machine);
        assert_eq!(names, ["cpu/event=0xd1,umask=0x20,name=e/"]);
        assert_eq!(resolve(&machine, &names[0]).unwrap().name, "e");
        let imc = Event { pmu: "uncore_imc".to_owned(), ..event(&[4], 0) };
        assert_eq!(imc.perf_names(&machine).len(), 2);
        let none = Tree::new(&[]);
        software_pmus(&none);
        assert!(
            imc.perf_names(&none.machine()).is_empty()
                && event(&[1], 0).perf_names(&none.machine()).is_empty()
        );
    }
}
