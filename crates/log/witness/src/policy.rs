//! Which witnesses are enough: policies as C2SP tlog-policy writes them.
//!
//! ```text
//! log plant.example/ledger+…
//!
//! witness north one.example/w+… https://one.example/witness
//! witness south two.example/w+… https://two.example/witness
//! group sites any north south
//! quorum sites
//! ```

use std::collections::{BTreeMap, BTreeSet};

use signed_note::Verifier;

use crate::checkpoint::{SignatureError, SignedCheckpoint};
use crate::cosignature::{Cosignature, WitnessKey};
use crate::vkey::LogKey;

/// Most logs, witnesses or groups of one policy.
const MOST: usize = 256;

/// Why a policy cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the policy: {problem}")]
pub struct PolicyError {
    /// Counted from 1; the last one for something that is missing.
    pub line: usize,
    /// What is wrong, and what would be right.
    pub problem: String,
}

/// A log whose checkpoints a policy accepts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyLog {
    /// Its key; the key's name is the log's origin.
    pub key: LogKey,
    /// Where it is.
    pub url: Option<String>,
}

/// A witness that a policy knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyWitness {
    /// What the policy calls it.
    pub name: String,
    /// Its key.
    pub key: WitnessKey,
    /// Where it takes checkpoints: what comes before `/add-checkpoint`.
    pub url: Option<String>,
}

/// Something that has witnessed a checkpoint, or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Member {
    Witness(usize),
    Group(usize),
}

/// So many of the members must have witnessed.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Group {
    needed: usize,
    members: Vec<Member>,
}

/// A policy: logs, witnesses, and how many of these are enough.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    logs: Vec<PolicyLog>,
    witnesses: Vec<PolicyWitness>,
    /// Members of a group come before it.
    groups: Vec<Group>,
    /// None for `quorum none`.
    quorum: Option<Member>,
}

/// What a policy says about a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Whether the quorum is met.
    pub satisfied: bool,
    /// The cosignature of each witness of the policy, in its order, where there is one.
    pub cosignatures: Vec<Option<Cosignature>>,
}

impl Policy {
    /// Reads a policy.
    ///
    /// # Errors
    ///
    /// Which line is wrong, and why.
    pub fn parse(text: &[u8]) -> Result<Self, PolicyError> {
        let mut reader = Reader::default();
        let mut last = 1;
        for (line, bytes) in (1..).zip(text.split(|&byte| byte == b'\n')) {
            last = line;
            reader
                .line(bytes)
                .map_err(|problem| PolicyError { line, problem })?;
        }
        let quorum = reader.quorum.ok_or_else(|| PolicyError {
            line: last,
            problem: "there is no `quorum` line; `quorum none` asks for no witnesses".to_owned(),
        })?;
        Ok(Self {
            logs: reader.logs,
            witnesses: reader.witnesses,
            groups: reader.groups,
            quorum,
        })
    }

    /// The logs it accepts; all where it names none.
    #[must_use]
    pub fn logs(&self) -> &[PolicyLog] {
        &self.logs
    }

    /// The witnesses it knows.
    #[must_use]
    pub fn witnesses(&self) -> &[PolicyWitness] {
        &self.witnesses
    }

    /// Whether these witnesses are enough; `cosigned` has one flag for each of
    /// [`Policy::witnesses`].
    #[must_use]
    pub fn is_met_by(&self, cosigned: &[bool]) -> bool {
        let mut groups: Vec<bool> = Vec::with_capacity(self.groups.len());
        let has = |groups: &[bool], member: Member| match member {
            Member::Witness(index) => cosigned.get(index).copied().unwrap_or(false),
            Member::Group(index) => groups.get(index).copied().unwrap_or(false),
        };
        for group in &self.groups {
            let members = group.members.iter();
            let count = members.filter(|&&member| has(&groups, member)).count();
            groups.push(count >= group.needed);
        }
        self.quorum.is_none_or(|quorum| has(&groups, quorum))
    }

    /// Judges a checkpoint, but for the log's own signature.
    ///
    /// # Errors
    ///
    /// [`SignatureError::False`] where a signature in the name of a witness does not verify.
    pub fn evaluate(&self, checkpoint: &SignedCheckpoint) -> Result<Verdict, SignatureError> {
        let mut cosignatures = Vec::with_capacity(self.witnesses.len());
        for witness in &self.witnesses {
            match witness.key.cosignature_on(checkpoint) {
                Ok(cosignature) => cosignatures.push(Some(cosignature)),
                Err(SignatureError::Unsigned) => cosignatures.push(None),
                Err(SignatureError::False) => return Err(SignatureError::False),
            }
        }
        let cosigned: Vec<bool> = cosignatures.iter().map(Option::is_some).collect();
        Ok(Verdict {
            satisfied: self.is_met_by(&cosigned),
            cosignatures,
        })
    }

