//! Gaps in a real log, asked for over a real socket.
#![allow(clippy::unwrap_used)]

use std::net::SocketAddr;

use fieldledger_ledger::{Config, EventColumns, Ledger};
use fieldledger_standalone::Standalone;
use serde_json::{Value, json};

const SENSOR: &str = "6ba7b810-9dad-11d1-80b4-00c04fd430c8";

fn readings(numbers: &[u64]) -> EventColumns {
    let mut events = EventColumns::default();
    for number in numbers {
        let polled_at = 1_767_323_045_000_000 + number * 1_000_000;
        events.message.push(format!(
            r#"{{"boot":"b1","poll":"e/{number}","polled_at":{polled_at},"quality":"Good","received_at":{polled_at},"seq":{number},"value":"1"}}"#
        ));
        events.producer.push(format!("reading/{SENSOR}/b1"));
        events.sequence.push(*number);
        events.actor.push("TempSensor01".to_owned());
        events.action.push("SENSOR_READING".to_owned());
        events.source.push(SENSOR.to_owned());
    }
    events
}

async fn get(url: String) -> Value {
    reqwest::get(url).await.unwrap().json().await.unwrap()
}

#[tokio::test]
async fn a_gap_is_listed_until_it_is_filled() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = Config::new(folder.path().join("log"));
    config.index = false;
    let ledger = Ledger::open(config).unwrap();
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let server = Standalone::start(ledger.clone(), listen).await.unwrap();

    ledger.append(readings(&[1, 2, 6])).await.unwrap();
    let url = format!("{}/api/gaps?sensor={SENSOR}&state=open", server.url());
    let found = get(url.clone()).await;
    let gap = &found["gaps"][0];
    assert_eq!((&gap["missing"], &gap["after"]), (&json!(3), &json!(2)));
    assert_eq!(gap["start"], "2026-01-02T03:04:07.000000Z");
    assert_eq!(gap["ranges"][0]["first"], 3);
    assert_eq!(found["totals"]["missing"], 3);
    let metrics = reqwest::get(format!("{}/metrics", server.url())).await;
    let metrics = metrics.unwrap().text().await.unwrap();
    assert!(
        metrics.contains("\nfieldledger_ledger_gaps_open 1\n"),
        "{metrics}"
    );

    ledger.append(readings(&[5, 3, 4])).await.unwrap();
    let found = get(url).await;
    assert_eq!((&found["gaps"], &found["next"]), (&json!([]), &Value::Null));
    server.stop().await.unwrap();
    ledger.close();
}
