//! `verify` of a log that `fieldledger serve` serves, as two processes; and of the same log behind a
//! server that changes what it passes on.

use std::io::BufReader;
use std::net::SocketAddr;
use std::process::{Child, ChildStdout, Stdio};

use serde_json::{Deserializer, Value, json};

use crate::proxy::Proxy;
use crate::site::{Site, json, problem_indices, problem_texts, program, run};

/// `fieldledger serve` as a process.
struct Served {
    process: Child,
    /// Held open: the process may write to it.
    _output: BufReader<ChildStdout>,
    url: String,
    key: String,
}

impl Served {
    /// Serves the ledger's folder of a site, which must have closed it.
    fn folder_of(site: &Site, options: &[&str]) -> Self {
        let mut command = program("http://127.0.0.1:9");
        command.args(["--json", "serve", "--listen", "127.0.0.1:0", "--folder"]);
        command.arg(site.file("ledger")).args(options);
        let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut output = BufReader::new(process.stdout.take().unwrap());
        let mut values = Deserializer::from_reader(&mut output).into_iter::<Value>();
        let serving = values.next().unwrap().unwrap();
        let text = |field: &str| serving[field].as_str().unwrap().to_owned();
        let (url, key) = (text("url"), text("verifier_key"));
        Self {
            process,
            _output: output,
            url,
            key,
        }
    }