    /// Whether one of the policy's logs has signed the checkpoint in its own name, and no signature
    /// in the name of one is false.
    ///
    /// # Errors
    ///
    /// When that is not so.
    pub fn check_log(&self, checkpoint: &SignedCheckpoint) -> Result<(), SignatureError> {
        let own = self
            .logs
            .iter()
            .filter(|log| log.key.name() == checkpoint.origin());
        let keys: Vec<&dyn Verifier> = own.map(|log| &log.key as &dyn Verifier).collect();
        checkpoint.signatures_by(&keys).map(|_verified| ())
    }
}

#[derive(Default)]
struct Reader {
    logs: Vec<PolicyLog>,
    witnesses: Vec<PolicyWitness>,
    groups: Vec<Group>,
    /// What a name, which need not be UTF-8, was given to.
    names: BTreeMap<Vec<u8>, Member>,
    /// Names that are members of a group already.
    taken: BTreeSet<Vec<u8>>,
    /// The quorum line, `None` inside for `quorum none`.
    quorum: Option<Option<Member>>,
}

impl Reader {
    fn line(&mut self, line: &[u8]) -> Result<(), String> {
        let control = line
            .iter()
            .find(|&&byte| byte < 0x20 && byte != b'\t' || byte == 0x7f);
        if let Some(byte) = control {
            return Err(format!(
                "it has the control character {byte:#04x}; only tabs and line feeds are allowed"
            ));
        }
        let fields = line.split(|byte| matches!(byte, b' ' | b'\t'));
        let fields: Vec<&[u8]> = fields.filter(|field| !field.is_empty()).collect();
        match fields.as_slice() {
            [] => Ok(()),
            [first, ..] if first.starts_with(b"#") => Ok(()),
            [b"log", vkey] => self.log(vkey, None),
            [b"log", vkey, url] => self.log(vkey, Some(url)),
            [b"witness", name, vkey] => self.witness(name, vkey, None),
            [b"witness", name, vkey, url] => self.witness(name, vkey, Some(url)),
            [b"group", name, needed, members @ ..] if !members.is_empty() => {
                self.group(name, needed, members)
            }
            [b"quorum", name] => self.quorum(name),
            [b"log", ..] => Err("it must be `log <vkey> [<url>]`".to_owned()),
            [b"witness", ..] => Err("it must be `witness <name> <vkey> [<url>]`".to_owned()),
            [b"group", ..] => Err("it must be `group <name> <all|any|k> <name>...`".to_owned()),
            [b"quorum", ..] => Err("it must be `quorum <name>`".to_owned()),
            _ => Err("it must begin with log, witness, group, quorum or #".to_owned()),
        }
    }

    fn log(&mut self, vkey: &[u8], url: Option<&[u8]>) -> Result<(), String> {
        let key = LogKey::parse(&text(vkey)).map_err(|error| error.to_string())?;
        if self.logs.iter().any(|log| log.key.public() == key.public()) {
            return Err(format!("another line has the same public key as {key}"));
        }
        at_most(self.logs.len(), "logs")?;
        self.logs.push(PolicyLog {
            key,
            url: url.map(text),
        });
        Ok(())
    }

    fn witness(&mut self, name: &[u8], vkey: &[u8], url: Option<&[u8]>) -> Result<(), String> {
        let key = WitnessKey::parse(&text(vkey)).map_err(|error| error.to_string())?;
        let mut others = self.witnesses.iter();
        if others.any(|other| other.key.public() == key.public()) {
            return Err(format!("another line has the same public key as {key}"));
        }
        at_most(self.witnesses.len(), "witnesses")?;
        self.name(name, Member::Witness(self.witnesses.len()))?;
        self.witnesses.push(PolicyWitness {
            name: text(name),
            key,
            url: url.map(text),
        });
        Ok(())
    }

