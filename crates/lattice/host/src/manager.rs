//! wadm, the application manager, embedded.

use std::time::Duration;

use anyhow::{Context as _, anyhow};
use async_nats::jetstream;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;
use tracing::info;
use wadm::config::WadmConfig;
use wasmcloud_host::WasmbusHostConfig;

use crate::connect;

/// How long wadm may take until its API answers.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// Pause between two questions whether it does.
const ASK_AGAIN: Duration = Duration::from_millis(50);

/// A running wadm.
///
/// It has a runtime of its own, because it leaves detached tasks behind: only the end of their
/// runtime ends them, and while they live they start again what the host stops.
pub(crate) struct Manager {
    runtime: Runtime,
    tasks: JoinHandle<anyhow::Error>,
}

impl Manager {
    /// Starts wadm on the lattice of `settings` and returns once its API answers.
    pub(crate) async fn start(settings: &WasmbusHostConfig) -> anyhow::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("wadm")
            .enable_all()
            .build()
            .context("cannot create wadm's runtime")?;
        let config = config(settings)?;
        let starting = runtime.spawn(wadm::start_wadm(config));
        let started = match starting.await {
            Ok(Ok(tasks)) => tasks,
            Ok(Err(error)) => return Err(abandon(runtime, error)),
            Err(error) => return Err(abandon(runtime, error.into())),
        };
        let mut started = started;
        let tasks = runtime.spawn(async move {
            match started.join_next().await {
                Some(Ok(Ok(()))) | None => anyhow!("wadm returned"),
                Some(Ok(Err(error))) => error,
                Some(Err(error)) => error.into(),
            }
        });
        let manager = Self { runtime, tasks };
        match manager.serves(settings).await {
            Ok(()) => {
                info!("wadm serves");
                Ok(manager)
            }
            Err(error) => {
                manager.stop();
                Err(error)
            }
        }
    }

    /// Waits until wadm hears requests and events.
    ///
    /// The API's answer also means that wadm will notice the host to come: its subscription to the
    /// lattice leaves over the same connection before the look-ups behind this answer. The events
    /// themselves reach it through a stream that gathers them from two others, and until that is
    /// connected to both, JetStream may pass over an event; wadm then learns of the host from its
    /// heartbeat, 30 s later.
    async fn serves(&self, settings: &WasmbusHostConfig) -> anyhow::Result<()> {
        let client = connect::control(settings).await?;
        let subject = format!("wadm.api.{}.model.get", settings.lattice);
        let asking = async {
            while client.request(subject.clone(), "".into()).await.is_err() {
                tokio::time::sleep(ASK_AGAIN).await;
            }
            let jetstream = connect::jetstream(client, settings);
            while !gathers_events(&jetstream).await {
                tokio::time::sleep(ASK_AGAIN).await;
            }
        };
        tokio::time::timeout(START_TIMEOUT, asking)
            .await
            .with_context(|| format!("wadm does not serve {subject} after {START_TIMEOUT:?}"))
    }

    /// Waits for wadm to end, which it does only by failing.
    pub(crate) async fn ended(&mut self) -> anyhow::Error {
        match (&mut self.tasks).await {
            Ok(error) => error,
            Err(error) => error.into(),
        }
    }

    /// Ends it at once. It has nothing to finish: its state is in JetStream.
    pub(crate) fn stop(self) {
        self.runtime.shutdown_background();
    }
}

/// Whether the stream of all events is connected to those it gathers them from.
async fn gathers_events(jetstream: &jetstream::Context) -> bool {
    match jetstream
        .get_stream(wadm::DEFAULT_WADM_EVENT_CONSUMER_STREAM_NAME)
        .await
    {
        Ok(stream) => {
            let sources = &stream.cached_info().sources;
            sources.iter().all(|source| source.active.is_some())
        }
        Err(_) => false,
    }
}

/// A runtime must not be dropped within another one.
fn abandon(runtime: Runtime, error: anyhow::Error) -> anyhow::Error {
    runtime.shutdown_background();
    error.context("cannot start wadm")
}

fn config(settings: &WasmbusHostConfig) -> anyhow::Result<WadmConfig> {
    let scheme = match settings.ctl_tls {
        true => "tls",
        false => "nats",
    };
    let host = settings.ctl_nats_url.host_str().unwrap_or("127.0.0.1");
    let port = settings.ctl_nats_url.port().unwrap_or(4222);
    let seed = settings.ctl_key.as_ref().map(|key| key.seed()).transpose();
    Ok(WadmConfig {
        nats_server: format!("{scheme}://{host}:{port}"),
        nats_jwt: settings.ctl_jwt.clone(),
        nats_seed: seed.context("the key of the NATS user has no seed")?,
        domain: settings.js_domain.clone(),
        ..WadmConfig::default()
    })
}
