//! Whether enough witnesses have cosigned a tree head: C2SP tlog-cosignature (`cosignature/v1`,
//! Ed25519) and C2SP tlog-policy.

use std::collections::BTreeSet;

use crate::note::{LogKey, NamedKey, NoteError, SignedNote};

/// The signature type of an Ed25519 cosignature.
const COSIGNATURE: u8 = 4;

/// Why a policy cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("policy, line {line}: {problem}")]
pub struct PolicyError {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong.
    pub problem: String,
}

/// What must hold for a name of the policy to count as witnessing.
#[derive(Debug, Clone)]
enum Rule {
    /// It has cosigned.
    Witness(NamedKey),
    /// So many of these names do.
    Group(usize, Vec<String>),
}

/// Whom to believe: logs, witnesses, and how many of these it takes.
#[derive(Debug, Clone)]
pub struct Policy {
    logs: Vec<LogKey>,
    /// In the order of the file: a group comes after its members.
    rules: Vec<(String, Rule)>,
    quorum: String,
}

/// What a policy makes of a tree head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// Whether enough witnesses have cosigned.
    pub satisfied: bool,
    /// The name on the policy's quorum line; `none` asks for no witness.
    pub quorum: String,
    /// Whose witnessing the quorum counts: the members of its group, or the one witness that it is.
    pub members: Vec<String>,
    /// How many of the members must have cosigned, or hold as groups themselves.
    pub needed: usize,
    /// How many do.
    pub met: usize,
    /// The witnesses that have cosigned, and when they say they did, seconds since the Unix epoch.
    pub cosigned: Vec<(String, u64)>,
    /// The witnesses that have not.
    pub missing: Vec<String>,
}

impl Policy {
    /// Reads a policy file.
    ///
    /// # Errors
    /// [`PolicyError`] names the line.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        let mut policy = Self {
            logs: Vec::new(),
            rules: Vec::new(),
            quorum: String::new(),
        };
        let mut line = 0;
        for text in text.split('\n') {
            line += 1;
            policy
                .read_line(text)
                .map_err(|problem| PolicyError { line, problem })?;
        }
        match policy.quorum.is_empty() {
            false => Ok(policy),
            true => Err(PolicyError {
                line,
                problem: "there is no quorum line".to_owned(),
            }),
        }
    }

    fn read_line(&mut self, line: &str) -> Result<(), String> {
        if line
            .chars()
            .any(|char| char.is_ascii_control() && char != '\t')
        {
            return Err("it has a control character".to_owned());
        }
        let fields = line.split([' ', '\t']).filter(|field| !field.is_empty());
        let fields: Vec<&str> = fields.collect();
        match *fields.as_slice() {
            [] => Ok(()),
            [first, ..] if first.starts_with('#') => Ok(()),
            ["log", key] | ["log", key, _] => {
                let key = LogKey::parse(key).map_err(|error| error.to_string())?;
                if self.logs.iter().any(|log| log.bytes() == key.bytes()) {
                    return Err("this log's key is listed twice".to_owned());
                }
                self.logs.push(key);
                Ok(())
            }
            ["witness", name, key] | ["witness", name, key, _] => {
                let other = "a witness's key must be of type 4, Ed25519 cosignature";
                let key =
                    NamedKey::parse(key, COSIGNATURE, other).map_err(|error| error.to_string())?;
                if self
                    .witnesses()
                    .any(|(_, known)| known.bytes() == key.bytes())
                {
                    return Err("this witness's key is listed twice".to_owned());
                }
                self.add(name, Rule::Witness(key))
            }
            ["group", name, needed, ref members @ ..] if !members.is_empty() => {
                let needed = match needed {
                    "all" => members.len(),
                    "any" => 1,
                    // One way to write a number, as everywhere in these formats.
                    number if !number.starts_with(['0', '+']) => number.parse().unwrap_or(0),
                    _ => 0,
                };
                if needed == 0 || needed > members.len() {
                    return Err(format!("a group needs 1 to {} members", members.len()));
                }
                for (position, &member) in members.iter().enumerate() {
                    self.must_be_defined(member)?;
                    if members[..position].contains(&member) || self.is_in_a_group(member) {
                        return Err(format!("{member} is a member twice"));
                    }
                }
                let members = members.iter().map(|&member| member.to_owned()).collect();
                self.add(name, Rule::Group(needed, members))
            }
            ["quorum", _] if !self.quorum.is_empty() => {
                Err("there is a quorum line already".to_owned())
            }
            ["quorum", name] => {
                if name != "none" {
                    self.must_be_defined(name)?;
                }
                name.clone_into(&mut self.quorum);
                Ok(())
            }
            _ => Err("it is no log, witness, group or quorum line".to_owned()),
        }
    }

    fn add(&mut self, name: &str, rule: Rule) -> Result<(), String> {
        if name == "none" || self.rules.iter().any(|(known, _)| known == name) {
            return Err(format!("the name {name} is taken"));
        }
        self.rules.push((name.to_owned(), rule));
        Ok(())
    }

    fn must_be_defined(&self, name: &str) -> Result<(), String> {
        match self.rules.iter().any(|(known, _)| known == name) {
            true => Ok(()),
            false => Err(format!("{name} is not defined above")),
        }
    }

    fn is_in_a_group(&self, name: &str) -> bool {
        self.rules.iter().any(|(_, rule)| match rule {
            Rule::Group(_, members) => members.iter().any(|member| member == name),
            Rule::Witness(_) => false,
        })
    }

    fn witnesses(&self) -> impl Iterator<Item = (&str, &NamedKey)> {
        self.rules.iter().filter_map(|(name, rule)| match rule {
            Rule::Witness(key) => Some((name.as_str(), key)),
            Rule::Group(..) => None,
        })
    }

    /// The names that the quorum counts, and how many of them it needs.
    fn quorum_members(&self) -> (Vec<String>, usize) {
        let rule = self.rules.iter().find(|(name, _)| *name == self.quorum);
        match rule {
            Some((_, Rule::Group(needed, members))) => (members.clone(), *needed),
            Some((name, Rule::Witness(_))) => (vec![name.clone()], 1),
            None => (Vec::new(), 0),
        }
    }

    /// The keys of the logs it is about; none where it is about any.
    #[must_use]
    pub fn logs(&self) -> &[LogKey] {
        &self.logs
    }

    /// Judges the cosignatures on a signed tree head. That the log itself signed it is for
    /// [`crate::note::open`] to see.
    ///
    /// # Errors
    /// [`NoteError`] where this is no note, or a cosignature in the name of a witness of the policy
    /// does not verify: such a note is not to be believed at all.
    pub fn judge(&self, note: &str) -> Result<Judgement, NoteError> {
        let note = SignedNote::parse(note)?;
        let (mut cosigned, mut missing) = (Vec::new(), Vec::new());
        let mut witnessing: BTreeSet<&str> = BTreeSet::from(["none"]);
        for (name, rule) in &self.rules {
            let met = match rule {
                Rule::Witness(key) => match cosigned_at(&note, key)? {
                    Some(time) => {
                        cosigned.push((name.clone(), time));
                        true
                    }
                    None => {
                        missing.push(name.clone());
                        false
                    }
                },
                Rule::Group(needed, members) => {
                    let members = members.iter().map(String::as_str);
                    members.filter(|member| witnessing.contains(member)).count() >= *needed
                }
            };
            if met {
                witnessing.insert(name);
            }
        }
        let (members, needed) = self.quorum_members();
        let met = members
            .iter()
            .filter(|name| witnessing.contains(name.as_str()));
        Ok(Judgement {
            satisfied: witnessing.contains(self.quorum.as_str()),
            quorum: self.quorum.clone(),
            met: met.count(),
            needed,
            members,
            cosigned,
            missing,
        })
    }
}