    fn verify(&self, url: &str, more: &[&str]) -> (i32, Value) {
        let arguments = [&["verify", url, "--key", &self.key], more].concat();
        json("http://127.0.0.1:9", &arguments)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A log of 700 entries, one of them erased, and `serve` over it.
fn served() -> (Site, Served) {
    let mut site = Site::with(699);
    site.ledger
        .erase(300, "a visitor asked", "the data officer")
        .unwrap();
    let _: SocketAddr = site.stop();
    site.ledger.close();
    let served = Served::folder_of(&site, &["--no-index"]);
    (site, served)
}

#[test]
fn a_served_log_is_verified_tile_by_tile_and_payload_by_payload() {
    let (_site, served) = served();
    for url in [served.url.clone(), format!("{}/log/", served.url)] {
        let (code, report) = served.verify(&url, &["--payloads"]);
        assert_eq!(code, 0, "{report}");
        let counts = [
            "tree_size",
            "entries",
            "without_envelope",
            "payloads",
            "tiles",
        ];
        let counts = counts.map(|field| report[field].as_u64().unwrap());
        // Three tiles of level 0 with a bundle each, and one of level 1.
        assert_eq!(counts, [700, 700, 1, 700, 7], "{report}");
    }
}

#[test]
fn a_bundle_that_is_downloaded_is_verified_without_the_server() {
    let (site, served) = served();
    for (path, entry, without_envelope) in [
        ("/api/proof/0/bundle", 0, 0),
        // A bundle has the envelope; that of the erased entry is no more, its proof is.
        ("/log/proof/300", 300, 1),
        ("/api/proof/699/bundle", 699, 0),
    ] {
        let url = format!("{}{path}", served.url);
        let mut answer = ureq::get(url).call().unwrap();
        let file = site.file("bundle");
        std::fs::write(&file, answer.body_mut().read_to_vec().unwrap()).unwrap();
        // No server is there.
        let arguments = ["verify", file.to_str().unwrap(), "--key", &served.key];
        let (code, report) = json("http://127.0.0.1:9", &arguments);
        assert_eq!(code, 0, "{report}");
        assert_eq!(report["first"], entry);
        assert_eq!(report["without_envelope"], without_envelope, "{report}");

        let mut bytes = std::fs::read(&file).unwrap();
        let at = bytes.len() / 2;
        bytes[at] ^= 1;
        std::fs::write(&file, bytes).unwrap();
        assert_ne!(run("http://127.0.0.1:9", &arguments).code, 0);
    }
}

/// Flips a bit of an answer to requests for this path.
fn flipped(url: &str, target: &'static str, position: usize) -> Proxy {
    Proxy::to(url, move |path, status, mut body| {
        if path == target && status == 200 {
            let at = position % body.len();
            body[at] ^= 1;
        }
        (status, body)
    })
}

#[test]
fn one_bit_that_a_server_changes_is_found_where_it_is() {
    let (_site, served) = served();
    // 24 bytes into the bundle: the hash of its first leaf.
    let changes: [(&str, usize, &str, Option<u64>); 7] = [
        ("/log/checkpoint", 60, "signature", None),
        (
            "/log/tile/0/001",
            8_191,
            "/log/tile/0/001 is not the tile",
            None,
        ),
        (
            "/log/tile/0/002.p/188",
            0,
            "/log/tile/0/002.p/188 is not the tile",
            None,
        ),
        (
            "/log/tile/1/000.p/2",
            40,
            "/log/tile/1/000.p/2 is not the tile",
            None,
        ),
        (
            "/log/tile/entries/001",
            24,
            "entry 256: /log/tile/entries/001 holds another leaf",
            Some(256),
        ),
        (
            "/log/tile/entries/002.p/188",
            // The length of the last leaf: 51 bytes for each one before.
            187 * 51,
            "entry 699: /log/tile/entries/002.p/188 ends within its leaf",
            Some(699),
        ),
        (
            "/log/payload/77",
            30,
            "entry 77: /log/payload/77 is not the envelope that was signed",
            Some(77),
        ),
    ];
    for (path, position, problem, index) in changes {
        let proxy = flipped(&served.url, path, position);
        let payloads = path.starts_with("/log/payload").then_some("--payloads");
        let (code, report) = served.verify(&proxy.url, payloads.as_slice());
        assert_eq!(code, 1, "{path}: {report}");
        assert!(problem_texts(&report).contains(problem), "{path}: {report}");
        assert_eq!(problem_indices(&report), [index], "{path}: {report}");
    }
}

#[test]
fn what_a_server_leaves_out_or_brings_back_is_named() {
    let (site, served) = served();
    let gone = Proxy::to(&served.url, |path, status, body| match path {
        "/log/tile/0/001" | "/log/payload/5" => (404, Vec::new()),
        // The payload that was erased.
        "/log/payload/300" => (200, b"{}".to_vec()),
        _ => (status, body),
    });
    let (code, report) = served.verify(&gone.url, &["--payloads"]);
    assert_eq!(code, 1, "{report}");
    let problems = problem_texts(&report);
    for problem in [
        "/log/tile/0/001 is not served",
        "entry 5: /log/payload/5 is not served",
        "entry 300: /log/payload/300 is served, although the log has it removed",
    ] {
        assert!(problems.contains(problem), "{problem}: {problems}");
    }
    assert_eq!(report["problem_count"], json!(3), "{report}");

    // The log as it was, honestly signed: only who remembers can tell.
    let state = site.file("state");
    let remembering = ["--state", state.to_str().unwrap()];
    let fetch = |path: &str| {
        let url = format!("{}{path}", served.url);
        let mut answer = ureq::get(url).call().unwrap();
        answer.body_mut().read_to_vec().unwrap()
    };
    let old = fetch("/log/checkpoint");
    let process_url = served.url.clone();
    let token = ["erase", "1", "--reason", "r"];
    // Without tokens nobody may change the served log; the log grows by an entry of its own.
    assert_eq!(run(&process_url, &token).code, 4);
    drop(served);
    let grown =
        fieldledger_ledger::Ledger::open(fieldledger_ledger::Config::new(site.file("ledger")))
            .unwrap();
    grown.erase(1, "another asked", "the data officer").unwrap();
    grown.close();
    let served = Served::folder_of(&site, &["--no-index"]);
    let (code, report) = served.verify(&served.url, &remembering);
    assert_eq!((code, &report["tree_size"]), (0, &json!(701)), "{report}");
    let rolled_back = Proxy::to(&served.url, move |path, status, body| match path {
        "/log/checkpoint" => (status, old.clone()),
        _ => (status, body),
    });
    let (code, report) = served.verify(&rolled_back.url, &remembering);
    assert_eq!(code, 1, "{report}");
    let problems = problem_texts(&report);
    assert!(
        problems.contains("rolled back: it has 700 entries, and 701 had been signed and checked"),
        "{problems}"
    );
    assert_eq!(report["evidence"].as_array().unwrap().len(), 2);
}

#[test]
fn the_end_of_a_log_and_its_archive_are_shown() {
    let mut site = Site::with(5);
    site.stop();
    site.ledger
        .freeze(None, "the plant was closed", "a")
        .unwrap();
    site.ledger.close();
    let archive = format!("file://{}", site.file("archive").display());
    std::fs::create_dir(site.file("archive")).unwrap();
    let served = Served::folder_of(&site, &["--archive", &archive, "--local-segments", "1"]);
    let (_, status) = json(&served.url, &["status"]);
    let ended = status["ended"].as_str().unwrap();
    assert!(
        ended.contains("frozen by entry 5 forever: the plant was closed"),
        "{status}"
    );
    assert_eq!(status["archive"]["segments"], 0, "{status}");
    assert!(status["bytes_on_disk"].as_u64() > Some(0), "{status}");
    assert!(status["bytes_per_day"].is_u64(), "{status}");
    let text = run(&served.url, &["status"]);
    for line in ["ended", "archive", "the plant was closed"] {
        assert!(text.stdout.contains(line), "{text:?}");
    }
    let metrics = ureq::get(format!("{}/metrics", served.url)).call().unwrap();
    let metrics = metrics.into_body().read_to_string().unwrap();
    assert!(
        metrics.contains("fieldledger_ledger_ended 1\n"),
        "{metrics}"
    );
    // What it says is verified as before.
    assert_eq!(served.verify(&served.url, &[]).0, 0);
}

#[test]
fn options_of_a_live_log_are_refused_with_a_file() {
    let refused = run(
        "http://127.0.0.1:9",
        &["verify", "some-file", "--payloads", "-k", "x"],
    );
    assert_eq!(refused.code, 2, "{refused:?}");
}
