//! The provider's life: listen, serve, stop.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use fieldledger_edge::{Edge, Gateway, Rules, connections_possible, raise_limit};
use fieldledger_lifeline::Parent;
use parking_lot::Mutex;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tracing::{info, warn};
use tracing_subscriber::EnvFilter;
use wasmcloud_provider_sdk::{Provider, ProviderInitConfig, run_provider};

use crate::settings::{self, Settings};

/// How long it waits before it tries again to listen: one that was replaced may still be stopping.
const LISTEN_RETRY: Duration = Duration::from_millis(500);

/// The edge on the lattice. Clones are the same provider.
#[derive(Clone, Default)]
struct EdgeProvider {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
enum State {
    /// Not yet, or no more.
    #[default]
    Off,
    /// The address is not free yet.
    Starting(JoinHandle<()>),
    Serving(Edge),
}

/// Serves until the host says stop, or is gone.
pub(crate) async fn run() -> anyhow::Result<()> {
    let host = Parent::now();
    // The host hands `RUST_LOG` down and reads what a provider writes to standard error.
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(false)
        .with_writer(std::io::stderr)
        .init();
    raise_limit();

    let provider = EdgeProvider::default();
    let shutdown = run_provider(provider.clone(), "fieldledger-http-edge")
        .await
        .context("cannot start the provider")?;
    tokio::select! {
        () = shutdown => info!("the host says stop"),
        () = host.gone() => info!("the host is gone"),
    }
    provider.stop().await;
    Ok(())
}

impl EdgeProvider {
    fn enter(&self, state: State) -> State {
        std::mem::replace(&mut *self.state.lock(), state)
    }

    /// Listens as soon as the address is free.
    async fn start(self, settings: Settings) {
        let Settings {
            address,
            gateway,
            rules,
        } = settings;
        let connections = connections_possible(rules.connections);
        let mut noted = false;
        loop {
            let rules = Rules {
                connections,
                ..rules.clone()
            };
            match Edge::start(address, Gateway::at(gateway.clone()), rules).await {
                Ok(edge) => {
                    info!(%address, %gateway, connections, "page and API are served");
                    self.enter(State::Serving(edge));
                    return;
                }
                Err(error) if !noted => {
                    noted = true;
                    warn!(error = %error.source, "{error}; trying again until it is free");
                }
                Err(_) => {}
            }
            sleep(LISTEN_RETRY).await;
        }
    }

    /// Answers what is under way, and lets go of the address.
    async fn stop(&self) {
        match self.enter(State::Off) {
            State::Off => {}
            State::Starting(starting) => starting.abort(),
            State::Serving(edge) => {
                if let Err(panicked) = edge.stop().await {
                    warn!(%panicked, "serving had failed");
                }
            }
        }
    }
}

impl Provider for EdgeProvider {
    async fn init(&self, config: impl ProviderInitConfig) -> anyhow::Result<()> {
        let settings = settings::read(config.get_config())?;
        // Under the lock, so that it cannot be serving before it is starting.
        let mut state = self.state.lock();
        *state = State::Starting(tokio::spawn(self.clone().start(settings)));
        Ok(())
    }

    async fn shutdown(&self) -> anyhow::Result<()> {
        self.stop().await;
        Ok(())
    }
}
