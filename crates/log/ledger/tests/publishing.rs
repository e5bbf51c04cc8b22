//! Roots of Pangea's trees: when they are published, what they cover, and that a start finds them
//! again whatever is left of their files. Hashes are computed here from the entries alone.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use common::{config, numbered};
use fieldledger_ledger::{
    Config, EventColumns, Ledger, PangeaPage, PangeaRoot, Publication, QueryError, Written,
};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// Generous: the machines are shared, and a test that passes never waits so long.
const PATIENCE: Duration = Duration::from_secs(60);

/// Roots come by count alone.
fn by_count(folder: &Path, entries: u64) -> Config {
    let mut config = config(folder);
    config.publication = Some(Publication {
        interval_ms: 3_600_000,
        entries,
    });
    config
}

fn append(ledger: &Ledger, events: EventColumns) -> Written {
    common::append(ledger, events).unwrap()
}

fn until_root(ledger: &Ledger, size: u64) -> PangeaRoot {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match ledger.pangea_root(Some(size)) {
            Ok(root) => return root,
            Err(QueryError::NotFound(problem)) => {
                assert!(Instant::now() < deadline, "waited {PATIENCE:?}: {problem}");
                std::thread::sleep(Duration::from_millis(5));
            }
            Err(error) => panic!("{error}"),
        }
    }
}

type Bytes = Vec<u8>;

fn pair(left: &[u8], right: &[u8]) -> Bytes {
    Sha256::digest([left, right].concat()).to_vec()
}

/// RFC 6962's shape, without its prefixes.
fn root_of(leaves: &[Bytes]) -> Bytes {
    match leaves {
        [] => Sha256::digest([]).to_vec(),
        [leaf] => leaf.clone(),
        leaves => {
            let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
            pair(&root_of(left), &root_of(right))
        }
    }
}

fn follow(leaf: &str, path: &str) -> String {
    let steps = path.split(',').filter(|step| !step.is_empty());
    let end = steps.fold(unhex(leaf), |hash, step| {
        let other = unhex(&step[2..]);
        if step.starts_with("l:") {
            pair(&other, &hash)
        } else {
            pair(&hash, &other)
        }
    });
    hex(&end)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Bytes {
    let digit = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(digit).collect()
}

/// Reads all entries, makes both trees of them, and holds every root and proof against these.
/// Returns the roots.
fn check_all(ledger: &Ledger) -> Vec<PangeaRoot> {
    let size = ledger.checkpoint().tree_size;
    let mut page = ledger
        .pangea_entries(0, size.min(1_000), None, true)
        .unwrap();
    assert!(size <= 1_000, "this reads one page");
    let root = page.root.take();
    let hashes: Vec<Bytes> = page
        .events
        .iter()
        .map(|event| Sha256::digest(&event.envelope).to_vec())
        .collect();
    let mut roots = Vec::new();
    let mut cold: Vec<Bytes> = Vec::new();
    let mut end = 0;
    for event in &page.events {
        let envelope: Value = serde_json::from_str(&event.envelope).unwrap();
        if envelope["producer"] != "ledger/root" {
            continue;
        }
        let told: Value =
            serde_json::from_str(envelope["event"]["message"].as_str().unwrap()).unwrap();
        assert_eq!(envelope["sequence"], told["size"]);
        if told["size"] == 0 {
            continue;
        }
        let first = told["first"].as_u64().unwrap();
        let count = told["count"].as_u64().unwrap();
        assert_eq!((first, true), (end, count >= 2));
        end = first + count;
        assert!(end <= event.index, "root {told} covers its own entry");
        let covered = &hashes[usize::try_from(first).unwrap()..usize::try_from(end).unwrap()];
        let earlier_root = root_of(&cold);
        cold.push(root_of(covered));
        let found = ledger.pangea_root(Some(cold.len() as u64)).unwrap();
        assert_eq!(found.root_hash, hex(&root_of(&cold)));
        assert_eq!(told["root_hash"], found.root_hash);
        assert_eq!(told["tree_name"], found.tree_name);
        assert_eq!(found.size, cold.len() as u64);
        let mut folded: Option<Bytes> = None;
        for item in &found.consistency_proof {
            let (node, path) = item.split_once(',').unwrap();
            let node = node.strip_prefix("x:").unwrap();
            assert_eq!(follow(node, path), found.root_hash);
            folded = Some(match folded {
                None => unhex(node),
                Some(hash) => pair(&unhex(node), &hash),
            });
        }
        if cold.len() > 1 {
            assert_eq!(folded, Some(earlier_root));
        }
        roots.push(found);
    }
    assert_eq!(root.as_ref(), roots.last());
    let unpublished = &hashes[usize::try_from(end).unwrap()..];
    let unpublished_root = page.unpublished_root.take();
    assert_eq!(unpublished_root.is_some(), !unpublished.is_empty());
    if let Some(root) = &unpublished_root {
        assert_eq!(
            (root.size, root.published_at),
            (unpublished.len() as u64, None)
        );
        assert_eq!(root.root_hash, hex(&root_of(unpublished)));
    }
    for (event, hash) in page.events.iter().zip(&hashes) {
        assert_eq!(event.hash, hex(hash));
        let leads_to = if event.index < end {
            assert!(event.leaf_index.is_some());
            &root
        } else {
            assert_eq!(event.leaf_index, None);
            &unpublished_root
        };
        let path = event.membership_proof.as_ref().unwrap();
        let expected = &leads_to.as_ref().unwrap().root_hash;
        assert_eq!(
            &follow(&event.hash, path),
            expected,
            "entry {}",
            event.index
        );
    }
    roots
}

#[test]
fn every_entry_is_proven_before_and_after_it_is_published() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(by_count(folder.path(), 5)).unwrap();
    check_all(&ledger);
    append(&ledger, numbered("p", 0, 3));
    assert!(check_all(&ledger).is_empty());
    append(&ledger, numbered("p", 3, 40));
    // Five to a root. What is left are entries of roots alone, which make no further one due.
    until_root(&ledger, 8);
    let roots = check_all(&ledger);
    assert_eq!(roots.len(), 8);
    for pair in roots.windows(2) {
        assert!(pair[0].published_at <= pair[1].published_at);
    }
    ledger.close();
}

