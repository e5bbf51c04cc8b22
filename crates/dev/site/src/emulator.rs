//! A microcontroller that QEMU emulates, with the program of `firmware/emulated`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::process::Command;

use crate::error::SiteError;
use crate::process::Process;
use crate::tools::find_qemu_arm;

/// The board: Arm's MPS2 with a Cortex-M3 and an Ethernet controller.
const MACHINE: &str = "mps2-an385";

/// Where the program looks for its settings.
const SETTINGS_ADDRESS: &str = "0x21000000";

/// An emulator has nothing to save.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// What this machine is called in the emulator's network.
pub const HOST_OF_EMULATOR: &str = "10.0.2.2";

/// A running emulator.
#[derive(Debug)]
pub struct Emulator {
    /// The process; its log is what the program says.
    pub process: Process,
}

impl Emulator {
    /// Starts `program` with the record of settings in the file `settings`, or without any.
    ///
    /// # Errors
    ///
    /// [`SiteError::NotBuilt`] without the program, [`SiteError::NoTool`] without QEMU, or that of the
    /// process.
    pub fn start(
        name: &str,
        program: &Path,
        settings: Option<&Path>,
        logs: &Path,
    ) -> Result<Self, SiteError> {
        if !program.is_file() {
            let missing = vec![PathBuf::from(program)];
            return Err(SiteError::NotBuilt { missing });
        }
        let mut command = Command::new(find_qemu_arm()?);
        command
            .args(["-machine", MACHINE, "-display", "none"])
            .args(["-monitor", "none", "-serial", "none"])
            .args(["-nic", "user,model=lan9118"])
            .args(["-semihosting-config", "enable=on,target=native"])
            .arg("-kernel")
            .arg(program);
        if let Some(settings) = settings {
            // A comma in a file name is doubled.
            let file = settings.display().to_string().replace(',', ",,");
            let loader = format!("loader,file={file},addr={SETTINGS_ADDRESS},force-raw=on");
            command.args(["-device", &loader]);
        }
        let process = Process::start(name, command, logs)?;
        Ok(Self { process })
    }

    /// Ends it, as a power failure would.
    pub async fn stop(&mut self) {
        self.process.stop(STOP_TIMEOUT).await;
    }
}
