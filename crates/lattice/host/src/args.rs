//! The command line, and the environment variables that stand for it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args as Group, Parser};

/// A wasmCloud 1.9 host, with wadm embedded on demand.
#[derive(Debug, Parser)]
#[command(name = "fieldledger-host", version)]
pub(crate) struct Args {
    /// Run wadm in this process, so that applications can be deployed without another one.
    #[arg(long, env = "FIELDLEDGER_WITH_WADM")]
    pub(crate) with_wadm: bool,

    /// No other host of the lattice is alive: forget what wadm remembers of earlier hosts.
    ///
    /// Without it wadm believes hosts of an earlier run alive for 70 s and places nothing anew.
    #[arg(long, env = "FIELDLEDGER_SOLE_OWNER", requires = "with_wadm")]
    pub(crate) sole_owner: bool,

    /// Stop when the process that started this one is gone.
    #[arg(long, env = "FIELDLEDGER_EXIT_WITH_PARENT")]
    pub(crate) exit_with_parent: bool,

    /// The lattice to join.
    #[arg(
        short = 'x',
        long,
        default_value = "default",
        env = "WASMCLOUD_LATTICE"
    )]
    pub(crate) lattice: String,

    /// Seed of the host's own key; a new one at every start if absent.
    #[arg(long, env = "WASMCLOUD_HOST_SEED", hide_env_values = true)]
    pub(crate) host_seed: Option<String>,

    #[command(flatten)]
    pub(crate) nats: NatsArgs,

    #[command(flatten)]
    pub(crate) control: ControlArgs,

    #[command(flatten)]
    pub(crate) rpc: RpcArgs,

    #[command(flatten)]
    pub(crate) oci: OciArgs,

    /// JetStream domain of the lattice's buckets and of wadm's streams.
    #[arg(long, env = "WASMCLOUD_JS_DOMAIN")]
    pub(crate) js_domain: Option<String>,

    /// Ask a configuration service for registry credentials at the start.
    #[arg(long, env = "WASMCLOUD_CONFIG_SERVICE")]
    pub(crate) config_service_enabled: bool,

    /// Allow components and providers from `file://` references.
    #[arg(long, env = "WASMCLOUD_ALLOW_FILE_LOAD")]
    pub(crate) allow_file_load: bool,

    /// Log as JSON.
    #[arg(
        long = "enable-structured-logging",
        env = "WASMCLOUD_STRUCTURED_LOGGING_ENABLED"
    )]
    pub(crate) structured_logging: bool,

    /// What to log, of the host and of its providers: error, warn, info, debug, trace. `RUST_LOG`,
    /// if set, is heeded instead.
    #[arg(
        long,
        alias = "structured-log-level",
        default_value = "info",
        env = "WASMCLOUD_LOG_LEVEL"
    )]
    pub(crate) log_level: tracing::Level,

    /// A label of this host, `key=value`; repeat for more. `WASMCLOUD_LABEL_<key>` does the same.
    #[arg(short, long = "label", value_parser = parse_label)]
    pub(crate) labels: Vec<(String, String)>,

    /// Milliseconds a provider gets to drain before it is killed.
    #[arg(
        long = "provider-shutdown-delay-ms",
        alias = "provider-shutdown-delay",
        default_value = "10000",
        env = "WASMCLOUD_PROV_SHUTDOWN_DELAY_MS",
        value_parser = parse_milliseconds
    )]
    pub(crate) provider_shutdown_delay: Duration,

    /// Milliseconds an invocation of a component may take. The host bounds a call that was taken and
    /// is never answered by nothing else, and each holds an instance for so long. More than the 20 s
    /// that the polling provider waits for a batch.
    #[arg(
        long = "max-execution-time-ms",
        default_value = "30000",
        env = "WASMCLOUD_MAX_EXECUTION_TIME_MS",
        value_parser = parse_milliseconds
    )]
    pub(crate) max_execution_time: Duration,

    /// Bytes of memory an invocation of a component may allocate. A batch of 10,000 events with
    /// all its copies takes about 20 MB.
    #[arg(
        long = "max-linear-memory-bytes",
        default_value_t = 128 * 1024 * 1024,
        env = "WASMCLOUD_MAX_LINEAR_MEMORY"
    )]
    pub(crate) max_linear_memory: u32,

    /// Subject prefix of a secrets backend.
    #[arg(long = "secrets-topic", env = "WASMCLOUD_SECRETS_TOPIC")]
    pub(crate) secrets_topic: Option<String>,

    /// Subject of a policy service that may refuse to start something.
    #[arg(long = "policy-topic", env = "WASMCLOUD_POLICY_TOPIC")]
    pub(crate) policy_topic: Option<String>,

    /// Address of `/livez` and `/readyz`; not served if absent.
    #[arg(long, env = "WASMCLOUD_HTTP_ADMIN")]
    pub(crate) http_admin: Option<SocketAddr>,
}

/// The NATS server, unless the control or call options name another.
#[derive(Debug, Group)]
pub(crate) struct NatsArgs {
    /// NATS server.
    #[arg(
        long = "nats-host",
        default_value = "127.0.0.1",
        env = "WASMCLOUD_NATS_HOST"
    )]
    pub(crate) nats_host: String,

    /// Its port.
    #[arg(
        long = "nats-port",
        default_value_t = 4222,
        env = "WASMCLOUD_NATS_PORT"
    )]
    pub(crate) nats_port: u16,

    /// User JWT.
    #[arg(
        long,
        env = "WASMCLOUD_NATS_JWT",
        requires = "nats_seed",
        conflicts_with = "nats_creds"
    )]
    pub(crate) nats_jwt: Option<String>,

    /// Seed of the user's key.
    #[arg(
        long,
        env = "WASMCLOUD_NATS_SEED",
        requires = "nats_jwt",
        hide_env_values = true
    )]
    pub(crate) nats_seed: Option<String>,

    /// Credentials file with both.
    #[arg(long, env = "WASMCLOUD_NATS_CREDS")]
    pub(crate) nats_creds: Option<PathBuf>,
}

