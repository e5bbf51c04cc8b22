//! Generated from the world `nats-polling-provider` in `wit/`.
#![allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic)]

wit_bindgen_wrpc::generate!({
    path: "../../wit",
    world: "nats-polling-provider",
    generate_all,
});
