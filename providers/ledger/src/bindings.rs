//! Generated from the world `ledger-provider` in `wit/`, with the types of `fieldledger-contract`.
#![allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic)]

wit_bindgen_wrpc::generate!({
    path: "../../wit",
    world: "ledger-provider",
    with: {
        "fieldledger:base/types@0.1.0": ::fieldledger_contract::base,
        "fieldledger:audit/types@0.1.0": ::fieldledger_contract::audit,
        "fieldledger:ledger/types@0.1.0": ::fieldledger_contract::ledger,
    },
    generate_all,
});
