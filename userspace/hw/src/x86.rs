//! What only x86-64 has: the hypervisor's signature in CPUID.
//!
//! Source: Intel SDM vol. 2 CPUID; leaf 0x40000000 is the convention of hypervisors (KVM: `Documentation/virt/kvm/x86/cpuid.rst`).

use std::arch::x86_64::__cpuid;

/// Name of the hypervisor; its raw signature where it is not a known one. Ask only where CPUID says there is one.
pub fn hypervisor_name() -> String {
    let leaf = __cpuid(0x4000_0000);
    let bytes: Vec<u8> = [leaf.ebx, leaf.ecx, leaf.edx]
        .into_iter()
        .flat_map(u32::to_le_bytes)
        .filter(|byte| *byte != 0)
        .collect();
    let signature = String::from_utf8_lossy(&bytes).into_owned();
    match signature.as_str() {
        "KVMKVMKVM" => "KVM".to_owned(),
        "Microsoft Hv" => "Hyper-V".to_owned(),
        "VMwareVMware" => "VMware".to_owned(),
        "XenVMMXenVMM" => "Xen".to_owned(),
        "TCGTCGTCGTCG" => "QEMU TCG".to_owned(),
        _ => signature,
    }
}
