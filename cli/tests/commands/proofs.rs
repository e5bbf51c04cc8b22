//! `verify` of one entry, from a file.

use std::fs;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use crate::site::{Site, problem_texts};

fn proof(site: &Site, entry: u64) -> Value {
    let url = format!("{}/api/proof/{entry}", site.url());
    let text = ureq::get(url).call().unwrap().body_mut().read_to_string();
    serde_json::from_str(&text.unwrap()).unwrap()
}

/// The same proof in the text of C2SP tlog-proof.
fn as_tlog_proof(proof: &Value) -> String {
    let mut extra = BASE64_STANDARD
        .decode(proof["leaf"].as_str().unwrap())
        .unwrap();
    extra.extend(proof["envelope"].as_str().unwrap().as_bytes());
    let path = proof["inclusion_proof"].as_array().unwrap().iter();
    let path: String = path
        .map(|hash| format!("{}\n", hash.as_str().unwrap()))
        .collect();
    format!(
        "c2sp.org/tlog-proof@v1\nextra {}\nindex {}\n{path}\n{}",
        BASE64_STANDARD.encode(extra),
        proof["index"],
        proof["checkpoint"].as_str().unwrap()
    )
}

#[test]
fn a_proof_is_checked_in_each_of_its_forms() {
    let site = Site::with(300);
    let proof = proof(&site, 258);
    let file = site.file("proof");
    for text in [proof.to_string(), as_tlog_proof(&proof)] {
        fs::write(&file, text).unwrap();
        let (code, report) = site.verify(&file);
        assert_eq!(code, 0, "{report}");
        assert_eq!(report["holds"], true);
        assert_eq!(report["first"], 258);
        assert_eq!(report["tree_size"], 300);
        assert_eq!(report["problems"], json!([]));
    }
    let text = site.run(&["verify", file.to_str().unwrap(), "--key", &site.key()]);
    assert!(text.stdout.starts_with("ok  "), "{text:?}");
    assert!(
        text.stdout.contains("entry 258 is what was signed"),
        "{text:?}"
    );
}

#[test]
fn each_field_of_a_proof_counts() {
    let site = Site::with(20);
    let honest = proof(&site, 5);
    let other = proof(&site, 6);
    let file = site.file("proof.json");
    let root = honest["checkpoint"].as_str().unwrap();
    let changes = [
        ("index", json!(6)),
        ("tree_size", json!(21)),
        ("leaf", other["leaf"].clone()),
        ("leaf", json!("")),
        ("leaf", json!("no base64")),
        ("envelope", other["envelope"].clone()),
        (
            "envelope",
            json!(format!("{} ", honest["envelope"].as_str().unwrap())),
        ),
        ("envelope_hash", other["envelope_hash"].clone()),
        ("inclusion_proof", other["inclusion_proof"].clone()),
        ("inclusion_proof", json!([])),
        ("checkpoint", json!("")),
        ("checkpoint", json!(root.replacen("\n20\n", "\n21\n", 1))),
        ("checkpoint", json!(root.replacen('\u{2014}', "-", 1))),
        ("verifier_key", json!("other+00000000+AAAA")),
    ];
    for (field, value) in changes {
        let mut changed = honest.clone();
        assert_ne!(changed[field], value);
        changed[field] = value;
        fs::write(&file, changed.to_string()).unwrap();
        let (code, report) = site.verify(&file);
        assert_eq!(
            (code, &report["holds"]),
            (1, &json!(false)),
            "{field}: {report}"
        );
        assert!(
            report["problem_count"].as_u64() > Some(0),
            "{field}: {report}"
        );
    }
    let tlog_proof = as_tlog_proof(&honest);
    for (from, to) in [
        ("@v1", "@v2"),
        ("index 5", "index 6"),
        ("extra A", "extra B"),
        ("\n20\n", "\n19\n"),
    ] {
        let changed = tlog_proof.replacen(from, to, 1);
        assert_ne!(changed, tlog_proof);
        fs::write(&file, changed).unwrap();
        let run = site.run(&["verify", file.to_str().unwrap(), "--key", &site.key()]);
        // A file that does not begin as a tlog-proof does is no proof at all.
        let expected = if from == "@v1" { 2 } else { 1 };
        assert_eq!(run.code, expected, "{from}: {run:?}");
    }
}

#[test]
fn an_erased_entry_is_proved_without_its_envelope() {
    let site = Site::with(9);
    site.ledger
        .erase(4, "a visitor asked", "the data officer")
        .unwrap();
    let file = site.file("proof.json");
    fs::write(&file, proof(&site, 4).to_string()).unwrap();
    let (code, report) = site.verify(&file);
    assert_eq!(
        (code, &report["without_envelope"]),
        (0, &json!(1)),
        "{report}"
    );
    let text = site.run(&["verify", file.to_str().unwrap(), "--key", &site.key()]);
    assert!(text.stdout.contains("without an envelope"), "{text:?}");
}

#[test]
fn the_key_decides() {
    let site = Site::with(3);
    let another = Site::with(1);
    let file = site.file("proof.json");
    let file = file.to_str().unwrap();
    fs::write(file, proof(&site, 1).to_string()).unwrap();

    let (code, report) = site.json(&["verify", file, "--key", &another.key()]);
    assert_eq!(code, 1, "{report}");
    assert!(
        problem_texts(&report).contains("no signature by"),
        "{report}"
    );

    // Several keys, in a file or one by one: any of them may have signed.
    let keys = site.file("keys");
    fs::write(
        &keys,
        format!("# the plant\n\n{}\n{}\n", another.key(), site.key()),
    )
    .unwrap();
    let keys = keys.to_str().unwrap();
    assert_eq!(site.run(&["verify", file, "--key", keys]).code, 0);
    let both = ["verify", file, "-k", &another.key(), "-k", &site.key()];
    assert_eq!(site.run(&both).code, 0);

    let missing = site.run(&["verify", file]);
    assert_eq!(missing.code, 2);
    assert!(missing.stderr.contains("--key"), "{missing:?}");
    for bad in ["nonsense", "a+b+c", &site.key().replacen('+', "+0", 1)] {
        let refused = site.run(&["verify", file, "--key", bad]);
        assert_eq!(refused.code, 2, "{refused:?}");
        assert!(refused.stderr.contains("--key"), "{refused:?}");
    }
}

#[test]
fn what_is_no_proof_is_refused_as_input() {
    let site = Site::with(1);
    let file = site.file("nonsense");
    for content in [
        &b""[..],
        b"{}",
        b"[1]",
        b"\xff\xfe",
        b"{\"export\":\"other/9\"}\n",
        b"{\"export\":",
    ] {
        fs::write(&file, content).unwrap();
        let run = site.run(&["verify", file.to_str().unwrap(), "--key", &site.key()]);
        assert_eq!(run.code, 2, "{content:?}: {run:?}");
    }
    let missing = site.run(&["verify", "/nowhere/at/all", "--key", &site.key(), "--json"]);
    assert_eq!(missing.code, 2);
    let error: Value = serde_json::from_str(&missing.stderr).unwrap();
    assert_eq!(error["error"]["exit_code"], 2);
    assert!(
        error["error"]["message"]
            .as_str()
            .unwrap()
            .contains("/nowhere/at/all")
    );
}
