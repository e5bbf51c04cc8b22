//! What is in the flash beside the program. It is read where it is: the processor sees all of the flash
//! as memory.

use core::{ptr, slice};

use fieldledger_record::pico_w;
use fieldledger_record::settings::SETTINGS_BYTES;

/// The place of the settings.
pub(crate) fn settings() -> &'static [u8] {
    place(pico_w::SETTINGS, SETTINGS_BYTES)
}

/// The place of the radio's files, which begins at a multiple of four.
pub(crate) fn radio() -> &'static [u8] {
    place(pico_w::RADIO, pico_w::RADIO_BYTES)
}

fn place(address: u32, bytes: usize) -> &'static [u8] {
    // SAFETY: both places are flash, outside the linker's and that of the readings, and nobody writes to
    // them while this runs.
    unsafe { slice::from_raw_parts(ptr::with_exposed_provenance(address as usize), bytes) }
}
