//! Constants set before loading, and settings changed while programs run.

use aya_ebpf::macros::map;
use aya_ebpf::maps::Array;
use waytrace_abi::settings::Settings;

#[map]
static SETTINGS: Array<Settings> = Array::with_max_entries(1, 0);

/// A field of the settings, as it is now.
macro_rules! setting {
    ($field:ident) => {
        match $crate::settings::get() {
            // SAFETY: a map value is readable during the program run; the user side may change it at any time.
            Some(settings) => unsafe { core::ptr::read_volatile(&raw const (*settings).$field) },
            None => 0,
        }
    };
}
pub(crate) use setting;

/// The settings.
#[inline(always)]
pub fn get() -> Option<*const Settings> {
    SETTINGS.get_ptr(0)
}

/// A constant the user side sets before loading; read volatile, for the compiler knows only its default.
#[inline(always)]
pub fn constant<T: Copy>(value: &'static T) -> T {
    // SAFETY: a reference is valid for reads.
    unsafe { core::ptr::read_volatile(value) }
}