    fn group(&mut self, name: &[u8], needed: &[u8], members: &[&[u8]]) -> Result<(), String> {
        at_most(self.groups.len(), "groups")?;
        let mut found = Vec::with_capacity(members.len());
        for &member in members {
            found.push(self.find(member)?);
            if !self.taken.insert(member.to_vec()) {
                return Err(format!("{:?} is a member of a group twice", text(member)));
            }
        }
        let needed = match needed {
            b"all" => found.len(),
            b"any" => 1,
            number => crate::request::decimal(number)
                .and_then(|number| usize::try_from(number).ok())
                .filter(|number| (1..=found.len()).contains(number))
                .ok_or_else(|| {
                    format!(
                        "how many are needed must be `all`, `any` or a number from 1 to {}",
                        found.len()
                    )
                })?,
        };
        self.name(name, Member::Group(self.groups.len()))?;
        self.groups.push(Group {
            needed,
            members: found,
        });
        Ok(())
    }

    fn quorum(&mut self, name: &[u8]) -> Result<(), String> {
        if self.quorum.is_some() {
            return Err("there is a `quorum` line already".to_owned());
        }
        self.quorum = Some(match name {
            b"none" => None,
            name => Some(self.find(name)?),
        });
        Ok(())
    }

    fn name(&mut self, name: &[u8], member: Member) -> Result<(), String> {
        if name == b"none" {
            return Err("`none` cannot be given as a name".to_owned());
        }
        match self.names.insert(name.to_vec(), member) {
            None => Ok(()),
            Some(_) => Err(format!("the name {:?} is given twice", text(name))),
        }
    }

    fn find(&self, name: &[u8]) -> Result<Member, String> {
        let found = self.names.get(name).copied();
        found.ok_or_else(|| format!("no line above defines {:?}", text(name)))
    }
}

fn at_most(already: usize, what: &str) -> Result<(), String> {
    match already < MOST {
        true => Ok(()),
        false => Err(format!("a policy has at most {MOST} {what}")),
    }
}

