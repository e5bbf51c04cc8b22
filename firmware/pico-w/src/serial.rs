//! The log, as lines at 115,200 baud on pin 1 (GP0).

use core::cell::RefCell;

use critical_section::Mutex;
use embassy_rp::Peri;
use embassy_rp::peripherals::{PIN_0, UART0};
use embassy_rp::uart::{Blocking, Config, UartTx};
use fieldledger_drive::log_line;
use log::{LevelFilter, Metadata, Record};

/// The longest line; the rest of a longer one is cut off. It takes 14 ms, which is longer than anything
/// else here waits, and short beside the watchdog.
const LINE_BYTES: usize = 160;

struct Serial {
    port: Mutex<RefCell<Option<UartTx<'static, Blocking>>>>,
}

static SERIAL: Serial = Serial {
    port: Mutex::new(RefCell::new(None)),
};

/// Sends what is logged to the pin.
pub(crate) fn start(uart: Peri<'static, UART0>, pin: Peri<'static, PIN_0>) {
    let port = UartTx::new_blocking(uart, pin, Config::default());
    critical_section::with(|section| SERIAL.port.replace(section, Some(port)));
    // SAFETY: nothing else runs yet.
    unsafe {
        // There is none before.
        let _ = log::set_logger_racy(&SERIAL);
        log::set_max_level_racy(LevelFilter::Debug);
    }
}

impl log::Log for Serial {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        log_line::is_ours(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let line = log_line::line::<LINE_BYTES>(record, "\r\n");
        // Interrupts wait too, so that one that panics does not find the port in use.
        critical_section::with(|section| {
            if let Some(port) = self.port.borrow_ref_mut(section).as_mut() {
                // There is nobody to tell.
                let _ = port.blocking_write(line.as_bytes());
            }
        });
    }

    fn flush(&self) {}
}
