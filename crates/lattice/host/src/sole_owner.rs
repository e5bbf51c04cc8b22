//! Forgets what wadm remembers of hosts that are no more.

use anyhow::Context as _;
use async_nats::jetstream;
use async_nats::jetstream::context::DeleteStreamErrorKind;
use tracing::info;
use wasmcloud_host::WasmbusHostConfig;

use crate::connect;

/// wadm's view of hosts, its queues and the last status of every application. wadm creates them
/// again. Manifests are elsewhere and stay, so that deployed applications return by themselves.
const STREAMS: [&str; 7] = [
    "KV_wadm_state",
    "wadm_event_consumer",
    "wadm_events",
    "wasmbus_events",
    "wadm_commands",
    "wadm_notify",
    "wadm_status",
];

/// Deletes wadm's state. Right only while no host of the lattice is alive.
pub(crate) async fn forget_manager_state(settings: &WasmbusHostConfig) -> anyhow::Result<()> {
    let client = connect::control(settings).await?;
    let jetstream = connect::jetstream(client, settings);
    for stream in STREAMS {
        match jetstream.delete_stream(stream).await {
            Ok(_) => info!(stream, "forgot wadm's state of an earlier run"),
            Err(error) if is_not_found(&error.kind()) => {}
            Err(error) => {
                return Err(error).with_context(|| format!("cannot delete stream {stream}"));
            }
        }
    }
    Ok(())
}

fn is_not_found(kind: &DeleteStreamErrorKind) -> bool {
    matches!(kind, DeleteStreamErrorKind::JetStream(error)
        if error.error_code() == jetstream::ErrorCode::STREAM_NOT_FOUND)
}
