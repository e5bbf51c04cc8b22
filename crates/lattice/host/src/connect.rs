//! Connections of our own, made as the host makes its own.

use anyhow::Context as _;
use async_nats::{Client, jetstream};
use wasmcloud_host::WasmbusHostConfig;
use wasmcloud_host::wasmbus::connect_nats;

/// Connects as the host does for control messages.
pub(crate) async fn control(settings: &WasmbusHostConfig) -> anyhow::Result<Client> {
    let url = settings.ctl_nats_url.as_str();
    connect_nats(
        url,
        settings.ctl_jwt.as_ref(),
        settings.ctl_key.clone(),
        settings.ctl_tls,
        None,
        None,
    )
    .await
    .with_context(|| format!("cannot reach the NATS server at {url}; is it running?"))
}

/// JetStream in the host's domain.
pub(crate) fn jetstream(client: Client, settings: &WasmbusHostConfig) -> jetstream::Context {
    match &settings.js_domain {
        Some(domain) => jetstream::with_domain(client, domain),
        None => jetstream::new(client),
    }
}
