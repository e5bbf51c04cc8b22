//! Readings that wait, in the flash.
//!
//! While the flash erases a sector, 45 ms as a rule and 400 ms at most, or writes, nothing else runs: the
//! program is in the same flash. That is well within the watchdog's 8 s, and as rare as a new sector.

use embassy_rp::Peri;
use embassy_rp::flash::{Blocking, Flash};
use embassy_rp::peripherals::FLASH;
use fieldledger_kept::{KeptError, Ring, Store};
use fieldledger_record::pico_w;

pub(crate) type KeptFlash = Store<Flash<'static, FLASH, Blocking, { pico_w::FLASH_BYTES }>>;

/// The place for readings. A board on which it cannot be used goes on without.
pub(crate) fn open(flash: Peri<'static, FLASH>) -> KeptFlash {
    let place = pico_w::KEPT.start - pico_w::FLASH..pico_w::KEPT.end - pico_w::FLASH;
    let ring = Ring::open(Flash::new_blocking(flash), place);
    Store::new(ring.inspect_err(|error| log_failure(*error)).ok())
}

/// For people: nothing else can be done about it.
pub(crate) fn report(done: Result<(), KeptError>) {
    if let Err(error) = done {
        log_failure(error);
    }
}

fn log_failure(error: KeptError) {
    log::error!("readings do not survive a restart: {error}");
}