/// When the witness cosigned this note, if it did.
fn cosigned_at(note: &SignedNote<'_>, key: &NamedKey) -> Result<Option<u64>, NoteError> {
    let Some(value) = note.signature_by(key) else {
        return Ok(None);
    };
    let bad = || NoteError::BadSignature(key.name.clone());
    let (time, signature) = value.split_first_chunk::<8>().ok_or_else(bad)?;
    let time = u64::from_be_bytes(*time);
    if time > i64::MAX as u64 {
        return Err(bad());
    }
    let message = format!("cosignature/v1\ntime {time}\n{}", note.text);
    key.verify(message.as_bytes(), signature)?;
    Ok(Some(time))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use base64::{Engine as _, engine::general_purpose::STANDARD};
    use ed25519_dalek::{Signer, SigningKey};
    use fieldledger_chance::proptest_config;
    use proptest::prelude::*;
    use sha2::{Digest, Sha256};

    use super::*;

    const TEXT: &str = "plant/1\n42\nAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwM=\n";

    fn secret(witness: u8) -> SigningKey {
        SigningKey::from_bytes(&[witness; 32])
    }

    fn typed(witness: u8, kind: u8) -> Vec<u8> {
        [
            &[kind],
            secret(witness).verifying_key().as_bytes().as_slice(),
        ]
        .concat()
    }

    fn id(witness: u8, kind: u8) -> Vec<u8> {
        let named = [format!("w{witness}\n").as_bytes(), &typed(witness, kind)].concat();
        Sha256::digest(named)[..4].to_vec()
    }

    fn vkey(witness: u8, kind: u8) -> String {
        let id: String = id(witness, kind)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        format!("w{witness}+{id}+{}", STANDARD.encode(typed(witness, kind)))
    }

    fn cosignature(witness: u8, time: u64, text: &str) -> String {
        let message = format!("cosignature/v1\ntime {time}\n{text}");
        let signature = secret(witness).sign(message.as_bytes()).to_bytes();
        let value = [
            id(witness, 4),
            time.to_be_bytes().to_vec(),
            signature.to_vec(),
        ]
        .concat();
        format!("\u{2014} w{witness} {}\n", STANDARD.encode(value))
    }

    fn note(witnesses: &[u8]) -> String {
        let lines = witnesses
            .iter()
            .map(|&witness| cosignature(witness, 7, TEXT));
        format!(
            "{TEXT}\n\u{2014} plant/1 AAAAAAAA\n{}",
            lines.collect::<String>()
        )
    }

    fn policy() -> String {
        let witnesses = (1..=4).map(|witness| format!("witness n{witness} {}\n", vkey(witness, 4)));
        format!(
            "# four\nlog {} http://log\n{}group a 2 n1 n2 n3\ngroup b\tall a n4\nquorum b\n",
            vkey(9, 1),
            witnesses.collect::<String>()
        )
    }

    #[test]
    fn a_quorum_is_a_quorum() {
        let policy = Policy::parse(&policy()).unwrap();
        assert_eq!(policy.logs().len(), 1);
        for (witnesses, satisfied) in [
            (&[1, 2, 4][..], true),
            (&[4, 3, 2, 1], true),
            (&[1, 2, 3], false),
            (&[1, 4], false),
            (&[1, 1, 4], false),
            (&[7, 8, 4], false),
            (&[], false),
        ] {
            let judgement = policy.judge(&note(witnesses)).unwrap();
            assert_eq!(judgement.satisfied, satisfied, "{witnesses:?}");
            assert_eq!(judgement.cosigned.len() + judgement.missing.len(), 4);
            assert!(judgement.cosigned.iter().all(|(_, time)| *time == 7));
            assert_eq!(
                (judgement.members.join(" "), judgement.needed),
                ("a n4".into(), 2)
            );
            assert_eq!(
                judgement.met == judgement.needed,
                satisfied,
                "{witnesses:?}"
            );
        }
        let none = Policy::parse("quorum none").unwrap();
        let nobody = none.judge(&note(&[])).unwrap();
        assert!(nobody.satisfied);
        assert_eq!((nobody.needed, nobody.met), (0, 0));
        let one = Policy::parse(&format!("witness a {}\nquorum a", vkey(1, 4))).unwrap();
        let missing = one.judge(&note(&[2])).unwrap();
        assert_eq!(
            (missing.members, missing.needed, missing.met),
            (vec!["a".to_owned()], 1, 0)
        );
    }

    #[test]
    fn a_cosignature_for_something_else_spoils_the_note() {
        let policy = Policy::parse(&policy()).unwrap();
        let other = TEXT.replacen("42", "43", 1);
        let late = i64::MAX as u64 + 1;
        for false_line in [cosignature(1, 7, &other), cosignature(1, late, TEXT)] {
            let note = format!("{}{false_line}", note(&[2, 4]));
            let refused = policy.judge(&note).unwrap_err();
            assert_eq!(refused, NoteError::BadSignature("w1".to_owned()));
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        let (one, again) = (vkey(1, 4), vkey(1, 4));
        for (text, line, problem) in [
            (String::new(), 1, "no quorum"),
            ("quorum a".to_owned(), 1, "not defined"),
            ("quorum none\r\n".to_owned(), 1, "control"),
            ("quorum none\nquorum none".to_owned(), 2, "already"),
            (format!("witness a {}", vkey(1, 1)), 1, "type 4"),
            (format!("log {one}"), 1, "type 1"),
            (format!("witness none {one}"), 1, "taken"),
            (format!("witness a {one}\nwitness b {again}"), 2, "twice"),
            (format!("witness a {one}\ngroup g 2 a"), 2, "1 to 1"),
            (format!("witness a {one}\ngroup g 0 a"), 2, "1 to 1"),
            (format!("witness a {one}\ngroup g 01 a"), 2, "1 to 1"),
            (format!("witness a {one}\ngroup g +1 a"), 2, "1 to 1"),
            (format!("witness a {one}\ngroup g any a a"), 2, "twice"),
            (
                format!("witness a {one}\ngroup g any a\ngroup h any a"),
                3,
                "twice",
            ),
            (format!("witness a {one}\ngroup a any a"), 2, "taken"),
            ("group g any".to_owned(), 1, "no log"),
        ] {
            let error = Policy::parse(&text).unwrap_err();
            assert_eq!(error.line, line, "{text:?}: {error}");
            assert!(error.problem.contains(problem), "{text:?}: {error}");
        }
    }

    proptest! {
        #![proptest_config(proptest_config())]

        #[test]
        fn any_text_is_read_or_refused(text: String) {
            let _ = Policy::parse(&text);
            if let Ok(policy) = Policy::parse(&policy()) {
                let _ = policy.judge(&text);
            }
        }

        #[test]
        fn a_changed_bit_never_satisfies(position in 0_usize..72, bit in 0_u8..8) {
            let policy = Policy::parse(&format!("witness a {}\nquorum a", vkey(1, 4))).unwrap();
            let whole = note(&[1]);
            let (before, value) = whole.trim_end().rsplit_once(' ').unwrap();
            let mut value = STANDARD.decode(value).unwrap();
            value[4 + position] ^= 1 << bit;
            let note = format!("{before} {}\n", STANDARD.encode(value));
            prop_assert!(policy.judge(&note).is_err());
        }
    }
}
