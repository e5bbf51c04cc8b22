//! What is said to who started this: messages that stay, and a status that does not. On a terminal the
//! status is one line that is rewritten in place and never longer than the terminal is wide; elsewhere, in
//! a log file, it is a plain line now and then.

use std::io::{IsTerminal as _, Write as _, stdout};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Takes messages and the status.
#[derive(Debug)]
pub(crate) struct Screen {
    /// The status on a terminal.
    line: Option<ProgressBar>,
}

impl Screen {
    pub(crate) fn new() -> Self {
        let on_terminal = || {
            let line = ProgressBar::with_draw_target(None, ProgressDrawTarget::stdout());
            // One part, which every version of the library knows.
            line.set_style(
                ProgressStyle::with_template("{wide_msg}").expect("the template is constant"),
            );
            line
        };
        Self {
            line: stdout().is_terminal().then(on_terminal),
        }
    }

    /// How often the status is worth a look, where a log file wants one line in `log`.
    pub(crate) fn pace(&self, log: Duration) -> Duration {
        match self.line {
            Some(_) => Duration::from_secs(1),
            None => log,
        }
    }

    /// Shows the status in place of the former one.
    pub(crate) fn status(&self, text: &str) {
        match &self.line {
            Some(line) => {
                line.set_message(text.to_owned());
                if line.is_finished() {
                    line.reset();
                }
            }
            None => write(text),
        }
    }

    /// Shows a message that stays, in place of the status.
    pub(crate) fn message(&self, text: &str) {
        self.clear();
        write(text);
    }

    /// Removes the status from a terminal until there is another one, so that others may write.
    pub(crate) fn clear(&self) {
        if let Some(line) = &self.line {
            line.finish_and_clear();
        }
    }
}

fn write(text: &str) {
    let mut out = stdout().lock();
    // Nobody may be reading any more; the site runs on.
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}
