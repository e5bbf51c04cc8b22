//! What is refused can be asked for, and what is odd is remarked.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Field, heartbeat, id, settings};
use fieldledger_contract::field::RefusalKind;
use fieldledger_wire::batch::Outcome;
use serde_json::json;

#[test]
fn an_answer_without_a_number_says_why() {
    let mut field = Field::new(settings());
    field.hello(1, 1_000);
    field.until_poll();
    field.read(1, r#"{"value":"6,3"}"#);
    let result = &field.results[0];
    assert_eq!(result.outcome, Outcome::Unparsable);
    for part in ["no number", "field value", "6,3", "comma"] {
        assert!(result.flaw.contains(part), "{}", result.flaw);
    }
    let refused = &field.engine.refusals(Some(id(1)), 10)[0];
    assert_eq!((refused.kind, refused.count), (RefusalKind::Answer, 1));
    assert_eq!(refused.excerpt, r#"{"value":"6,3"}"#);
    assert_eq!(refused.subject, format!("sim.read.{}", id(1)));
    let remarks = &field.engine.sensor(id(1)).unwrap().remarks;
    assert!(remarks[0].contains("comma"), "{remarks:?}");
}

#[test]
fn a_refused_heartbeat_is_its_sensors() {
    let mut field = Field::new(settings());
    let mut bad = heartbeat(1, 1_000);
    bad["poll_interval"] = json!("often");
    let refused = field.announce(&bad).unwrap_err();
    assert!(
        refused.to_string().contains(&id(1).to_string()),
        "{refused}"
    );
    field.announce(&"hello").unwrap_err();
    let all = field.engine.refusals(None, 10);
    assert_eq!(all.len(), 2);
    let own = field.engine.refusals(Some(id(1)), 10);
    assert_eq!(own.len(), 1);
    assert!(own[0].reason.contains("poll_interval"), "{}", own[0].reason);
    // Registered now, it has a place of its own.
    field.hello(1, 1_000);
    field.announce(&bad).unwrap_err();
    for n in 0..1_000 {
        let mut stranger = heartbeat(1_000 + n, 1_000);
        stranger["poll_topic"] = json!("elsewhere");
        field.announce(&stranger).unwrap_err();
    }
    assert!(!field.engine.refusals(Some(id(1)), 10).is_empty());
    assert!(field.engine.refusals(None, 10_000).len() < 300);
}

#[test]
fn what_is_odd_costs_nothing_and_is_remarked() {
    let mut field = Field::new(settings());
    let mut odd = heartbeat(1, 1_000);
    odd["ip_addr"] = json!("fe80::1%wlan0");
    odd["mac_addr"] = json!("unknown");
    odd["unit"] = json!("furlongs");
    odd["alias"] = json!(" ");
    field.announce(&odd).unwrap();
    let state = field.engine.sensor(id(1)).unwrap();
    for field in ["ip_addr", "mac_addr", "unit", "alias"] {
        let is_remarked = state.remarks.iter().any(|remark| remark.contains(field));
        assert!(is_remarked, "{field}: {:?}", state.remarks);
    }
    assert_eq!(state.ip_addr, "fe80::1%wlan0");
    field.until_poll();
    field.read(1, r#"{"value":20.5,"at":"02.01.2026","seq":-1}"#);
    let result = &field.results[0];
    assert_eq!(
        (result.outcome, result.text.as_str()),
        (Outcome::Value, "20.5")
    );
    assert!(result.flaw.contains("field at") && result.flaw.contains("field seq"));
    assert!(field.engine.sensor(id(1)).unwrap().remarks.len() >= 6);
}