/// For showing, and for what must be UTF-8 in the end.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::WitnessSigner;
    use fieldledger_chance::proptest_config;
    use fieldledger_tlog::Hash;
    use proptest::prelude::*;

    fn signer(seed: u8) -> WitnessSigner {
        WitnessSigner::from_seed(&format!("example.org/w{seed}"), &[seed; 32]).unwrap()
    }

    fn log_key() -> fieldledger_tlog::LogKey {
        fieldledger_tlog::LogKey::from_seed("example.com/log", &[99; 32]).unwrap()
    }

    /// The example of the specification.
    fn example() -> String {
        let mut policy = format!("# An example.\nlog {}\n\n", log_key().verifier_key());
        for (seed, name) in (1..).zip(["X1", "X2", "X3", "Y1", "Y2", "Y3"]) {
            let line = format!("witness {name}\t{}  \n", signer(seed).key());
            policy.push_str(&line);
        }
        policy.push_str(
            "group X-witnesses 2 X1 X2 X3\n  # \u{7a}\n group Y-witnesses any Y1 Y2 Y3\n\
             group X-and-Y all X-witnesses Y-witnesses\nquorum X-and-Y\n",
        );
        policy
    }

    #[test]
    fn the_example_of_the_specification_means_what_it_says() {
        let policy = Policy::parse(example().as_bytes()).unwrap();
        assert_eq!((policy.logs().len(), policy.witnesses().len()), (1, 6));
        for cosigned in 0_u32..64 {
            let flags: Vec<bool> = (0..6).map(|bit| cosigned & 1 << bit != 0).collect();
            let (x, y) = (cosigned & 7, cosigned >> 3);
            let expected = x.count_ones() >= 2 && y.count_ones() >= 1;
            assert_eq!(policy.is_met_by(&flags), expected, "{cosigned:06b}");
        }
    }

    #[test]
    fn a_checkpoint_is_judged_by_its_cosignatures() {
        let policy = Policy::parse(example().as_bytes()).unwrap();
        let note = log_key().sign(3, Hash([5; 32])).unwrap();
        let bare = SignedCheckpoint::parse(note.as_bytes()).unwrap();
        let cosigned_by = |seeds: &[u8]| {
            let lines: String = seeds
                .iter()
                .map(|&seed| signer(seed).cosign(&bare, 7).line)
                .collect();
            SignedCheckpoint::parse(format!("{note}{lines}").as_bytes()).unwrap()
        };
        assert!(policy.check_log(&bare).is_ok());
        for (seeds, satisfied) in [
            (&[1, 2, 4][..], true),
            (&[6, 3, 1], true),
            (&[1, 2, 3], false),
            (&[1, 4], false),
            (&[1, 1, 4], false),
            (&[50, 51, 52], false),
        ] {
            let verdict = policy.evaluate(&cosigned_by(seeds)).unwrap();
            assert_eq!(verdict.satisfied, satisfied, "{seeds:?}");
        }
        let other = log_key().sign(4, Hash([5; 32])).unwrap();
        let swapped = format!("{other}{}", signer(1).cosign(&bare, 7).line);
        let swapped = SignedCheckpoint::parse(swapped.as_bytes()).unwrap();
        assert_eq!(policy.evaluate(&swapped), Err(SignatureError::False));
    }

    #[test]
    fn quorums_without_groups() {
        let one = format!("witness a {}\nquorum a", signer(1).key());
        let one = Policy::parse(one.as_bytes()).unwrap();
        assert!(one.is_met_by(&[true]) && !one.is_met_by(&[false]) && !one.is_met_by(&[]));
        let none = Policy::parse(b"quorum none").unwrap();
        assert!(none.is_met_by(&[]));
    }

    #[test]
    fn names_are_bytes() {
        let policy = format!("witness \u{212a} {}\nquorum K", signer(1).key());
        assert!(Policy::parse(policy.as_bytes()).is_err());
        let policy = format!("witness W {}\nquorum W", signer(1).key());
        let policy = policy.into_bytes();
        let raw: Vec<u8> = policy
            .iter()
            .map(|&byte| if byte == b'W' { 0xff } else { byte })
            .collect();
        assert!(Policy::parse(&raw).is_ok());
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        let (a, b, log) = (signer(1), signer(2), log_key());
        let witnesses = format!("witness a {}\nwitness b {}\n", a.key(), b.key());
        let renamed = WitnessSigner::from_seed("another", &[1; 32]).unwrap();
        for (tail, line, problem) in [
            ("", 3, "no `quorum`"),
            ("quorum c\n", 3, "defines \"c\""),
            ("quorum a\nquorum a\n", 4, "already"),
            ("quorum a b\n", 3, "quorum <name>"),
            ("Quorum a\n", 3, "begin with"),
            ("quorum a\r\n", 3, "0x0d"),
            ("quorum\u{b}a\n", 3, "0x0b"),
            ("group g 0 a b\n", 3, "from 1 to 2"),
            ("group g 3 a b\n", 3, "from 1 to 2"),
            ("group g 01 a b\n", 3, "from 1 to 2"),
            ("group g some a b\n", 3, "from 1 to 2"),
            ("group g all\n", 3, "group <name>"),
            ("group g all a a\n", 3, "twice"),
            ("group g all g\n", 3, "defines \"g\""),
            ("group g all none\n", 3, "defines \"none\""),
            ("group a all b\n", 3, "given twice"),
            ("group none all b\n", 3, "`none`"),
            ("group g all a\ngroup h all a b\n", 4, "twice"),
            (&format!("witness c {}\n", a.key()), 3, "same public key"),
            (
                &format!("witness c {}\n", renamed.key()),
                3,
                "same public key",
            ),
            (&format!("witness c {}\n", log.verifier_key()), 3, "type 4"),
            (&format!("log {}\n", a.key()), 3, "type 1"),
            (
                &format!("log {0}\nlog {0} http://x\n", log.verifier_key()),
                4,
                "same public key",
            ),
            ("log\n", 3, "log <vkey>"),
            ("witness c\n", 3, "witness <name>"),
        ] {
            let error = Policy::parse(format!("{witnesses}{tail}").as_bytes()).unwrap_err();
            assert_eq!(error.line, line, "{tail:?}: {error}");
            assert!(error.problem.contains(problem), "{tail:?}: {error}");
        }
    }

    proptest! {
        #![proptest_config(proptest_config())]

        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let _ = Policy::parse(&bytes);
        }

        #[test]
        fn any_change_is_read_or_refused(position in 0_usize..2_000, byte: u8) {
            let mut policy = example().into_bytes();
            let position = position % policy.len();
            policy[position] = byte;
            let _ = Policy::parse(&policy);
        }

        #[test]
        fn more_cosignatures_never_hurt(flags in prop::collection::vec(any::<bool>(), 6), more in 0_usize..6) {
            let policy = Policy::parse(example().as_bytes()).unwrap();
            let mut with_more = flags.clone();
            with_more[more] = true;
            prop_assert!(!policy.is_met_by(&flags) || policy.is_met_by(&with_more));
        }
    }
}
