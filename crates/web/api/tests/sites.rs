//! Several sites behind one API.
#![allow(clippy::unwrap_used, dead_code)]

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use fieldledger_api::{Parts, Tokens};
use fieldledger_contract::Error;
use fieldledger_fake_parts::{Fake, NORTH_KEY, NORTH_SENSOR, SENSOR, SILENT_SENSOR};
use serde_json::{Value, json};
use tower::ServiceExt as _;

/// A token `officer` of the scope `admin`, and how the setting names it.
const TOKEN: &str = "e2e_admin";
const TOKENS: &str =
    "officer:admin:b27c35c2508290b7c6e3aada6e835664cc84a56c24432c19616dc74d956c339f";

fn two_sites(north_fails: Option<Error>) -> Arc<Fake> {
    Arc::new(Fake {
        north: Some(north_fails),
        tokens: Tokens::parse(TOKENS).unwrap(),
        ..Fake::default()
    })
}

fn cut_off() -> Option<Error> {
    Some(Error::Unavailable("polling does not answer".to_owned()))
}

async fn ask(backend: &Arc<Fake>, request: Request<Body>) -> (StatusCode, String) {
    let router = fieldledger_api::router(Parts::of(backend));
    let answer = router.oneshot(request).await.unwrap();
    let status = answer.status();
    let body = to_bytes(answer.into_body(), usize::MAX).await.unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

async fn get(backend: &Arc<Fake>, uri: &str) -> (StatusCode, Value) {
    let request = Request::get(uri).body(Body::empty()).unwrap();
    let (status, body) = ask(backend, request).await;
    (status, serde_json::from_str(&body).unwrap())
}

fn places(list: &Value) -> Vec<(&str, &str)> {
    let sensors = list["sensors"].as_array().unwrap();
    let sensors = sensors.iter();
    sensors
        .map(|sensor| {
            (
                sensor["id"].as_str().unwrap(),
                sensor["site"].as_str().unwrap(),
            )
        })
        .collect()
}

fn has_samples(metrics: &str, samples: &[&str]) {
    for sample in samples {
        assert!(
            metrics.contains(&format!("{sample}\n")),
            "{sample} in {metrics}"
        );
    }
}

#[tokio::test]
async fn sensors_of_all_sites_are_one_list() {
    let backend = two_sites(None);
    let (status, all) = get(&backend, "/api/sensors").await;
    assert_eq!(status, StatusCode::OK);
    let expected = [
        (SENSOR, "main"),
        (SILENT_SENSOR, "north"),
        (NORTH_SENSOR, "north"),
    ];
    assert_eq!(places(&all), expected);
    assert!(all.get("sites_away").is_none());

    let mut paged = Vec::new();
    for offset in 0..3 {
        let (_, page) = get(&backend, &format!("/api/sensors?offset={offset}&limit=1")).await;
        assert_eq!(page["next_offset"], offset + 1);
        paged.extend(places(&page).into_iter().map(|(id, _)| id.to_owned()));
    }
    assert_eq!(paged, expected.map(|(id, _)| id.to_owned()));
}

#[tokio::test]
async fn a_site_that_is_cut_off_is_named_and_hides_no_other() {
    let backend = two_sites(cut_off());
    let (status, list) = get(&backend, "/api/sensors").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(places(&list), [(SENSOR, "main"), (SILENT_SENSOR, "main")]);
    let away = json!([{"site": "north", "problem": "polling does not answer"}]);
    assert_eq!(list["sites_away"], away);

    let (status, health) = get(&backend, "/healthz").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(health["sites_away"], away);
    assert_eq!(health["sensors_stale"], 2);

    let (status, _) = get(&backend, &format!("/api/sensors/{SENSOR}")).await;
    assert_eq!(status, StatusCode::OK);
    // Whether there is such a sensor is not known.
    let (status, problem) = get(&backend, &format!("/api/sensors/{NORTH_SENSOR}")).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(problem.to_string().contains("of site north"), "{problem}");

    let request = Request::get("/metrics").body(Body::empty()).unwrap();
    let (_, metrics) = ask(&backend, request).await;
    has_samples(
        &metrics,
        &[
            "fieldledger_up{part=\"polling\"} 1",
            "fieldledger_site_up{site=\"main\"} 1",
            "fieldledger_site_up{site=\"north\"} 0",
            "fieldledger_polling_polls_total 10",
        ],
    );
}

#[tokio::test]
async fn counts_are_summed_and_times_are_the_slowest() {
    let request = Request::get("/metrics").body(Body::empty()).unwrap();
    let (_, metrics) = ask(&two_sites(None), request).await;
    has_samples(
        &metrics,
        &[
            "fieldledger_sensors{liveness=\"stale\"} 4",
            "fieldledger_polling_polls_total 20",
            "fieldledger_poll_to_durable_seconds{quantile=\"0.99\"} 0.002",
        ],
    );
}

#[tokio::test]
async fn a_key_is_approved_where_its_sensor_is() {
    let approve = |sensor: &str| {
        let body = json!({"sensor": sensor, "fingerprint": "SHA256:shown", "reason": "new"});
        Request::post("/api/devices/approve")
            .header("authorization", format!("Bearer {TOKEN}"))
            .header("content-type", "application/json")
            .body(Body::from(body.to_string()))
            .unwrap()
    };
    let backend = two_sites(None);
    let (status, body) = ask(&backend, approve(NORTH_SENSOR)).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    assert!(body.contains(NORTH_KEY), "{body}");
    let (status, body) = ask(&two_sites(cut_off()), approve(NORTH_SENSOR)).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{body}");
    let nobody = "123e4567-e89b-12d3-a456-426614174009";
    let (status, body) = ask(&backend, approve(nobody)).await;
    assert_eq!(status, StatusCode::NOT_FOUND, "{body}");
}
