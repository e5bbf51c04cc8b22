//! `verify --policy`: whether enough witnesses have cosigned.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use fieldledger_cosigning::{Cosigning, CosigningSettings};
use fieldledger_standalone::OverLedger;
use serde_json::{Value, json};

use crate::site::{Site, problem_texts, run};

/// A site whose checkpoints two others cosign, while a third witness of its policy does not exist.
struct Witnessed {
    site: Site,
    cosigning: Arc<Cosigning>,
    /// `witness` lines of the policy: `north` and `south` cosign, `nobody` does not.
    lines: String,
    _witnesses: [Site; 2],
}

fn settings(pairs: &[(&str, &str)]) -> CosigningSettings {
    let pairs = pairs.iter();
    let pairs: HashMap<String, String> = pairs
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let mut settings = CosigningSettings::read(&pairs).unwrap();
    settings.pace.interval = Duration::from_millis(20);
    settings.pace.first_pause = Duration::from_millis(50);
    settings.pace.longest_pause = Duration::from_millis(200);
    settings
}

/// Serves the site again, with witnesses.
fn with_cosigning(site: &mut Site, folder: &Path, settings: CosigningSettings) -> Arc<Cosigning> {
    let _in_runtime = site.runtime.enter();
    let cosigning = Cosigning::start(&site.ledger, folder, settings).unwrap();
    let cosigning = Arc::new(cosigning);
    let served = OverLedger::new(site.ledger.clone()).with_cosigning(Arc::clone(&cosigning));
    let address = site.stop();
    site.serve_with(served, address);
    cosigning
}

/// A witness of the log with this key, and its key.
fn witness(name: &str, log: &str) -> (Site, String) {
    let mut site = Site::with(0);
    let folder = site.file("witness");
    let settings = settings(&[
        ("witness_name", name),
        ("witness_dir", folder.to_str().unwrap()),
        ("witness_logs", &format!("logs/v0\nvkey {log}\n")),
    ]);
    let cosigning = with_cosigning(&mut site, &folder, settings);
    let key = cosigning.witness_status().unwrap().key;
    (site, key)
}

impl Witnessed {
    /// A log of this many entries, cosigned in the end.
    fn with(entries: u64) -> Self {
        let mut site = Site::with(entries);
        let (north, north_key) = witness("north.example/witness", &site.key());
        let (south, south_key) = witness("south.example/witness", &site.key());
        let (_, nobodys_key) = witness("nobody.example/witness", &site.key());
        let asked = format!(
            "witness north {north_key} {}/witness\nwitness south {south_key} {}/witness\n",
            north.url(),
            south.url()
        );
        let lines = format!("{asked}witness nobody {nobodys_key}\n");
        let policy = format!("{asked}group both all north south\nquorum both\n");
        let settings = settings(&[("witness_policy", &policy), ("witness_behaviour", "hold")]);
        let folder = site.file("ledger");
        let cosigning = with_cosigning(&mut site, &folder, settings);
        let witnessed = Self {
            site,
            cosigning,
            lines,
            _witnesses: [north, south],
        };
        witnessed.wait();
        witnessed
    }

