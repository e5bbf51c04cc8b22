//! A nats-server to publish to.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use tokio::net::TcpStream;

/// How long it may take to start.
const PATIENCE: Duration = Duration::from_secs(20);

/// A process that ends with this.
pub(crate) struct Server {
    process: Child,
    pub(crate) address: SocketAddr,
}

impl Server {
    /// Starts it on a free port of loopback.
    pub(crate) async fn start(program: &Path) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no port is free")?;
        let address = listener.local_addr().context("the port has no number")?;
        drop(listener);
        let process = Command::new(program)
            .args(["-a", "127.0.0.1", "-p", &address.port().to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot run {}", program.display()))?;
        let server = Self { process, address };
        let start = Instant::now();
        while TcpStream::connect(address).await.is_err() {
            if start.elapsed() > PATIENCE {
                bail!("nats-server does not accept connections on {address}");
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}
