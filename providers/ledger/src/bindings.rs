//! Generated from the world `ledger-provider` in `wit/`.
#![allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic)]

wit_bindgen_wrpc::generate!({
    path: "../../wit",
    world: "ledger-provider",
    generate_all,
});
