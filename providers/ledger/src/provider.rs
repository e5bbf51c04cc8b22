//! The provider's life: open the ledger, serve it, let go of it.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use fieldledger_contract::Error;
use fieldledger_cosigning::{Cosigning, CosigningSettings, WitnessedLog};
use fieldledger_ledger::{Config, Ledger, OpenError};
use fieldledger_lifeline::Parent;
use fieldledger_rpc_server::{server, work_on};
use parking_lot::RwLock;
use tracing::{error, info};
use tracing_subscriber::EnvFilter;
use wasmcloud_provider_sdk::{Provider, ProviderInitConfig, get_connection, run_provider};

use crate::{bindings, settings};

/// How long it waits before it tries again to open a ledger whose object store cannot be reached.
const OPEN_RETRY: Duration = Duration::from_secs(10);

/// What the ledger is at this moment.
enum State {
    Opening,
    Open(Ledger, Arc<Cosigning>),
    /// It could not be opened: the reason, for whoever calls. The provider stays up with it,
    /// because the host would start a provider that left again and again.
    Refused(String),
    Closed,
}

/// The ledger on the lattice. Clones are the same provider.
#[derive(Clone)]
pub(crate) struct LedgerProvider {
    state: Arc<RwLock<State>>,
}

/// Serves the ledger until the host says stop, or is gone.
pub(crate) async fn run() -> anyhow::Result<()> {
    let host = Parent::now();
    // The host hands `RUST_LOG` down and reads what a provider writes to standard error.
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(false)
        .with_writer(std::io::stderr)
        .init();

    let provider = LedgerProvider {
        state: Arc::new(RwLock::new(State::Opening)),
    };
    let shutdown = run_provider(provider.clone(), "fieldledger-ledger")
        .await
        .context("cannot start the provider")?;
    let connection = get_connection();
    let calls = bindings::serve(&server(connection).await?, provider.clone())
        .await
        .context("cannot reach the lattice")?;
    tokio::select! {
        () = shutdown => info!("the host says stop"),
        () = work_on(calls) => {}
        () = host.gone() => info!("the host is gone"),
    }
    provider.close().await;
    Ok(())
}

impl LedgerProvider {
    /// The ledger; unavailable, with the reason, where there is none now.
    pub(crate) fn ledger(&self) -> Result<Ledger, Error> {
        self.open_parts().map(|(ledger, _)| ledger)
    }

    /// The ledger with its witnesses; unavailable, with the reason, where there are none now.
    pub(crate) fn witnessed_log(&self) -> Result<WitnessedLog, Error> {
        let (ledger, cosigning) = self.open_parts()?;
        Ok(WitnessedLog::new(ledger, cosigning))
    }

    fn open_parts(&self) -> Result<(Ledger, Arc<Cosigning>), Error> {
        let reason = match &*self.state.read() {
            State::Open(ledger, cosigning) => return Ok((ledger.clone(), Arc::clone(cosigning))),
            State::Opening => "the ledger is being opened".to_owned(),
            State::Refused(reason) => format!("the ledger could not be opened: {reason}"),
            State::Closed => "the ledger is closed".to_owned(),
        };
        Err(Error::Unavailable(reason))
    }

    fn enter(&self, state: State) -> State {
        std::mem::replace(&mut *self.state.write(), state)
    }

    /// Opens the ledger and what goes with it. An object store that cannot be reached is tried again
    /// until it can be.
    async fn open(self, config: Config, cosigning: CosigningSettings) {
        let folder = config.folder.display().to_string();
        loop {
            let (config, cosigning) = (config.clone(), cosigning.clone());
            let opened = tokio::task::spawn_blocking(move || open_all(config, cosigning)).await;
            let (state, again) = match opened {
                Ok(Ok((ledger, cosigning))) => {
                    let recovery = ledger.status().recovery;
                    info!(folder, recovery, "ledger open");
                    (State::Open(ledger, Arc::new(cosigning)), false)
                }
                Ok(Err(refused)) => {
                    let again = refused
                        .downcast_ref::<OpenError>()
                        .is_some_and(OpenError::may_pass);
                    let reason = format!("{refused:#}");
                    error!(folder, reason, again, "ledger not opened");
                    (State::Refused(reason), again)
                }
                Err(panicked) => {
                    error!(folder, %panicked, "ledger not opened");
                    (State::Refused(panicked.to_string()), false)
                }
            };
            self.enter(state);
            if !again {
                return;
            }
            tokio::time::sleep(OPEN_RETRY).await;
        }
    }

    /// Commits what waits and lets go of the folder.
    async fn close(&self) {
        let State::Open(ledger, cosigning) = self.enter(State::Closed) else {
            return;
        };
        cosigning.stop();
        if let Err(panicked) = tokio::task::spawn_blocking(move || ledger.close()).await {
            error!(%panicked, "ledger not closed cleanly; the next start recovers it");
        }
    }
}

/// Opens the ledger, and then what needs it.
fn open_all(config: Config, cosigning: CosigningSettings) -> anyhow::Result<(Ledger, Cosigning)> {
    let folder = config.folder.clone();
    let ledger = Ledger::open(config)?;
    let cosigning = Cosigning::start(&ledger, &folder, cosigning)?;
    Ok((ledger, cosigning))
}

impl Provider for LedgerProvider {
    async fn init(&self, config: impl ProviderInitConfig) -> anyhow::Result<()> {
        let (config, cosigning) = settings::read(config.get_config())?;
        // Not awaited: recovery may take longer than the host waits for a provider to start.
        tokio::spawn(self.clone().open(config, cosigning));
        Ok(())
    }

    async fn shutdown(&self) -> anyhow::Result<()> {
        self.close().await;
        Ok(())
    }
}
