//! Logs go to standard error.

use anyhow::anyhow;
use tracing_subscriber::EnvFilter;

/// Levels that differ from the rest, because at the usual level these only make noise:
/// `wasmcloud_runtime` warns of a full queue of metrics events under load though no call is lost;
/// the host warns that a builtin provider, which has nothing to drain, did not answer.
const QUIETER: &str = "wasmcloud_runtime=error,async_nats=warn,wasmcloud_tracing=warn,\
     wasmcloud_provider_sdk=warn,wadm=warn,opentelemetry=error,hyper_util=warn,wrpc_transport=warn";

/// Starts logging at `level`, or as `RUST_LOG` says.
pub(crate) fn start(level: tracing::Level, json: bool) -> anyhow::Result<()> {
    let filter = match std::env::var("RUST_LOG") {
        Ok(directives) if !directives.is_empty() => EnvFilter::try_new(directives)?,
        _ => EnvFilter::try_new(format!("{level},{QUIETER}"))?,
    };
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    let started = match json {
        true => builder.json().try_init(),
        false => builder.with_ansi(false).try_init(),
    };
    started.map_err(|error| anyhow!("cannot start logging: {error}"))
}
