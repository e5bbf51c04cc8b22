//! The simulated field, as a process.

use std::time::Duration;

use crate::process::Process;

/// A simulator says goodbye for each of its sensors.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// A running simulator.
#[derive(Debug)]
pub struct Simulator {
    /// The process; its standard output is what the simulator reports.
    pub process: Process,
}

impl Simulator {
    /// Stops it cleanly and returns it, for a look at what it reported.
    pub async fn stop(mut self) -> Process {
        self.process.stop(STOP_TIMEOUT).await;
        self.process
    }
}
