//! Vendors' names of uncore units → the kernel's names of their PMUs.
//!
//! Source: names under `/sys/bus/event_source/devices` as the drivers in `arch/x86/events/{intel,amd}` and `drivers/perf` register them.

use super::event::Event;

/// The PMU of the cores, whatever it is called on a machine.
pub const CORE: &str = "cpu";

/// Vendor's name, kernel's name. What is not here is called `uncore_` and the vendor's name.
const NAMES: [(&str, &str); 13] = [
    ("cbo", "uncore_cbox"),
    ("sbo", "uncore_sbox"),
    ("qpi ll", "uncore_qpi"),
    ("upi ll", "uncore_upi"),
    ("ncu", "uncore_clock"),
    ("imph-u", "uncore_arb"),
    ("cpu-m-cf", "cpum_cf"),
    ("cpu-m-sf", "cpum_sf"),
    ("l3pmc", "amd_l3"),
    ("dfpmc", "amd_df"),
    ("umcpmc", "amd_umc"),
    ("edc_eclk", "uncore_edc_eclk"),
    ("edc_uclk", "uncore_edc_uclk"),
];

/// The kernel's PMU of a unit.
pub fn pmu(unit: &str) -> String {
    let unit = unit.trim().to_ascii_lowercase();
    if let Some((_, pmu)) = NAMES.iter().find(|(name, _)| *name == unit) {
        return (*pmu).to_owned();
    }
    let known_whole =
        ["cpu", "uncore_", "amd_", "hisi_", "arm", "dmc", "imx", "fsl_", "cpum_", "ali_", "nvidia_"];
    let plain = unit.replace([' ', '-', ','], "_");
    if known_whole.iter().any(|start| plain.starts_with(start)) { plain } else { format!("uncore_{plain}") }
}

/// Names of PMUs on a machine that count what the catalogue calls `pmu`: itself, or its numbered instances.
pub fn is_instance(name: &str, pmu: &str) -> bool {
    let Some(rest) = name.strip_prefix(pmu) else { return false };
    let digits = rest.strip_prefix('_').unwrap_or(rest);
    rest.is_empty() || (!digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
}

impl Event {
    /// Whether the cores count it.
    pub fn is_core(&self) -> bool {
        self.pmu == CORE || self.pmu.starts_with("cpu_")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_have_the_kernels_names() {
        for (unit, name) in [
            ("CBO", "uncore_cbox"),
            ("CHA", "uncore_cha"),
            ("UPI LL", "uncore_upi"),
            ("iMC", "uncore_imc"),
            ("M2PCIe", "uncore_m2pcie"),
            ("L3PMC", "amd_l3"),
            ("cpu_atom", "cpu_atom"),
            ("hisi_sccl,ddrc", "hisi_sccl_ddrc"),
            ("imc_free_running", "uncore_imc_free_running"),
        ] {
            assert_eq!(pmu(unit), name);
        }
    }

    #[test]
    fn instances_are_numbered() {
        for (name, is) in [
            ("uncore_imc", true),
            ("uncore_imc_3", true),
            ("uncore_imc_free_running", false),
            ("uncore_im", false),
        ] {
            assert_eq!(is_instance(name, "uncore_imc"), is, "{name}");
        }
        assert!(is_instance("uncore_cbox_12", "uncore_cbox"));
    }
}
