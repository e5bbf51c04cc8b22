//! With `witness-log`, an implementation of tlog-witness by others, unmodified from crates.io: it
//! cosigns our log and refuses its fork, and we cosign its log and refuse that one's fork.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use common::{Site, append, config, eventually, fork_of, ledger};
use fieldledger_cosigning::{Behaviour, Collector};
use fieldledger_ledger::Ledger;
use fieldledger_site::find_witness_log;
use fieldledger_verifier as verifier;
use fieldledger_witness::WatchedLogs;

fn witness_log() -> Command {
    Command::new(find_witness_log().unwrap_or_else(|missing| panic!("{missing}")))
}

/// What the command prints to standard output; it must succeed.
fn output(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

/// The value of a key in a line of JSON with strings only.
fn field(json: &str, key: &str) -> String {
    let start = json.find(&format!("\"{key}\":\"")).unwrap() + key.len() + 4;
    let end = json[start..].find('"').unwrap();
    json[start..start + end].to_owned()
}

/// The program as a witness of one log, on a free port.
struct Foreign {
    process: Child,
    key: String,
    url: String,
}

impl Drop for Foreign {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Foreign {
    fn start(folder: &Path, ledger: &Ledger) -> Self {
        let name = "foreign.example/w";
        let mut init = witness_log();
        init.args(["witness", "init"]).arg(folder);
        let made = output(init.args(["--name", name, "--org", "others", "--json"]));
        let log = ledger.checkpoint();
        let mut add = witness_log();
        add.args(["witness", "add-log"]).arg(folder);
        output(add.args([&log.origin, &log.verifier_key]));
        let mut serve = witness_log();
        serve.args(["witness", "serve"]).arg(folder);
        serve
            .args(["--listen", "127.0.0.1:0"])
            .stderr(Stdio::piped());
        let mut process = serve.spawn().unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let url = loop {
            let line = lines.next().expect("it says where it listens").unwrap();
            if let Some((_, rest)) = line.split_once("listening on ") {
                break rest.split(' ').next().unwrap().to_owned();
            }
        };
        // Keeps the pipe empty, for what it says later.
        std::thread::spawn(move || lines.for_each(drop));
        Self {
            process,
            key: field(&made, "vkey"),
            url,
        }
    }

    fn policy(&self) -> String {
        format!(
            "witness foreign {} {}\nquorum foreign\n",
            self.key, self.url
        )
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_cosigns_our_log_and_refuses_its_fork() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("log");
    let honest = ledger(&home);
    append(&honest, &["a", "b", "c"]);
    let foreign = Foreign::start(&folder.path().join("witness"), &honest);
    let policy = foreign.policy();
    let collect = |ledger: &Ledger, folder: &Path| {
        Collector::start(ledger.clone(), config(&policy, Behaviour::Hold, folder)).unwrap()
    };
    let collector = collect(&honest, &home);
    for _ in 0..3 {
        append(&honest, &["more", "and more"]);
        let size = honest.checkpoint().tree_size;
        let witnessed = || collector.status().witnessed_size == Some(size);
        eventually("cosigned", witnessed).await;
        let published = collector.published().unwrap();
        let judgement = verifier::policy::Policy::parse(&policy).unwrap();
        let judgement = judgement.judge(&published.note).unwrap();
        assert!(judgement.satisfied && judgement.cosigned.len() == 1);
        // It reads what we publish as well: our signature and its own.
        let note = folder.path().join("note");
        fs::write(&note, &published.note).unwrap();
        let mut verify = witness_log();
        verify.args(["c2sp", "verify"]).arg(&note);
        verify.args(["--vkey", &published.verifier_key, "--vkey", &foreign.key]);
        output(&mut verify);
    }
    // A collector without memory is put right by its 409.
    drop(collector);
    fs::remove_dir_all(home.join("witnessed")).unwrap();
    let collector = collect(&honest, &home);
    append(&honest, &["once more"]);
    let size = honest.checkpoint().tree_size;
    eventually("cosigned", || {
        collector.status().witnessed_size == Some(size)
    })
    .await;
    drop(collector);

    let fork_home = folder.path().join("fork");
    let fork = fork_of(&home, &fork_home);
    let entries: Vec<String> = (0..size + 2).map(|number| format!("x{number}")).collect();
    append(
        &fork,
        &entries.iter().map(String::as_str).collect::<Vec<_>>(),
    );
    let collector = collect(&fork, &fork_home);
    eventually("refused", || collector.status().witnesses[0].refuses).await;
    let status = collector.status();
    assert_eq!(status.witnessed_size, None);
    let said = &status.witnesses[0].last_error;
    assert!(said.contains("does not continue"), "{said}");
}

/// A log of theirs.
struct Journal {
    path: PathBuf,
    identity: String,
}

impl Journal {
    fn new(path: PathBuf) -> Self {
        let made = output(witness_log().args(["log", "init"]).arg(&path));
        Self {
            path,
            identity: field(&made, "identity"),
        }
    }

    fn append(&self, payload: &str) {
        let mut append = witness_log();
        append.args(["log", "append"]).arg(&self.path);
        output(append.args(["--memory", payload]));
    }

    /// Has us cosign it, and returns what it says of us.
    fn submit(&self, directory: &Path, folder: &Path) -> (Option<i32>, String) {
        let mut submit = witness_log();
        submit.args(["witness", "submit"]).arg(&self.path);
        submit.arg("--directory").arg(directory);
        submit.arg("--out").arg(folder.join("dossier.json"));
        submit.arg("--state").arg(folder.join("state.json"));
        let output = submit.args(["--min", "1"]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code(), said)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn we_cosign_its_log_and_refuse_its_fork() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::new(folder.path().join("journal.jsonl"));
    let public = hex::decode(&journal.identity).unwrap();
    // Its logs are called so, and that is the name of their key.
    let origin = format!("witness-log/{}", journal.identity);
    let log_key = log_key(&origin, &public);
    let list = format!("logs/v0\nvkey {log_key}\n");
    let site = Site::new("ours.example/w", WatchedLogs::parse(&list).unwrap()).await;
    let key = verifier_bytes(&site.key());
    let directory = folder.path().join("directory.json");
    let entry = format!(
        r#"{{"witnesses":[{{"name":"ours.example/w","operator_org":"us","url":"{}","pubkey":"{}","runtime":"human","is_project_operated":false,"compute_provider":null}}]}}"#,
        site.url,
        hex::encode(key)
    );
    fs::write(&directory, entry).unwrap();

    journal.append("one");
    let before = fs::read(&journal.path).unwrap();
    let salts = journal.path.with_added_extension("salts");
    let salts_before = fs::read(&salts).unwrap();
    for payload in ["two", "three"] {
        journal.append(payload);
        let (code, said) = journal.submit(&directory, folder.path());
        assert_eq!(code, Some(0), "{said}");
        assert!(said.contains("1/1 witnesses cosigned"), "{said}");
    }
    let size = site.witness.status().logs[0].size;
    assert!(size >= 3, "{size}");

    // Back to the first entry, and on with another story.
    fs::write(&journal.path, before).unwrap();
    fs::write(&salts, salts_before).unwrap();
    fs::remove_file(folder.path().join("state.json")).unwrap();
    for payload in ["zwei", "drei", "vier"] {
        journal.append(payload);
    }
    let (code, said) = journal.submit(&directory, folder.path());
    assert_eq!(code, Some(20), "{said}");
    assert!(said.contains("422"), "{said}");
    let status = site.witness.status();
    assert_eq!(status.logs[0].size, size);
    assert!(status.logs[0].refused > 0);
}

/// `name+id+key` of an Ed25519 key.
fn log_key(name: &str, public: &[u8]) -> String {
    use base64::Engine as _;
    use sha2::Digest as _;
    let typed = [&[1], public].concat();
    let id = sha2::Sha256::digest([name.as_bytes(), b"\n", &typed].concat());
    let key = base64::prelude::BASE64_STANDARD.encode(&typed);
    format!("{name}+{}+{key}", hex::encode(&id[..4]))
}

/// The 32 bytes of a witness's verifier key.
fn verifier_bytes(vkey: &str) -> [u8; 32] {
    *fieldledger_witness::WitnessKey::parse(vkey)
        .unwrap()
        .public()
}