    /// Waits until the newest tree is cosigned.
    fn wait(&self) {
        let started = Instant::now();
        let size = self.site.ledger.checkpoint().tree_size;
        while self.cosigning.collector_status().unwrap().witnessed_size != Some(size) {
            assert!(started.elapsed() < Duration::from_secs(120));
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// A policy file of these lines after those of the witnesses.
    fn policy(&self, name: &str, more: &str) -> PathBuf {
        let path = self.site.file(name);
        fs::write(&path, format!("{}{more}", self.lines)).unwrap();
        path
    }

    fn fetch(&self, path: &str, name: &str) -> PathBuf {
        let url = format!("{}{path}", self.site.url());
        let text = ureq::get(url).call().unwrap().body_mut().read_to_string();
        let file = self.site.file(name);
        fs::write(&file, text.unwrap()).unwrap();
        file
    }

    /// `verify` of a file, or of the live log, by this policy and the log's key.
    fn verify(&self, file: Option<&Path>, policy: &Path) -> (i32, Value) {
        let key = self.site.key();
        let mut arguments = vec![
            "verify",
            "--key",
            &key,
            "--policy",
            policy.to_str().unwrap(),
        ];
        arguments.extend(file.map(|file| file.to_str().unwrap()));
        self.site.json(&arguments)
    }
}

fn names(witnesses: &Value) -> Vec<&str> {
    let cosigned = witnesses["cosigned"].as_array().unwrap().iter();
    cosigned
        .map(|cosigned| cosigned["witness"].as_str().unwrap())
        .collect()
}

#[test]
fn a_bundle_an_export_and_a_live_log_are_held_against_a_policy() {
    let witnessed = Witnessed::with(40);
    let met = witnessed.policy("met", "group g 2 north south nobody\nquorum g\n");
    let unmet = witnessed.policy("unmet", "group g all north south nobody\nquorum g\n");
    let bundle = witnessed.fetch("/api/proof/7/bundle", "bundle");
    let export = witnessed.site.file("log.jsonl");
    let exported = ["export", "--output", export.to_str().unwrap()];
    assert_eq!(witnessed.site.run(&exported).code, 0);

    for file in [Some(&*bundle), Some(&*export), None] {
        let (code, report) = witnessed.verify(file, &met);
        assert_eq!(code, 0, "{file:?}: {report}");
        let witnesses = &report["witnesses"];
        assert_eq!(witnesses["satisfied"], true, "{report}");
        assert_eq!(names(witnesses), ["north", "south"]);
        assert_eq!(witnesses["missing"], json!(["nobody"]));
        assert_eq!(
            (&witnesses["needed"], &witnesses["met"]),
            (&json!(2), &json!(2))
        );
        assert!(witnesses["cosigned"][0]["time"].as_u64() > Some(1_700_000_000));

        let (code, report) = witnessed.verify(file, &unmet);
        assert_eq!(code, 1, "{file:?}: {report}");
        assert_eq!(report["witnesses"]["satisfied"], false);
        assert_eq!(
            (&report["witnesses"]["needed"], &report["witnesses"]["met"]),
            (&json!(3), &json!(2))
        );
        let problem = problem_texts(&report);
        assert!(
            problem.contains("2 of 3 needed of north, south, nobody; no cosignature from nobody"),
            "{problem}"
        );
    }

    let text = witnessed.site.run(&[
        "verify",
        bundle.to_str().unwrap(),
        "-k",
        &witnessed.site.key(),
        "--policy",
        met.to_str().unwrap(),
    ]);
    assert_eq!(text.code, 0, "{text:?}");
    assert!(
        text.stdout
            .contains("witnesses: 2 of 2 needed of north, south, nobody"),
        "{text:?}"
    );
    assert!(text.stdout.contains("north cosigned at 20"), "{text:?}");
    assert!(text.stdout.contains("nobody has not cosigned"), "{text:?}");
}

#[test]
fn a_cosignature_that_does_not_hold_or_is_cut_off_is_no_cosignature() {
    let witnessed = Witnessed::with(3);
    let both = witnessed.policy("both", "group g all north south\nquorum g\n");
    let bundle = witnessed.fetch("/api/proof/1/bundle", "bundle");
    assert_eq!(witnessed.verify(Some(&bundle), &both).0, 0);
    let honest = fs::read_to_string(&bundle).unwrap();
    let line = honest
        .lines()
        .find(|line| line.contains("south.example"))
        .unwrap();

    fs::write(&bundle, honest.replace(&format!("{line}\n"), "")).unwrap();
    let (code, report) = witnessed.verify(Some(&bundle), &both);
    assert_eq!(code, 1, "{report}");
    assert_eq!(report["witnesses"]["missing"], json!(["south", "nobody"]));

    // The last characters are of the signature itself.
    let changed = match line.strip_suffix("AA==") {
        Some(start) => format!("{start}BA=="),
        None => format!("{}AA==", &line[..line.len() - 4]),
    };
    fs::write(&bundle, honest.replace(line, &changed)).unwrap();
    let (code, report) = witnessed.verify(Some(&bundle), &both);
    assert_eq!(code, 1, "{report}");
    let problem = problem_texts(&report);
    assert!(
        problem.contains("south.example/witness does not fit"),
        "{problem}"
    );
}

#[test]
fn a_policy_that_lists_logs_has_their_keys() {
    let witnessed = Witnessed::with(2);
    let own = format!("log {}\nquorum north\n", witnessed.site.key());
    let own = witnessed.policy("own", &own);
    let bundle = witnessed.fetch("/api/proof/0/bundle", "bundle");
    let (bundle, own) = (bundle.to_str().unwrap(), own.to_str().unwrap());
    let (code, report) = witnessed.site.json(&["verify", bundle, "--policy", own]);
    assert_eq!(code, 0, "{report}");

    let another = format!("log {}\nquorum north\n", Site::with(0).key());
    let another = witnessed.policy("another", &another);
    let (code, report) = witnessed.verify(Some(Path::new(bundle)), &another);
    assert_eq!(code, 1, "{report}");
    let problem = problem_texts(&report);
    assert!(
        problem.contains("the policy is not about this log"),
        "{problem}"
    );

    let bad = witnessed.policy("bad", "quorum everybody\n");
    for (policy, problem) in [
        (bad.to_str().unwrap(), "line 4: everybody"),
        ("/nowhere", "/nowhere"),
    ] {
        let refused = run(
            "http://127.0.0.1:9",
            &["verify", bundle, "--policy", policy],
        );
        assert_eq!(refused.code, 2, "{refused:?}");
        assert!(refused.stderr.contains(problem), "{refused:?}");
    }
    // Without a key anywhere nothing can be believed, whoever has cosigned.
    let keyless = witnessed.policy("keyless", "quorum north\n");
    let refused = witnessed
        .site
        .run(&["verify", bundle, "--policy", keyless.to_str().unwrap()]);
    assert_eq!(refused.code, 2, "{refused:?}");
}

#[test]
fn an_export_ends_with_what_is_witnessed_and_is_gone_on_with() {
    let mut witnessed = Witnessed::with(10);
    let both = witnessed.policy("both", "group g all north south\nquorum g\n");
    // The witnesses are asked no more, as if they were out of reach.
    witnessed.cosigning.stop();
    witnessed.site.append(10, 15);
    let export = witnessed.site.file("log.jsonl");
    let arguments = ["export", "--resume", "--output", export.to_str().unwrap()];
    let exported = witnessed.site.run(&arguments);
    assert_eq!(exported.code, 0, "{exported:?}");
    assert!(
        exported.stderr.contains("5 later ones are left out"),
        "{exported:?}"
    );
    let (code, report) = witnessed.verify(Some(&export), &both);
    assert_eq!((code, &report["entries"]), (0, &json!(10)), "{report}");

    // They are back, and the rest follows.
    let policy = format!("{}group g all north south\nquorum g\n", witnessed.lines);
    let settings = settings(&[("witness_policy", &policy), ("witness_behaviour", "hold")]);
    let folder = witnessed.site.file("ledger");
    witnessed.cosigning = with_cosigning(&mut witnessed.site, &folder, settings);
    witnessed.wait();
    assert_eq!(witnessed.site.run(&arguments).code, 0);
    let (code, report) = witnessed.verify(Some(&export), &both);
    assert_eq!((code, &report["entries"]), (0, &json!(15)), "{report}");
}
