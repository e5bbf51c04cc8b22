//! An operator sends the polling provider, and a device, another address: with the users that a site has,
//! through the command's own code. The log has who it was.
#![forbid(unsafe_code)]

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use fieldledger_e2e::plant::{PATIENCE, Plant, until};
use fieldledger_site::{BrokerList, FieldOperator};
use futures::StreamExt as _;
use serde_json::{Value, json};
use uuid::Uuid;

/// As wadm names the component that the provider is linked to.
const INSTANCE: &str = "fieldledger-sensor_reader";

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_sends_another_address_and_the_log_has_who() -> Result<()> {
    let plant = Plant::start().await?;
    let arguments = ["--sensors", "2", "--interval", "300", "--no-faulty"];
    let _field = plant.site.start_simulator("field", &arguments).await?;
    until_read(&plant, 3).await?;

    let url = plant.site.nats_url();
    let seed = plant.site.users().operator_seed();
    let operator = FieldOperator::connect(&url, &seed, None).await?;
    // The same server by another name, so that this is a list like any other.
    let other = url.replace("127.0.0.1", "localhost");
    let list = BrokerList {
        version: 1,
        brokers: vec![other.clone()],
        by: "eva".to_owned(),
        reason: "the cable is mended".to_owned(),
    };
    let answer = operator.send_to_provider(INSTANCE, &list).await?;
    ensure!(answer.taken && answer.server == other, "{answer:?}");
    let read = readings(&plant).await?;
    until_read(&plant, read + 4).await?;
    until("the log has who sent it", PATIENCE, async || {
        let wanted = json!({"action": ["BROKERS_CHANGE"]});
        let mut statuses = Vec::new();
        for entry in plant.api.entries(wanted).await? {
            ensure!(entry.field("actor") == "eva", "{:?}", entry.envelope);
            ensure!(entry.field("new") == other, "{:?}", entry.envelope);
            ensure!(entry.field("old") == url, "{:?}", entry.envelope);
            statuses.push(entry.field("status").to_owned());
        }
        Ok((statuses == ["REQUESTED", "SUCCESS"]).then_some(()))
    })
    .await?;

    // What is refused is recorded, too, and polling goes on.
    let nobody = BrokerList {
        version: 2,
        brokers: vec!["nats://127.0.0.1:9".to_owned()],
        ..list.clone()
    };
    let answer = operator.send_to_provider(INSTANCE, &nobody).await?;
    ensure!(
        !answer.taken && answer.reason.contains("reached"),
        "{answer:?}"
    );
    until("the log has that it failed", PATIENCE, async || {
        let failures = json!({"action": ["BROKERS_CHANGE"], "status": ["FAILURE"]});
        Ok((plant.api.entries(failures).await?.len() == 1).then_some(()))
    })
    .await?;
    let read = readings(&plant).await?;
    until_read(&plant, read + 4).await?;

    // A device hears nothing but what it understands.
    let device = Uuid::from_u128(7);
    let client = plant.nats().await?;
    let mut heard = client.subscribe(format!("field.{device}.brokers")).await?;
    client.flush().await?;
    // The subscription may be a little behind; whoever hears a list again knows it already.
    let message = until("the device hears it", PATIENCE, async || {
        operator.send_to_device("field", device, &list).await?;
        let message = tokio::time::timeout(Duration::from_secs(1), heard.next()).await?;
        Ok(Some(message.context("no message")?))
    })
    .await?;
    let message: Value = serde_json::from_slice(&message.payload)?;
    ensure!(
        message == json!({"version": 1, "brokers": [other]}),
        "{message}"
    );
    plant.finish().await;
    Ok(())
}

async fn readings(plant: &Plant) -> Result<usize> {
    let readings = json!({"action": ["SENSOR_READING"], "status": ["SUCCESS"]});
    Ok(plant.api.entries(readings).await?.len())
}

async fn until_read(plant: &Plant, count: usize) -> Result<()> {
    until("readings are in the log", PATIENCE, async || {
        Ok((readings(plant).await? >= count).then_some(()))
    })
    .await
}
