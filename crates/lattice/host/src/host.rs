//! The wasmCloud host: its settings, its start and its end.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use nkeys::KeyPair;
use tracing::warn;
use url::Url;
use wasmcloud_host::oci::Config as OciConfig;
use wasmcloud_host::wasmbus::Features;
use wasmcloud_host::wasmbus::host_config::PolicyService;
use wasmcloud_host::{WasmbusHost, WasmbusHostConfig};

use crate::args::Args;
use crate::credentials::Credentials;
use crate::drain;

/// The stock host whose code this is; wash and wadm compare versions.
const HOST_VERSION: &str = "1.9.2";

/// How long the host may take to say goodbye once its providers are gone.
const GOODBYE: Duration = Duration::from_secs(5);

/// Turns the command line into settings of the host.
pub(crate) fn settings(args: &Args) -> anyhow::Result<WasmbusHostConfig> {
    let nats = &args.nats;
    let shared = Credentials::from_options(
        nats.nats_creds.as_deref(),
        nats.nats_jwt.as_deref(),
        nats.nats_seed.as_deref(),
    )?;
    let control = Credentials::from_options(
        args.control.ctl_creds.as_deref(),
        args.control.ctl_jwt.as_deref(),
        args.control.ctl_seed.as_deref(),
    )?
    .or_else(|| shared.clone());
    let rpc = Credentials::from_options(
        args.rpc.rpc_creds.as_deref(),
        args.rpc.rpc_jwt.as_deref(),
        args.rpc.rpc_seed.as_deref(),
    )?
    .or(shared);
    let host_key = args
        .host_seed
        .as_deref()
        .map(KeyPair::from_seed)
        .transpose()
        .context("the host's seed is not valid")?;

    Ok(WasmbusHostConfig {
        ctl_nats_url: nats_url(
            args.control.ctl_host.as_ref().unwrap_or(&nats.nats_host),
            args.control.ctl_port.unwrap_or(nats.nats_port),
        )?,
        ctl_jwt: control.as_ref().map(|user| user.jwt.clone()),
        ctl_key: control.map(|user| user.key),
        ctl_tls: args.control.ctl_tls,
        ctl_topic_prefix: args.control.ctl_topic_prefix.clone(),
        rpc_nats_url: nats_url(
            args.rpc.rpc_host.as_ref().unwrap_or(&nats.nats_host),
            args.rpc.rpc_port.unwrap_or(nats.nats_port),
        )?,
        rpc_jwt: rpc.as_ref().map(|user| user.jwt.clone()),
        rpc_key: rpc.map(|user| user.key),
        rpc_tls: args.rpc.rpc_tls,
        rpc_timeout: args.rpc.rpc_timeout,
        lattice: Arc::from(args.lattice.as_str()),
        js_domain: args.js_domain.clone(),
        labels: labels(args),
        host_key: host_key.map(Arc::new),
        provider_shutdown_delay: Some(args.provider_shutdown_delay),
        oci_opts: OciConfig {
            additional_ca_paths: args.oci.tls_ca_paths.clone(),
            allow_latest: args.oci.allow_latest,
            allowed_insecure: args.oci.allowed_insecure.clone(),
            oci_registry: args.oci.oci_registry.clone(),
            oci_user: args.oci.oci_user.clone(),
            oci_password: args.oci.oci_password.clone(),
        },
        allow_file_load: args.allow_file_load,
        enable_structured_logging: args.structured_logging,
        log_level: args.log_level.into(),
        config_service_enabled: args.config_service_enabled,
        policy_service_config: PolicyService {
            policy_topic: args.policy_topic.clone(),
            ..PolicyService::default()
        },
        secrets_topic_prefix: args.secrets_topic.clone(),
        version: HOST_VERSION.to_owned(),
        max_execution_time: args.max_execution_time,
        max_linear_memory: args.max_linear_memory,
        experimental_features: Features::new()
            .enable_builtin_http_server()
            .enable_builtin_http_client()
            .enable_builtin_messaging_nats()
            // Lets the HTTP gateway answer 503 where a call over the lattice fails.
            .enable_rpc_interface(),
        http_admin: args.http_admin,
        ..WasmbusHostConfig::default()
    })
}

fn nats_url(host: &str, port: u16) -> anyhow::Result<Url> {
    // An IPv6 address needs brackets, and may come with or without them.
    let host = match host.contains(':') && !host.starts_with('[') {
        true => format!("[{host}]"),
        false => host.to_owned(),
    };
    Url::parse(&format!("nats://{host}:{port}"))
        .with_context(|| format!("`{host}` port {port} is no address of a NATS server"))
}

fn labels(args: &Args) -> HashMap<String, String> {
    let from_environment = std::env::vars().filter_map(|(name, value)| {
        let key = name.strip_prefix("WASMCLOUD_LABEL_")?;
        Some((key.to_owned(), value))
    });
    // The command line comes last and so wins.
    from_environment.chain(args.labels.clone()).collect()
}

/// A host that serves its lattice.
pub(crate) struct RunningHost {
    host: Arc<WasmbusHost>,
    id: String,
    settings: WasmbusHostConfig,
    shutdown: Pin<Box<dyn Future<Output = anyhow::Result<()>>>>,
}

impl RunningHost {
    /// Starts a host and returns once it takes commands.
    pub(crate) async fn start(mut settings: WasmbusHostConfig) -> anyhow::Result<Self> {
        let key = match settings.host_key.clone() {
            Some(key) => key,
            None => Arc::new(KeyPair::new_server()),
        };
        let id = key.public_key();
        settings.host_key = Some(key);
        let (host, shutdown) = Box::pin(WasmbusHost::new(settings.clone()))
            .await
            .context("cannot start the host")?;
        Ok(Self {
            host,
            id,
            settings,
            shutdown: Box::pin(shutdown),
        })
    }

    /// The host's public key.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// Waits until somebody stops the host over the lattice.
    pub(crate) async fn stopped(&self) -> anyhow::Result<()> {
        self.host.stopped().await?;
        Ok(())
    }

    /// Stops the host, after its providers have drained if `drain` says so. What is left of them
    /// ends with this process.
    pub(crate) async fn stop(self, drain: bool) -> anyhow::Result<()> {
        let Self {
            host,
            id,
            settings,
            shutdown,
        } = self;
        if drain && let Err(error) = drain::stop_providers(&settings, &id).await {
            warn!(
                error = format!("{error:#}"),
                "providers end without a drain"
            );
        }
        drop(host);
        tokio::time::timeout(GOODBYE, shutdown)
            .await
            .context("the host did not end in time")?
            .context("the host did not end well")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use clap::Parser as _;

    #[test]
    fn control_and_calls_go_to_the_one_nats_server_unless_told_otherwise() {
        let args = Args::parse_from(["host", "--nats-port", "5222", "--rpc-host", "::1"]);
        let settings = settings(&args).unwrap();
        assert_eq!(settings.ctl_nats_url.as_str(), "nats://127.0.0.1:5222");
        assert_eq!(settings.rpc_nats_url.as_str(), "nats://[::1]:5222");
    }
}
