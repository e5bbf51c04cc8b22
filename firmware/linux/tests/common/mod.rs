//! The program under test, beside a broker and a server that polls and checks every signature.
#![allow(clippy::unwrap_used, dead_code)]

use std::fs::File;
use std::ops::{Deref, DerefMut};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fieldledger_attest::identity::PublicKey;
pub(crate) use fieldledger_rig::PATIENCE;
use fieldledger_rig::Rig;
pub(crate) use fieldledger_rig::announced;
use fieldledger_site::NatsOptions;
use tokio::time::timeout;

/// The program and its broker.
pub(crate) struct Site {
    rig: Rig,
    device: Option<Child>,
}

impl Deref for Site {
    type Target = Rig;

    fn deref(&self) -> &Rig {
        &self.rig
    }
}

impl DerefMut for Site {
    fn deref_mut(&mut self) -> &mut Rig {
        &mut self.rig
    }
}

impl Site {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_options| {}).await
    }

    pub(crate) async fn start_with(change: impl FnOnce(&mut NatsOptions)) -> Self {
        Self {
            rig: Rig::start_with(change).await,
            device: None,
        }
    }

    pub(crate) fn mqtt(&self) -> String {
        format!("mqtt://127.0.0.1:{}", self.mqtt_port)
    }

    /// Makes the key, as an installer would; the key that is printed.
    pub(crate) fn keygen(&self) -> PublicKey {
        self.printed("key ").parse().unwrap()
    }

    /// What is printed of the key behind `name`.
    pub(crate) fn printed(&self, name: &str) -> String {
        let output = Command::new(env!("CARGO_BIN_EXE_fieldledger-device"))
            .args(["keygen", "--key"])
            .arg(self.folder.path().join("key"))
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .unwrap();
        line.trim().to_owned()
    }

    /// Starts the program; `settings` follow brokers and key.
    pub(crate) fn start_device(&mut self, brokers: &[String], settings: &str) {
        let folder = self.folder.path();
        let config = folder.join("device.yaml");
        let text = format!(
            "brokers: {brokers:?}\nkey: {:?}\nheartbeat_interval_ms: 1000\nhistory_patience_ms: 1000\n{settings}",
            folder.join("key")
        );
        std::fs::write(&config, text).unwrap();
        let log = File::create(self.device_log()).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_fieldledger-device"))
            .arg("run")
            .arg("--config")
            .arg(&config)
            .env("RUST_LOG", "debug")
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        self.device = Some(child);
    }

    /// Kills the program, which notices nothing.
    pub(crate) fn kill9_device(&mut self) {
        let mut child = self.device.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Tells the program to end, and waits for it.
    pub(crate) async fn stop_device(&mut self) {
        let mut child = self.device.take().unwrap();
        let id = child.id().to_string();
        assert!(Command::new("kill").arg(&id).status().unwrap().success());
        let ended = tokio::task::spawn_blocking(move || child.wait());
        let status = timeout(PATIENCE, ended).await.unwrap().unwrap().unwrap();
        assert!(status.success(), "{status}");
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if let Some(mut device) = self.device.take() {
            let _ = device.kill();
            let _ = device.wait();
        }
    }
}

/// Waits until `file` holds `text`.
pub(crate) async fn until_holds(file: &Path, text: &str) {
    let holds = async {
        while std::fs::read_to_string(file).unwrap_or_default() != text {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    assert!(
        timeout(PATIENCE, holds).await.is_ok(),
        "{} never held {text}",
        file.display()
    );
}
