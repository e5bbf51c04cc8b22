//! What the machine that emulates gives, by semihosting (Arm, "Semihosting for AArch32 and AArch64").

use cortex_m_semihosting::{syscall, syscall1};
use fieldledger_drive::log_line;
use log::{LevelFilter, Metadata, Record};

/// The longest line of the log; the rest of a longer one is cut off.
const LINE_BYTES: usize = 256;

/// How the emulator ends.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Exit {
    /// There are no settings, or none that make a device.
    Settings = 2,
    /// The emulator lacks something.
    Hardware = 3,
    /// The program is wrong.
    Panic = 101,
}

/// Ends the emulator.
pub(crate) fn exit(code: Exit) -> ! {
    /// The reason that comes with a code (`ADP_Stopped_ApplicationExit`).
    const APPLICATION_EXIT: usize = 0x2_0026;
    /// `SYS_EXIT_EXTENDED`.
    const EXIT_EXTENDED: usize = 0x20;
    let arguments = [APPLICATION_EXIT, code as usize];
    // SAFETY: the arguments are two words that live until it returns, which it does not.
    unsafe {
        syscall1(EXIT_EXTENDED, arguments.as_ptr().expose_provenance());
    }
    loop {
        cortex_m::asm::wfi();
    }
}

/// Sixteen random bytes, if the host has them.
pub(crate) fn random() -> Option<[u8; 16]> {
    /// Open for reading, as it is.
    const READ_BINARY: usize = 1;
    /// The file's name, and the zero that ends it.
    const NAME: &[u8] = b"/dev/urandom\0";
    let mut bytes = [0; 16];
    // SAFETY: name and bytes live until the calls return, and have the lengths that are said.
    let missing = unsafe {
        let file = syscall!(OPEN, NAME.as_ptr(), READ_BINARY, NAME.len() - 1);
        if file == usize::MAX {
            return None;
        }
        let missing = syscall!(READ, file, bytes.as_mut_ptr(), bytes.len());
        syscall!(CLOSE, file);
        missing
    };
    (missing == 0).then_some(bytes)
}

struct Log;

static LOG: Log = Log;

/// Sends what is logged to the emulator's standard error.
pub(crate) fn start_log() {
    // SAFETY: nothing else runs yet.
    unsafe {
        // There is none before.
        let _ = log::set_logger_racy(&LOG);
        log::set_max_level_racy(LevelFilter::Debug);
    }
}

impl log::Log for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        log_line::is_ours(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let line = log_line::line::<LINE_BYTES>(record, "\n\0");
        // SAFETY: the line ends with a zero.
        unsafe { syscall1!(WRITE0, line.as_ptr().expose_provenance()) };
    }

    fn flush(&self) {}
}
