//! The API's description is true: schemathesis, a fuzzer of schemas from PyPI, asks every operation what it
//! takes and what it does not, over a real log, and judges the answers by the description.
#![allow(clippy::unwrap_used)]

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use fieldledger_api::{Parts, Scope, Tokens};
use fieldledger_fake_parts::Fake;
use fieldledger_ledger::{Config, EventColumns, Ledger};
use fieldledger_site::tools_dir;
use fieldledger_standalone::{OverLedger, Standalone};
use tokio::process::Command;
use tokio::time::timeout;

/// Generous: the machines are shared.
const PATIENCE: Duration = Duration::from_secs(600);

/// Seconds after which it begins no further requests.
const BUDGET: &str = "60";

/// Requests for each operation and phase.
const EXAMPLES: &str = "12";

const TOKEN: &str = "pts_thatonlythetestknows";

/// Those checks that judge answers by the description. Not among them is that everything a schema allows is
/// accepted: no schema can say which queries make sense, or that a time lies before another.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
    response_headers_conformance,response_schema_conformance,negative_data_rejection,\
    unsupported_method,allow_header_conformance,ignored_auth";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_is_one_that_is_described() {
    let program = tools_dir().join("schemathesis/bin/schemathesis");
    assert!(
        program.exists(),
        "{} is missing; `cargo xtask setup` installs it",
        program.display()
    );
    let folder = tempfile::tempdir().unwrap();
    let mut config = Config::new(folder.path().join("ledger"));
    config.publication = None;
    let ledger = Ledger::open(config).unwrap();
    let events = EventColumns {
        message: (0..40).map(|number| format!("event {number}")).collect(),
        ..EventColumns::default()
    };
    ledger.append(events).await.unwrap();
    let tokens = Tokens::parse(&Tokens::setting("test", &Scope::ALL, TOKEN)).unwrap();
    let mut parts = Parts::from(OverLedger::new(ledger.clone()).with_tokens(tokens));
    // Without sensors every request for them would be answered that there are none.
    parts.plant = Arc::new(Fake::default());
    let server = Standalone::start_with(parts, "127.0.0.1:0".parse().unwrap())
        .await
        .unwrap();

    let mut fuzzing = Command::new(program);
    fuzzing
        .current_dir(folder.path())
        .arg("run")
        .arg(format!("{}/api/openapi.json", server.url()))
        .args(["--header", &format!("Authorization: Bearer {TOKEN}")])
        .args(["--checks", CHECKS])
        .args(["--phases", "examples,coverage,fuzzing"])
        // It would end the log, and every other write would be refused from then on.
        .args(["--exclude-path", "/api/log/freeze"])
        .args(["--seed", "1", "--max-examples", EXAMPLES])
        .args(["--max-time", BUDGET, "--continue-on-failure", "--no-shrink"])
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let output = timeout(PATIENCE, fuzzing.output()).await.unwrap().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{complained}");
    assert!(said.contains("generated"), "nothing was asked: {said}");

    server.stop().await.unwrap();
    ledger.close();
}
