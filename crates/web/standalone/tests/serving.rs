//! A real log behind a real socket.
#![allow(clippy::unwrap_used)]

use fieldledger_ledger::{Config, EventColumns, Ledger};
use fieldledger_standalone::Standalone;
use serde_json::Value;

async fn get(url: &str) -> (u16, Value) {
    let answer = reqwest::get(url).await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

#[tokio::test]
async fn a_log_is_served_until_the_server_is_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(Config::new(folder.path().join("log"))).unwrap();
    let events = EventColumns {
        message: vec!["the door was opened".to_owned()],
        ..EventColumns::default()
    };
    ledger.append(events).await.unwrap();
    let server = Standalone::start(ledger.clone(), "127.0.0.1:0".parse().unwrap())
        .await
        .unwrap();
    let url = server.url();

    let (status, proof) = get(&format!("{url}/api/proof/0")).await;
    assert_eq!((status, &proof["tree_size"]), (200, &Value::from(1)));
    let (status, problem) = get(&format!("{url}/api/sensors")).await;
    assert_eq!(status, 503);
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("no polling provider"), "{detail}");

    server.stop().await.unwrap();
    assert!(reqwest::get(&url).await.is_err(), "it still listens");
    ledger.close();
}
