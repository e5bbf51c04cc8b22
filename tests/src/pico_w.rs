//! A Pico W: a program in MicroPython on the board that `tests/pico-w` makes up.

use std::{env, fs, net::SocketAddr, path::Path};

use anyhow::{Context as _, Result};
use fieldledger_site::{Process, find_micropython};
use tokio::process::Command;

/// A folder with another program to run instead of ours, such as the original `main.py` of the Pico W with
/// what it imports. It asks to be polled once a minute, so that tests take as long.
const OTHER_PROGRAM: &str = "FIELDLEDGER_PICO_W";

/// How much faster than the world its clock is: the first heartbeat comes after 30 s.
const CLOCK_SPEED: &str = "20";

/// The id of its sensor.
pub const SENSOR: &str = "f3088463-5623-476f-a1b5-ecb49446a443";

/// A running board. Dropped, it loses its power.
#[derive(Debug)]
pub struct PicoW(Process);

impl PicoW {
    /// Switches it on, in a network where `broker` is the only one. `state` takes its settings and
    /// what it prints.
    ///
    /// # Errors
    /// Where MicroPython is not installed, or Node does not run.
    pub fn start(broker: SocketAddr, state: &Path) -> Result<Self> {
        let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("pico-w");
        let program = env::var_os(OTHER_PROGRAM).map_or_else(|| ours.join("program"), Into::into);
        let settings = state.join("pico-w");
        for (name, text) in [
            ("wifi_credentials.py", "SSID = PSWD = \"plant\"\n"),
            ("settings.py", "POLL_INTERVAL_MS = 1000\n"),
        ] {
            let path = settings.join(name);
            let written = fs::create_dir_all(&settings).and_then(|()| fs::write(&path, text));
            written.with_context(|| format!("cannot write {}", path.display()))?;
        }
        let mut command = Command::new("node");
        command
            .arg(ours.join("board.mjs"))
            .arg(find_micropython()?)
            .arg(broker.to_string())
            .arg(CLOCK_SPEED)
            .args([program, settings]);
        Ok(Self(Process::start(
            "pico-w",
            command,
            &state.join("logs"),
        )?))
    }

    /// The temperatures that it has read so far, as it is to send them.
    ///
    /// # Errors
    /// Where it has ended, which it never does by itself, or its output cannot be read.
    pub fn temperatures(&mut self) -> Result<Vec<String>> {
        if let Some(status) = self.0.ended() {
            let complaint = self.0.log_tail();
            anyhow::bail!("the Pico W has ended ({status}): {complaint}");
        }
        let path = self.0.output();
        let said =
            fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        let voltages = said.lines().filter_map(|line| line.strip_prefix("adc "));
        voltages.map(|raw| Ok(temperature(raw.parse()?))).collect()
    }
}

/// The data sheet of the RP2040: 0.706 V at 27 degrees, 1.721 mV less for each degree more.
fn temperature(raw: u16) -> String {
    let volts = f64::from(raw) * (3.3 / 65_535.0);
    format!("{:.2}", 27.0 - (volts - 0.706) / 0.001_721)
}
