//! JWTs of nats-server (version 2 of its claims): signed by an nkey, and naming others.
//!
//! wasmCloud's host, wadm and providers know no other way to say who they are, and nats-server reads
//! JWTs only where an operator's key vouches for all of them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use nkeys::KeyPair;
use serde_json::{Value, json};

/// A JWT by which `issuer` says `claims` of the key `subject`.
pub(crate) fn sign(
    issuer: &KeyPair,
    subject: &KeyPair,
    name: &str,
    issued_at: u64,
    claims: &Value,
) -> Result<String, nkeys::error::Error> {
    let header = json!({"typ": "JWT", "alg": "ed25519-nkey"});
    let body = json!({
        "jti": format!("{name}-{issued_at}"),
        "iat": issued_at,
        "iss": issuer.public_key(),
        "sub": subject.public_key(),
        "name": name,
        "nats": claims,
    });
    let encoded = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", encoded(&header), encoded(&body));
    let signature = issuer.sign(signed.as_bytes())?;
    Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
}

/// What an operator is.
pub(crate) fn operator(system_account: &KeyPair) -> Value {
    json!({"type": "operator", "version": 2, "system_account": system_account.public_key()})
}

/// An account without limits, which shares nothing with others.
pub(crate) fn account(has_jetstream: bool) -> Value {
    let storage = if has_jetstream { -1 } else { 0 };
    json!({
        "type": "account",
        "version": 2,
        "limits": {
            "subs": -1, "data": -1, "payload": -1, "imports": 0, "exports": 0, "wildcards": true,
            "conn": -1, "leaf": -1, "mem_storage": storage, "disk_storage": storage,
            "streams": -1, "consumer": -1,
        },
        "default_permissions": {"pub": {}, "sub": {}},
    })
}

/// A user who may do what its account may.
pub(crate) fn user() -> Value {
    json!({
        "type": "user", "version": 2, "subs": -1, "data": -1, "payload": -1,
        "pub": {}, "sub": {},
    })
}
