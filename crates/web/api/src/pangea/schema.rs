//! `POST /audit/v1/schema`: which fields an event has.

use axum::extract::{Request, State};
use axum::response::Response;
use fieldledger_audit::event::FIELDS;
use serde::{Deserialize, Serialize};

use super::call::{Done, answer};
use crate::parts::Shared;
use crate::tokens::Scope;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SchemaRequest {
    #[serde(rename = "config_id")]
    _config_id: Option<String>,
}

#[derive(Serialize)]
struct Schema {
    client_signable: bool,
    save_malformed: &'static str,
    tamper_proofing: bool,
    fields: Vec<Field>,
}

#[derive(Serialize)]
struct Field {
    id: &'static str,
    #[serde(rename = "type")]
    kind: &'static str,
    size: usize,
    required: bool,
    redact: bool,
}

/// Shows it.
pub(super) async fn show_schema(state: State<Shared>, request: Request) -> Response {
    answer(state, request, Scope::Read, |call| {
        let _checked: SchemaRequest = call.json()?;
        let fields = FIELDS.iter().map(|field| Field {
            id: field.name,
            kind: match field.name {
                "timestamp" => "datetime",
                _ => "string",
            },
            size: field.max_characters,
            required: field.name == "message",
            redact: false,
        });
        let schema = Schema {
            client_signable: true,
            save_malformed: "reject",
            tamper_proofing: true,
            fields: fields.collect(),
        };
        Done::new("Schema was found", &schema)
    })
    .await
}
