//! Being asked to stop.

use std::fs;

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Number of the signal that says that the terminal is gone.
const SIGHUP: u32 = 1;

/// The ways in which one is asked to stop: Ctrl-C, SIGTERM, and a terminal that is closed.
pub(super) struct StopRequests {
    interrupt: Signal,
    terminate: Signal,
    /// `None` where whoever started this said that it is not to end with the terminal.
    hang_up: Option<Signal>,
}

impl StopRequests {
    /// From now on no signal ends this process by itself.
    pub(super) fn listen() -> anyhow::Result<Self> {
        let on = |kind| signal(kind).context("cannot listen for signals");
        let hang_up = match ignores(SIGHUP) {
            true => None,
            false => Some(on(SignalKind::hangup())?),
        };
        Ok(Self {
            interrupt: on(SignalKind::interrupt())?,
            terminate: on(SignalKind::terminate())?,
            hang_up,
        })
    }

    /// Waits for the next one.
    pub(super) async fn next(&mut self) {
        let hang_up = async {
            match &mut self.hang_up {
                Some(hang_up) => drop(hang_up.recv().await),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            () = hang_up => {}
        }
    }
}

/// Whether this process was started so that it ignores a signal, as `nohup` does. False where the system
/// does not say.
fn ignores(signal: u32) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}
