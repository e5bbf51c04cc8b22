//! The status line: rewritten in place on a terminal, now and then a plain line elsewhere.

use std::io::{IsTerminal as _, Write as _, stdout};
use std::time::Duration;

/// Takes status lines, and messages that stay.
#[derive(Debug)]
pub(crate) struct Screen {
    terminal: bool,
}

impl Screen {
    pub(crate) fn new() -> Self {
        Self {
            terminal: stdout().is_terminal(),
        }
    }

    /// How often the status is worth a look.
    pub(crate) fn interval(&self) -> Duration {
        match self.terminal {
            true => Duration::from_secs(1),
            false => Duration::from_secs(10),
        }
    }

    /// Shows the status in place of the former one.
    pub(crate) fn status(&self, line: &str) {
        match self.terminal {
            true => self.write(&format!("\r\x1b[2K{line}")),
            false => self.write(&format!("{line}\n")),
        }
    }

    /// Shows a message that stays.
    pub(crate) fn message(&self, line: &str) {
        match self.terminal {
            true => self.write(&format!("\r\x1b[2K{line}\n")),
            false => self.write(&format!("{line}\n")),
        }
    }

    #[expect(clippy::unused_self, reason = "all output goes through the screen")]
    fn write(&self, text: &str) {
        let mut out = stdout().lock();
        // Nobody may be reading any more; the site runs on.
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }
}
