//! What the OpenAPI description says of every operation alike, so that it is true of each: which statuses
//! there are, who may ask, and what numbers, ids and times look like.

use serde_json::{Map, Value, json};

/// The scheme's name in the description.
const BEARER: &str = "token";

/// The name of the schema of times.
const TIME: &str = "Time";

/// What a sensor's id looks like.
const UUID: &str = "^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$";

/// The fingerprint of a device's key.
const FINGERPRINT: &str = "^SHA256:[A-Za-z0-9+/]{43}$";

/// SHA-256 in hexadecimal.
const HASH: &str = "^[0-9a-f]{64}$";

/// A time as text: it begins with a digit or, as a span of ISO 8601, with P; or it is `now`.
const TIME_TEXT: &str = r"^\s*([0-9Pp].{0,79}|[Nn][Oo][Ww])\s*$";

/// Statuses that any request can have.
const ANY: [(&str, &str); 9] = [
    ("400", "A parameter, the path or a header is not valid"),
    ("404", "There is no such thing"),
    ("408", "The request was not there in time"),
    ("414", "Path and query are too long"),
    ("431", "The headers are too large"),
    ("500", "What was found cannot be shown"),
    ("502", "The gateway gave no answer"),
    (
        "503",
        "A part does not answer, or too many wait; ask again after `Retry-After`",
    ),
    ("504", "There was no answer in time"),
];

/// Statuses of a request with a body.
const WITH_BODY: [(&str, &str); 3] = [
    ("413", "The body is too large"),
    ("415", "The body is not what `Content-Type` must name"),
    (
        "422",
        "The body is JSON of another shape, or the `Idempotency-Key` was used for another request",
    ),
];

/// Statuses of a request that needs a token.
const WITH_TOKEN: [(&str, &str); 4] = [
    ("401", "There is no token, or it is not known"),
    ("403", "The token may not do this"),
    (
        "409",
        "It cannot be done now, or may have been done with the same `Idempotency-Key`",
    ),
    ("410", "The log has ended"),
];

/// Statuses of what a client may have already.
const KEPT: [(&str, &str); 3] = [
    ("206", "The part that `Range` names"),
    ("304", "It is the one that `If-None-Match` names"),
    ("416", "There is no such part"),
];

/// Makes the description say so.
pub(crate) fn complete(mut description: Value) -> Value {
    if let Some(paths) = description["paths"].as_object_mut() {
        for (path, operations) in paths {
            let operations = operations.as_object_mut().into_iter().flatten();
            for (_, operation) in operations {
                complete_operation(path, operation);
            }
        }
    }
    bound_numbers(&mut description);
    description["components"]["securitySchemes"][BEARER] = json!({
        "type": "http",
        "scheme": "bearer",
        "description": "A token of the gateway's setting `tokens`",
    });
    description["components"]["schemas"][TIME] = json!({
        "description": "RFC 3339 (UTC where it names no zone), a date, a span before now such as `15m` or \
            `7d`, `now`, or milliseconds since 1970 as a number or as its digits",
        "anyOf": [
            {"type": "string", "pattern": TIME_TEXT},
            {"type": "integer", "format": "int64"},
        ],
    });
    let schemas = [
        ("SearchParams", "start"),
        ("SearchParams", "end"),
        ("RetainParams", "before"),
    ];
    for (schema, member) in schemas {
        let property = &mut description["components"]["schemas"][schema]["properties"][member];
        let optional = property["type"].is_array();
        let about = property["description"].take();
        let time = json!({"$ref": format!("#/components/schemas/{TIME}")});
        *property = match optional {
            true => json!({"description": about, "anyOf": [{"type": "null"}, time]}),
            false => json!({"description": about, "allOf": [time]}),
        };
    }
    let schemas = &mut description["components"]["schemas"];
    schemas["ApproveParams"]["properties"]["fingerprint"]["pattern"] = FINGERPRINT.into();
    for schema in ["ApproveParams", "RetireParams"] {
        schemas[schema]["properties"]["sensor"]["pattern"] = UUID.into();
    }
    description
}

fn needs_token(path: &str, operation: &Value) -> bool {
    let changes = [
        "/api/log/",
        "/api/devices/",
        "/api/dead-letters/",
        "/api/gaps/",
    ];
    let changes = changes.iter().any(|below| path.starts_with(below));
    changes && operation.get("requestBody").is_some()
}

fn complete_operation(path: &str, operation: &mut Value) {
    let (has_body, secured) = (
        operation.get("requestBody").is_some(),
        needs_token(path, operation),
    );
    let may_be_kept = path.starts_with("/log/") || path.starts_with("/witness/{");
    let plain_body = path == "/witness/add-checkpoint";
    if let Some(responses) = operation["responses"].as_object_mut() {
        let problem = responses.remove("default").unwrap_or_default();
        let mut name = |statuses: &[(&str, &str)], has_problem: bool| {
            for (status, about) in statuses {
                let mut response = match has_problem {
                    true => problem.clone(),
                    false => json!({}),
                };
                response["description"] = (*about).into();
                let of = responses.entry((*status).to_owned());
                of.or_insert(response);
            }
        };
        name(&ANY, true);
        if has_body {
            name(&WITH_BODY, true);
        }
        if secured || plain_body {
            name(&WITH_TOKEN, true);
        }
        if path == "/api/results" {
            name(&WITH_TOKEN[3..], true);
        }
        if may_be_kept {
            name(&KEPT, false);
        }
    }
    if secured {
        operation["security"] = json!([{ BEARER: [] }]);
        let parameters = &mut operation["parameters"];
        if !parameters.is_array() {
            *parameters = json!([]);
        }
        if let Some(parameters) = parameters.as_array_mut() {
            parameters.push(json!({
                "name": "Idempotency-Key",
                "in": "header",
                "required": false,
                "description": "A request that is sent again with the same key is not carried out again",
                "schema": {"type": "string", "pattern": "^[!-~]{1,255}$"},
            }));
        }
    }
    let parameters = operation
        .get_mut("parameters")
        .and_then(Value::as_array_mut);
    for parameter in parameters.into_iter().flatten() {
        complete_parameter(path, parameter);
    }
}

fn complete_parameter(path: &str, parameter: &mut Value) {
    let is_text = parameter["schema"]["type"] == "string"
        || parameter["schema"]["type"] == json!(["string", "null"]);
    let pattern = match parameter["name"].as_str() {
        Some("from" | "to") if is_text => TIME_TEXT,
        Some("sensor") => UUID,
        Some("id") if path.starts_with("/api/sensors/") => UUID,
        Some("origin") => HASH,
        _ => return,
    };
    // A query has no null: what is not given is left out.
    parameter["schema"] = json!({"type": "string", "pattern": pattern});
}

/// Says in numbers what the formats int32 and int64 mean; in a query also that there is no null.
fn bound_numbers(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(bound_numbers),
        Value::Object(members) => {
            bound_number(members);
            if members.contains_key("in")
                && let Some(kinds) = members["schema"]["type"].as_array()
            {
                members["schema"]["type"] = kinds[0].clone();
            }
            members.values_mut().for_each(bound_numbers);
        }
        _ => {}
    }
}

fn bound_number(members: &mut Map<String, Value>) {
    let most = match members.get("format").and_then(Value::as_str) {
        Some("int32") => i64::from(i32::MAX),
        Some("int64") => i64::MAX,
        _ => return,
    };
    members.entry("maximum").or_insert(most.into());
}
