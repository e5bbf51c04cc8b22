//! Generated from the world `nats-polling-provider` in `wit/`, with the types of
//! `fieldledger-contract`.
#![allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic)]

wit_bindgen_wrpc::generate!({
    path: "../../wit",
    world: "nats-polling-provider",
    with: {
        "fieldledger:base/types@0.1.0": ::fieldledger_contract::base,
        "fieldledger:field/types@0.1.0": ::fieldledger_contract::field,
    },
    generate_all,
});