/// The connection for control messages and for wadm, where it differs.
#[derive(Debug, Group)]
pub(crate) struct ControlArgs {
    /// NATS server for control messages.
    #[arg(long, env = "WASMCLOUD_CTL_HOST")]
    pub(crate) ctl_host: Option<String>,

    /// Its port.
    #[arg(long, env = "WASMCLOUD_CTL_PORT")]
    pub(crate) ctl_port: Option<u16>,

    /// User JWT.
    #[arg(
        long,
        env = "WASMCLOUD_CTL_JWT",
        requires = "ctl_seed",
        conflicts_with = "ctl_creds"
    )]
    pub(crate) ctl_jwt: Option<String>,

    /// Seed of the user's key.
    #[arg(
        long,
        env = "WASMCLOUD_CTL_SEED",
        requires = "ctl_jwt",
        hide_env_values = true
    )]
    pub(crate) ctl_seed: Option<String>,

    /// Credentials file with both.
    #[arg(long, env = "WASMCLOUD_CTL_CREDS")]
    pub(crate) ctl_creds: Option<PathBuf>,

    /// Require TLS.
    #[arg(long, env = "WASMCLOUD_CTL_TLS")]
    pub(crate) ctl_tls: bool,

    /// Prefix of the control subjects.
    #[arg(
        long,
        default_value = "wasmbus.ctl",
        env = "WASMCLOUD_CTL_TOPIC_PREFIX"
    )]
    pub(crate) ctl_topic_prefix: String,
}

/// The connection for calls between components and providers, where it differs.
#[derive(Debug, Group)]
pub(crate) struct RpcArgs {
    /// NATS server for calls.
    #[arg(long, env = "WASMCLOUD_RPC_HOST")]
    pub(crate) rpc_host: Option<String>,

    /// Its port.
    #[arg(long, env = "WASMCLOUD_RPC_PORT")]
    pub(crate) rpc_port: Option<u16>,

    /// User JWT.
    #[arg(
        long,
        env = "WASMCLOUD_RPC_JWT",
        requires = "rpc_seed",
        conflicts_with = "rpc_creds"
    )]
    pub(crate) rpc_jwt: Option<String>,

    /// Seed of the user's key.
    #[arg(
        long,
        env = "WASMCLOUD_RPC_SEED",
        requires = "rpc_jwt",
        hide_env_values = true
    )]
    pub(crate) rpc_seed: Option<String>,

    /// Credentials file with both.
    #[arg(long, env = "WASMCLOUD_RPC_CREDS")]
    pub(crate) rpc_creds: Option<PathBuf>,

    /// Require TLS.
    #[arg(long, env = "WASMCLOUD_RPC_TLS")]
    pub(crate) rpc_tls: bool,

    /// Milliseconds a call may take. The stock host's 2000 is short for a batch that waits for a
    /// slow disk to sync.
    #[arg(
        long = "rpc-timeout-ms",
        default_value = "20000",
        env = "WASMCLOUD_RPC_TIMEOUT_MS",
        value_parser = parse_milliseconds
    )]
    pub(crate) rpc_timeout: Duration,
}

/// Where images come from.
#[derive(Debug, Group)]
pub(crate) struct OciArgs {
    /// Allow images tagged `latest`.
    #[arg(long, env = "WASMCLOUD_OCI_ALLOW_LATEST")]
    pub(crate) allow_latest: bool,

    /// Registries that may be spoken to without TLS, separated by commas.
    #[arg(long, env = "WASMCLOUD_OCI_ALLOWED_INSECURE", value_delimiter = ',')]
    pub(crate) allowed_insecure: Vec<String>,

    /// Registry that the user and password are for.
    #[arg(long, env = "WASMCLOUD_OCI_REGISTRY", requires_all = ["oci_user", "oci_password"])]
    pub(crate) oci_registry: Option<String>,

    /// User of the registry.
    #[arg(long, env = "WASMCLOUD_OCI_REGISTRY_USER", requires = "oci_registry")]
    pub(crate) oci_user: Option<String>,

    /// Password of the registry.
    #[arg(
        long,
        env = "WASMCLOUD_OCI_REGISTRY_PASSWORD",
        requires = "oci_registry",
        hide_env_values = true
    )]
    pub(crate) oci_password: Option<String>,

    /// Further certificate authorities for registries, separated by commas.
    #[arg(
        long = "tls-ca-path",
        env = "WASMCLOUD_TLS_CA_PATH",
        value_delimiter = ','
    )]
    pub(crate) tls_ca_paths: Vec<PathBuf>,
}

fn parse_milliseconds(text: &str) -> Result<Duration, std::num::ParseIntError> {
    text.parse().map(Duration::from_millis)
}

fn parse_label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(format!("`{text}` is no label, give `key=value`")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_options_do_not_contradict_each_other() {
        Args::command().debug_assert();
    }

    #[test]
    fn a_label_needs_a_key_and_may_hold_further_equal_signs() {
        assert_eq!(parse_label("a=b=c").unwrap(), ("a".into(), "b=c".into()));
        assert!(parse_label("=b").is_err());
        assert!(parse_label("a").is_err());
    }
}
