//! A real nats-server of a test's own.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use std::{env, fs};

use tempfile::TempDir;
use tokio::time::timeout;

/// How long anything may take on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A nats-server with a configuration of the test's.
pub(crate) struct Server {
    process: Option<Child>,
    folder: TempDir,
    port: u16,
}

impl Server {
    /// Starts one with these lines in its configuration. It listens on a port that was free.
    pub(crate) async fn start(lines: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let config = format!("listen: 127.0.0.1:{port}\nserver_name: nano-nats-test\n{lines}\n");
        fs::write(folder.path().join("nats.conf"), config).unwrap();
        let mut server = Self {
            process: None,
            folder,
            port,
        };
        server.launch().await;
        server
    }

    /// Ends it without a word to its clients.
    pub(crate) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    /// Starts it again where it was, and waits until it accepts connections.
    pub(crate) async fn launch(&mut self) {
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(self.log())
            .unwrap();
        let process = Command::new(nats_server())
            .arg("-c")
            .arg(self.folder.path().join("nats.conf"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        self.process = Some(process);
        let accepts = async {
            while tokio::net::TcpStream::connect(self.address())
                .await
                .is_err()
            {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(PATIENCE, accepts)
            .await
            .expect("nats-server accepts connections");
    }

    pub(crate) fn address(&self) -> (Ipv4Addr, u16) {
        (Ipv4Addr::LOCALHOST, self.port)
    }

    /// The other client, who knows all users.
    pub(crate) async fn peer(&self, options: async_nats::ConnectOptions) -> async_nats::Client {
        let url = format!("nats://127.0.0.1:{}", self.port);
        let connected = options.retry_on_initial_connect().connect(url);
        let client = timeout(PATIENCE, connected).await.unwrap().unwrap();
        timeout(PATIENCE, client.flush()).await.unwrap().unwrap();
        client
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let log = fs::read_to_string(self.log());
            eprintln!("nats-server said:\n{}", log.unwrap_or_default());
        }
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}

/// The program that `FIELDLEDGER_NATS_SERVER` names, else that on `PATH`, else that in the folder of
/// installed tools, `FIELDLEDGER_TOOLS` or one in the user's cache folder.
fn nats_server() -> PathBuf {
    if let Some(named) = env::var_os("FIELDLEDGER_NATS_SERVER") {
        return PathBuf::from(named);
    }
    let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || env::var_os("HOME").map(|home| Path::new(&home).join(".cache"));
    let in_cache = || Some(cache.or_else(home)?.join("fieldledger").join("tools"));
    let tools = env::var_os("FIELDLEDGER_TOOLS")
        .map(PathBuf::from)
        .or_else(in_cache);
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain(tools.map(|tools| tools.join("bin")));
    let mut programs = folders.map(|folder| folder.join("nats-server"));
    let found = programs.find(|program| program.is_file());
    found.expect("a nats-server is installed: on PATH, or by `cargo xtask setup`")
}