#[test]
fn a_lone_event_gets_a_neighbour_and_a_log_at_rest_stays_so() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path());
    config.publication = Some(Publication {
        interval_ms: 1,
        entries: 1_000,
    });
    let ledger = Ledger::open(config).unwrap();
    append(&ledger, numbered("p", 0, 1));
    // The event, the entry that the tree begins, the entry of the root.
    until_root(&ledger, 1);
    assert_eq!(ledger.checkpoint().tree_size, 3);
    append(&ledger, numbered("p", 1, 2));
    // The newest root's entry, and the event: had anything been published meanwhile, it would be
    // another root.
    until_root(&ledger, 2);
    assert_eq!(ledger.checkpoint().tree_size, 5);
    let last = ledger.pangea_entries(2, 4, None, true).unwrap();
    assert!(last.events.iter().all(|event| event.leaf_index == Some(1)));
    check_all(&ledger);
    ledger.close();
}

#[test]
fn a_start_finds_the_roots_whatever_is_left_of_their_files() {
    let folder = tempfile::tempdir().unwrap();
    let reopen = || Ledger::open(by_count(folder.path(), 4)).unwrap();
    let files = folder.path().join("pangea");
    let ledger = reopen();
    append(&ledger, numbered("p", 0, 4));
    until_root(&ledger, 1);
    ledger.close();
    drop(ledger);
    let early = fs::read(files.join("roots")).unwrap();

    let ledger = reopen();
    append(&ledger, numbered("p", 4, 21));
    until_root(&ledger, 6);
    ledger.close();
    let roots = check_all(&ledger);
    drop(ledger);

    let whole = fs::read(files.join("roots")).unwrap();
    let mut another = whole.clone();
    // In the hash of the last root.
    let end = another.len() - 1;
    another[end] ^= 1;
    let damages: [(&str, Option<&[u8]>); 6] = [
        ("none", Some(&whole)),
        ("an older file", Some(&early)),
        ("a torn file", Some(&whole[..whole.len() - 30])),
        ("another hash", Some(&another)),
        ("an empty file", Some(&[])),
        ("no file", None),
    ];
    for (damage, bytes) in damages {
        match bytes {
            Some(bytes) => fs::write(files.join("roots"), bytes).unwrap(),
            None => fs::remove_dir_all(&files).unwrap(),
        }
        let ledger = reopen();
        let found = check_all(&ledger);
        assert_eq!(found[..roots.len()], roots, "after {damage}");
        ledger.close();
    }
    fs::write(files.join("nodes"), [1; 64]).unwrap();
    let ledger = reopen();
    assert_eq!(check_all(&ledger)[..roots.len()], roots);
    ledger.close();
}

