//! A witness in front of honest and dishonest logs. Their trees and proofs are ct-merkle's, which
//! shares no code with what the witness verifies with.
#![allow(clippy::unwrap_used)]

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ct_merkle::mem_backed_tree::MemoryBackedTree;
use fieldledger_chance::proptest_config;
use fieldledger_tlog::{EMPTY_HASH, Hash, LogKey};
use fieldledger_witness::{AddCheckpoint, Cosigned, Refusal, Reply, WatchedLogs, judge};
use proptest::prelude::*;
use sha2_oracle::Sha256;

const ORIGIN: &str = "plant.example/ledger";

/// A log whose history has a name, so that two names are two histories.
struct Log {
    key: LogKey,
    history: &'static str,
}

impl Log {
    fn new(history: &'static str) -> Self {
        Self {
            key: LogKey::from_seed(ORIGIN, &[7; 32]).unwrap(),
            history,
        }
    }

    fn tree(&self, size: u64) -> MemoryBackedTree<Sha256, Vec<u8>> {
        let mut tree = MemoryBackedTree::new();
        for index in 0..size {
            tree.push(format!("{} {index}", self.history).into_bytes());
        }
        tree
    }

    fn root(&self, size: u64) -> Hash {
        if size == 0 {
            return EMPTY_HASH;
        }
        let root = self.tree(size).root();
        Hash(root.as_bytes().as_slice().try_into().unwrap())
    }

    fn note(&self, size: u64) -> String {
        self.key.sign(size, self.root(size)).unwrap()
    }

    fn proof(&self, old: u64, new: u64) -> Vec<String> {
        if old == 0 || old >= new {
            return Vec::new();
        }
        let added = usize::try_from(new - old).unwrap();
        let proof = self.tree(new).prove_consistency(added);
        let hashes = proof.as_bytes().chunks(32);
        hashes.map(|hash| BASE64_STANDARD.encode(hash)).collect()
    }

    fn request(&self, old: u64, new: u64) -> String {
        AddCheckpoint::body(old, &self.proof(old, new), &self.note(new))
    }

    fn watched(&self) -> WatchedLogs {
        WatchedLogs::parse(&format!("logs/v0\nvkey {}\n", self.key.verifier_key())).unwrap()
    }
}

fn ask(body: &str, cosigned: Cosigned) -> Result<Cosigned, Refusal> {
    let request = AddCheckpoint::parse(body.as_bytes())?;
    judge(&request, &Log::new("a").watched(), cosigned)
}

fn at(log: &Log, size: u64) -> Cosigned {
    Cosigned {
        size,
        root: log.root(size),
    }
}

#[test]
fn a_log_that_only_grows_is_cosigned() {
    let log = Log::new("a");
    for old in 0..20 {
        for new in old..20 {
            let cosigned = ask(&log.request(old, new), at(&log, old));
            assert_eq!(cosigned, Ok(at(&log, new)), "{old} to {new}");
        }
    }
}

#[test]
fn another_history_is_refused_at_every_size() {
    let (honest, other) = (Log::new("a"), Log::new("b"));
    for old in 1..16 {
        for new in old..16 {
            let refusal = ask(&other.request(old, new), at(&honest, old)).unwrap_err();
            assert_eq!(refusal.status(), 422, "{old} to {new}");
            assert_eq!(refusal == Refusal::Forked { size: new }, old == new);
        }
    }
}

#[test]
fn each_status_has_its_reason() {
    let log = Log::new("a");
    let status = |body: &str, cosigned| {
        ask(body, cosigned).map_or_else(|refusal| Reply::from(&refusal).status, |_| 200)
    };
    let three = at(&log, 3);
    assert_eq!(status("nonsense", three), 400);
    assert_eq!(status(&log.request(5, 4), three), 400);
    assert_eq!(status(&log.request(2, 8), three), 409);
    assert_eq!(status(&log.request(0, 8), three), 409);
    assert_eq!(status(&log.request(3, 8), Cosigned::NOTHING), 409);

    let stranger = log.note(3).replacen(ORIGIN, "another.example", 1);
    assert_eq!(status(&AddCheckpoint::body(3, &[], &stranger), three), 404);

    let thief = LogKey::from_seed(ORIGIN, &[8; 32]).unwrap();
    let stolen = thief.sign(3, log.root(3)).unwrap();
    assert_eq!(status(&AddCheckpoint::body(3, &[], &stolen), three), 403);
    let changed = log.note(3).replacen("\n3\n", "\n4\n", 1);
    assert_eq!(status(&AddCheckpoint::body(3, &[], &changed), three), 403);

    let long = AddCheckpoint::body(0, &log.proof(3, 8), &log.note(8));
    assert_eq!(status(&long, Cosigned::NOTHING), 422);
    let short = AddCheckpoint::body(3, &log.proof(3, 8)[1..], &log.note(8));
    assert_eq!(status(&short, three), 422);
    let idle = AddCheckpoint::body(3, &log.proof(2, 3), &log.note(3));
    assert_eq!(status(&idle, three), 422);
}

#[test]
fn an_empty_tree_has_one_root() {
    let log = Log::new("a");
    assert_eq!(ask(&log.request(0, 0), Cosigned::NOTHING), Ok(at(&log, 0)));
    let note = log.key.sign(0, Hash([1; 32])).unwrap();
    let refusal = ask(&AddCheckpoint::body(0, &[], &note), Cosigned::NOTHING).unwrap_err();
    assert_eq!(refusal.status(), 422);
}

#[test]
fn a_conflict_carries_the_size_as_the_specification_has_it() {
    let log = Log::new("a");
    let refusal = ask(&log.request(2, 8), at(&log, 3)).unwrap_err();
    let reply = Reply::from(&refusal);
    assert_eq!(reply.status, 409);
    assert_eq!(reply.content_type, "text/x.tlog.size");
    assert_eq!(reply.body, "3\n");
}

#[test]
fn either_key_of_a_log_that_changes_keys_will_do() {
    let log = Log::new("a");
    let next = LogKey::from_seed(ORIGIN, &[8; 32]).unwrap();
    let list = format!(
        "logs/v0\nvkey {}\nvkey {}\n",
        log.key.verifier_key(),
        next.verifier_key()
    );
    let watched = WatchedLogs::parse(&list).unwrap();
    for note in [log.note(3), next.sign(3, log.root(3)).unwrap()] {
        let body = AddCheckpoint::body(0, &[], &note);
        let request = AddCheckpoint::parse(body.as_bytes()).unwrap();
        assert!(judge(&request, &watched, Cosigned::NOTHING).is_ok());
    }
}

proptest! {
    #![proptest_config(proptest_config())]

    /// Whatever is sent, in whatever order: all that was cosigned is one history.
    #[test]
    fn what_is_cosigned_is_one_history(
        asked in prop::collection::vec((0_u64..12, 0_u64..12, any::<bool>(), any::<bool>()), 0..40),
    ) {
        let logs = [Log::new("a"), Log::new("b")];
        let mut cosigned = Cosigned::NOTHING;
        let mut history: Option<usize> = None;
        for (old, new, which, well_informed) in asked {
            let log = &logs[usize::from(which)];
            let old = if well_informed { cosigned.size } else { old };
            if let Ok(next) = ask(&log.request(old, new), cosigned) {
                prop_assert!(next.size >= cosigned.size);
                prop_assert_eq!(next, at(log, next.size));
                if next.size > 0 {
                    prop_assert_eq!(*history.get_or_insert(usize::from(which)), usize::from(which));
                }
                cosigned = next;
            }
        }
    }
}
