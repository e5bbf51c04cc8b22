//! Stops the providers of a host one after another, so that each can finish what it holds.

use std::collections::HashSet;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use async_nats::Client;
use serde_json::{Value, json};
use tracing::info;
use wasmcloud_host::WasmbusHostConfig;

use crate::connect;

/// How much longer than a provider's own time to drain the host may take to report on it.
const OVERHEAD: Duration = Duration::from_secs(2);

/// Stops every provider of the host `host_id`.
///
/// Those that call components go first: they have work under way which others must be alive to
/// take. A provider that does not drain in its time is killed by the host.
pub(crate) async fn stop_providers(
    settings: &WasmbusHostConfig,
    host_id: &str,
) -> anyhow::Result<()> {
    let client = connect::control(settings).await?;
    let control = format!("{}.v1.{}", settings.ctl_topic_prefix, settings.lattice);
    let inventory = ask(
        &client,
        format!("{control}.host.get.{host_id}"),
        "",
        OVERHEAD,
    )
    .await?;
    let links = ask(&client, format!("{control}.link.get"), "", OVERHEAD).await?;
    let patience = settings.provider_shutdown_delay.unwrap_or_default() + OVERHEAD;
    for provider in callers_first(&inventory, &links) {
        let request = json!({ "host_id": host_id, "provider_id": provider }).to_string();
        ask(
            &client,
            format!("{control}.provider.stop.{host_id}"),
            &request,
            patience,
        )
        .await
        .with_context(|| format!("cannot stop provider {provider}"))?;
        info!(provider, "provider stopped");
    }
    Ok(())
}

/// Sends a control request and returns the body of its answer.
async fn ask(
    client: &Client,
    subject: String,
    payload: &str,
    patience: Duration,
) -> anyhow::Result<Value> {
    let request = async_nats::Request::new()
        .payload(payload.to_owned().into())
        .timeout(Some(patience));
    let answer = client
        .send_request(subject.clone(), request)
        .await
        .with_context(|| format!("no answer on {subject}"))?;
    let mut answer: Value = serde_json::from_slice(&answer.payload)
        .with_context(|| format!("the answer on {subject} is no JSON"))?;
    ensure!(
        answer["success"] == json!(true),
        "refused on {subject}: {}",
        answer["message"]
    );
    Ok(answer["response"].take())
}

/// The ids of the providers in `inventory`: first those that are the source of a link.
fn callers_first(inventory: &Value, links: &Value) -> Vec<String> {
    let sources: HashSet<&str> = items(links)
        .filter_map(|link| link["source_id"].as_str())
        .collect();
    let ids = items(&inventory["providers"]).filter_map(|provider| provider["id"].as_str());
    let (mut callers, called): (Vec<_>, Vec<_>) = ids.partition(|id| sources.contains(id));
    callers.extend(called);
    callers.into_iter().map(str::to_owned).collect()
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_that_calls_is_stopped_before_one_that_is_called() {
        let inventory = json!({"providers": [{"id": "ledger"}, {"id": "polling"}]});
        let links = json!([
            {"source_id": "audit-api", "target": "ledger"},
            {"source_id": "polling", "target": "reader"},
        ]);
        assert_eq!(callers_first(&inventory, &links), ["polling", "ledger"]);
    }
}