#[test]
fn a_hot_tree_continues_what_a_client_knows_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(by_count(folder.path(), 10)).unwrap();
    let log = |sequence: u64, previous: Option<&str>| {
        let written = append(&ledger, numbered("p", sequence, sequence + 1));
        let index = written.indices[0].unwrap();
        ledger.pangea_logged(&[index], previous).unwrap().remove(0)
    };
    let mut known = log(0, None).unpublished_root;
    for sequence in 1..6 {
        let logged = log(sequence, Some(&known));
        let path = logged.event.membership_proof.unwrap();
        assert_eq!(follow(&logged.event.hash, &path), logged.unpublished_root);
        let proof = logged
            .consistency_proof
            .expect("the client knows a root of this tree");
        for item in &proof {
            let (node, path) = item.split_once(',').unwrap();
            assert_eq!(follow(&node[2..], path), logged.unpublished_root);
        }
        known = logged.unpublished_root;
    }
    let unknown = "00".repeat(32);
    assert_eq!(log(6, Some(&unknown)).consistency_proof, None);
    // Once it is published there is another hot tree, which continues nothing.
    append(&ledger, numbered("p", 7, 10));
    until_root(&ledger, 1);
    assert_eq!(log(10, Some(&known)).consistency_proof, None);
    // What was published meanwhile is proven in the tree it was in.
    let earlier = ledger.pangea_logged(&[3], Some(&known)).unwrap().remove(0);
    let path = earlier.event.membership_proof.unwrap();
    assert_eq!(follow(&earlier.event.hash, &path), earlier.unpublished_root);
    for bad in ["", "xyz", &"0".repeat(63)] {
        let refused = ledger.pangea_logged(&[0], Some(bad));
        assert!(matches!(refused, Err(QueryError::Invalid(_))));
    }
    let beyond = ledger.pangea_logged(&[1_000], None);
    assert!(matches!(beyond, Err(QueryError::NotFound(_))));
    ledger.close();
}

#[test]
fn the_pages_of_a_result_keep_to_its_root() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(by_count(folder.path(), 4)).unwrap();
    append(&ledger, numbered("p", 0, 12));
    until_root(&ledger, 3);
    let mut query = common::query("");
    query.verbose = true;
    query.limit = 2;
    let first: PangeaPage = ledger.pangea_search(&query).unwrap();
    append(&ledger, numbered("p", 12, 30));
    until_root(&ledger, first.root.as_ref().unwrap().size + 3);
    let page = |offset| ledger.pangea_page(&first.id, offset, 2, None).unwrap();
    let second = page(2);
    assert_eq!((second.count, &second.root), (first.count, &first.root));
    assert_eq!(second.id, first.id);
    for event in first.events.iter().chain(&second.events) {
        let path = event.membership_proof.as_ref().unwrap();
        let root = &first.root.as_ref().unwrap().root_hash;
        assert_eq!(&follow(&event.hash, path), root);
    }
    let beyond = u32::try_from(first.count + 1).unwrap();
    let refused = ledger.pangea_page(&first.id, beyond, 2, None).unwrap_err();
    assert!(matches!(refused, QueryError::Invalid(fields) if fields[0].field == "offset"));
    for id in ["", "pas_", "pas_v1", "pas_vx.y", &first.id[1..], "pas_v1.x"] {
        let refused = ledger.pangea_page(id, 0, 2, None).unwrap_err();
        assert!(matches!(refused, QueryError::Invalid(_)), "{id}");
    }
    ledger.close();
}
