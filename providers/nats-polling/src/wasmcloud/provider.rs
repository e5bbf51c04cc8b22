//! The provider's life: an instance for each link, from link to unlink.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use anyhow::Context as _;
use fieldledger_lifeline::Parent;
use fieldledger_polling::Config;
use fieldledger_rpc_server::{server, work_on};
use futures::future::join_all;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::RwLock;
use tracing::{error, info};
use tracing_subscriber::EnvFilter;
use wasmcloud_provider_sdk::core::secrets::SecretValue;
use wasmcloud_provider_sdk::{LinkConfig, LinkDeleteInfo, Provider, get_connection, run_provider};

use super::bindings;
use super::linked_reader::LinkedReader;
use crate::instance::Instance;

/// Polls for every component that is linked. Clones are the same provider.
#[derive(Clone, Default)]
pub(crate) struct PollingProvider {
    /// Instances by target component and link name.
    instances: Arc<RwLock<BTreeMap<(String, String), Instance>>>,
}

/// Polls until the host says stop, or `host` is gone.
///
/// # Errors
///
/// Says why the provider cannot run: no host data on standard input, or no lattice.
pub async fn run(host: Parent) -> anyhow::Result<()> {
    // The host hands `RUST_LOG` down and reads what a provider writes to standard error.
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(false)
        .with_writer(std::io::stderr)
        .init();

    let provider = PollingProvider::default();
    let shutdown = run_provider(provider.clone(), "fieldledger-nats-polling")
        .await
        .context("cannot start the provider")?;
    let connection = get_connection();
    let calls = bindings::serve(&server(connection).await?, provider.clone())
        .await
        .context("cannot reach the lattice")?;
    // Ctrl-C in a terminal goes to every process there. The host decides what it means: it tells us
    // to stop, or is gone.
    let _interrupts_ignored = signal(SignalKind::interrupt()).context("cannot ignore SIGINT")?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    tokio::select! {
        () = shutdown => info!("the host says stop"),
        () = work_on(calls) => {}
        () = host.gone() => info!("the host is gone"),
        _ = terminate.recv() => info!("told to terminate"),
    }
    provider.stop_all().await;
    Ok(())
}

impl PollingProvider {
    pub(crate) async fn instances(
        &self,
    ) -> tokio::sync::RwLockReadGuard<'_, BTreeMap<(String, String), Instance>> {
        self.instances.read().await
    }

    async fn stop_all(&self) {
        let instances = std::mem::take(&mut *self.instances.write().await);
        join_all(instances.into_values().map(Instance::stop)).await;
    }
}

impl Provider for PollingProvider {
    async fn receive_link_config_as_source(&self, link: LinkConfig<'_>) -> anyhow::Result<()> {
        let component = link.target_id;
        let settings = with_secrets(link.config, link.secrets);
        let lattice = &get_connection().lattice;
        let config = Config::from_map(&settings, &instance_name(component), lattice);
        let config = config.inspect_err(|refused| {
            let reason = fieldledger_polling::chain(refused);
            error!(component, reason, "link refused; nothing is polled for it");
        })?;
        let reader = LinkedReader::new(component, config.call_timeout).await?;

        let key = (component.to_owned(), link.link_name.to_owned());
        let mut instances = self.instances.write().await;
        // A link that is put again brings other settings: the old run ends before the new begins.
        if let Some(old) = instances.remove(&key) {
            old.stop().await;
        }
        info!(component, link = link.link_name, ?config, "linked");
        instances.insert(key, Instance::start(config, Arc::new(reader)));
        Ok(())
    }

    async fn delete_link_as_source(&self, link: impl LinkDeleteInfo) -> anyhow::Result<()> {
        let key = (
            link.get_target_id().to_owned(),
            link.get_link_name().to_owned(),
        );
        let instance = self.instances.write().await.remove(&key);
        if let Some(instance) = instance {
            info!(
                component = key.0,
                link = key.1,
                "link removed; polling stops"
            );
            instance.stop().await;
        }
        Ok(())
    }

    async fn shutdown(&self) -> anyhow::Result<()> {
        self.stop_all().await;
        Ok(())
    }
}

/// The settings with the secrets among them, which go by the same names.
fn with_secrets(
    config: &HashMap<String, String>,
    secrets: &HashMap<String, SecretValue>,
) -> HashMap<String, String> {
    let mut settings = config.clone();
    for (name, secret) in secrets {
        if let Some(text) = secret.as_string() {
            settings.insert(name.clone(), text.to_owned());
        }
    }
    settings
}

/// The component's id as the default of `INSTANCE`: a restart finds the same.
fn instance_name(component: &str) -> String {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    component
        .chars()
        .map(|c| if allowed(c) { c } else { '_' })
        .take(64)
        .collect()
}
