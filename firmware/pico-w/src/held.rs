//! Held readings, and the brokers that were sent last, in the flash.
//!
//! While the flash erases a sector, 45 ms as a rule and 400 ms at most, or writes, nothing else runs: the
//! program is in the same flash. That is well within the watchdog's 8 s, and as rare as a new sector.

use core::ops::Range;

use embassy_rp::Peri;
use embassy_rp::flash::{Blocking, Flash};
use embassy_rp::peripherals::FLASH;
use fieldledger_held::{HeldError, Last, Ring, Store};
use fieldledger_record::pico_w;

pub(crate) type HeldFlash = Store<Flash<'static, FLASH, Blocking, { pico_w::FLASH_BYTES }>>;

/// Where a place is within the flash.
fn within(place: Range<u32>) -> Range<u32> {
    place.start - pico_w::FLASH..place.end - pico_w::FLASH
}

/// The place for readings. A board on which it cannot be used goes on without.
pub(crate) fn open(flash: Peri<'static, FLASH>) -> HeldFlash {
    let ring = Ring::open(Flash::new_blocking(flash), within(pico_w::HELD));
    Store::new(ring.inspect_err(|error| log_failure(*error)).ok())
}

/// Keeps a list of brokers.
pub(crate) fn keep_brokers(store: &mut HeldFlash, list: &[u8]) {
    let place = within(pico_w::BROKERS);
    report(store.with_flash(|flash| Last::open(flash, place)?.set(list)));
}

/// Gives the list that is held to `remember`.
pub(crate) fn give_brokers(store: &mut HeldFlash, remember: &mut dyn FnMut(&[u8])) {
    let place = within(pico_w::BROKERS);
    report(store.with_flash(|flash| {
        if let Some(list) = Last::open(flash, place)?.get()? {
            remember(list);
        }
        Ok(())
    }));
}

/// For people: nothing else can be done about it.
pub(crate) fn report(done: Result<(), HeldError>) {
    if let Err(error) = done {
        log_failure(error);
    }
}

fn log_failure(error: HeldError) {
    log::error!("neither readings nor brokers survive a restart: {error}");
}
