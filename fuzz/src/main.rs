//! Fuzz targets, all in one program: `FUZZ_TARGET` names the one to run, and the arguments are
//! libFuzzer's. `cargo xtask fuzz` builds and runs it.
//!
//! A target takes any bytes. It must not panic, and beyond that it checks what must hold for every
//! input: what is written is read again, and two implementations agree.
//!
//! | module | holds targets for |
//! |---|---|
//! | `attest` | what devices sign |
//! | `boards` | what boards read: records in flash, and what a broker sends |
//! | `device` | what devices hear |
//! | `field` | what sensors send |
//! | `log` | what goes into the log, what is asked of it, and what is in its folder |
//! | `tree` | checkpoints, tiles, bundles, proofs |
//! | `witness` | what witnesses and logs send each other, and policies |
//! | `http` | whole requests to the HTTP interface |
//! | `nats` | what a NATS server sends to a device |
#![no_main]

mod attest;
mod boards;
mod device;
mod field;
mod http;
mod log;
mod nats;
mod tree;
mod witness;

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;

/// Takes any bytes.
type Target = fn(&[u8]);

/// Every target; `xtask` reads the same names from the folders of the corpus.
const TARGETS: &[(&str, Target)] = &[
    ("attestation", attest::attestation),
    ("batch", field::batch),
    ("bulk", field::bulk),
    ("bundle", tree::bundle),
    ("checkpoint", tree::checkpoint),
    ("cursor", log::cursor),
    ("device_message", device::message),
    ("envelope", log::envelope),
    ("event", log::event),
    ("frame", log::frame),
    ("heartbeat", field::heartbeat),
    ("http", http::request),
    ("mqtt", boards::mqtt),
    ("nats_operation", nats::operation),
    ("nats_session", nats::session),
    ("packed", log::packed),
    ("pangea_answer", log::pangea_answer),
    ("pangea_request", http::pangea_request),
    ("proof", tree::proof),
    ("query", log::query),
    ("reading", field::reading),
    ("record", boards::record),
    ("reply", field::reply),
    ("tile", tree::tile),
    ("witness_answer", witness::answer),
    ("witness_policy", witness::policy),
    ("witness_request", witness::request),
];

static TARGET: OnceLock<Target> = OnceLock::new();

fn choose() {
    let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
    let found = TARGETS.iter().find(|(target, _)| *target == name);
    match found {
        Some((_, target)) => {
            TARGET.get_or_init(|| *target);
        }
        None => {
            let names: Vec<&str> = TARGETS.iter().map(|(name, _)| *name).collect();
            eprintln!(
                "FUZZ_TARGET is {name:?}; it must be one of {}",
                names.join(", ")
            );
            std::process::exit(2);
        }
    }
}

fuzz_target!(init: choose(), |data: &[u8]| {
    if let Some(target) = TARGET.get() {
        target(data);
    }
});
