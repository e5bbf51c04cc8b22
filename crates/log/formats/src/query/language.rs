//! The search language: terms with spaces between them, `"phrases"`, `column:value`, `column:"a b"`,
//! `begins*` and `~anycase`. An entry matches if it matches all of them. `docs/searching.md` describes
//! it.

use std::fmt;

use fieldledger_audit::decimal::Decimal;
use fieldledger_audit::event::FIELDS;

use super::words::{is_word_letter, normal, words};

/// Bytes a query may have.
const MAX_BYTES: usize = 4_096;

/// Terms a query may have.
const MAX_CLAUSES: usize = 64;

/// Letters that a part of a MAC or IPv6 address has at most.
const MAX_HEX: usize = 4;

/// One term or phrase.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Clause {
    /// Position in [`FIELDS`] of the only column to look in.
    pub column: Option<usize>,
    /// Its words, which must follow each other; none where the column must be there, whatever it
    /// holds.
    pub words: Vec<String>,
    /// The last word may go on.
    pub is_open: bool,
    /// Capital and small letters are the same.
    pub ignores_case: bool,
    /// The number that it is, where it is one: columns that hold a value are compared with it.
    pub number: Option<Decimal>,
}

/// Position in [`FIELDS`] of the column `name`.
#[must_use]
pub fn column_position(name: &str) -> Option<usize> {
    FIELDS.iter().position(|field| field.name == name)
}

/// What is wrong with a query, and what would be right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LanguageFault {
    /// It is too long.
    #[error("has {0} bytes; at most {MAX_BYTES} are allowed")]
    TooLong(usize),
    /// It has too many terms.
    #[error("has too many terms; at most {MAX_CLAUSES} are allowed")]
    TooManyTerms,
    /// A term has nothing to look for.
    #[error(
        "has no letter or digit to look for at {0:?}; leave it out, or put a * alone for every entry"
    )]
    NoWord(String),
    /// A star where none can be.
    #[error(
        "has a * at {0:?} that does not end a word; only the end of a word can be left open, as in \
         boiler* or actor:boil*"
    )]
    Star(String),
    /// A quote does not end.
    #[error("has no closing quote for the one at {0:?}")]
    NoClosingQuote(String),
    /// A word that other search languages have.
    #[error(
        "has {0}, which is not understood: an entry matches if it matches all terms, so leave AND out \
         and search twice for OR. To look for the word itself, write \"{0}\" with the quotes"
    )]
    Operator(String),
    /// A term names a time by which a search is bounded otherwise.
    #[error("names received_at, which is not a column of the event; give start and end instead")]
    ReceivedAt,
    /// A term names a column that events do not have.
    #[error(
        "names the column {name:?}, which events do not have; they have {known}. To look for the text \
         itself, put it in quotes: \"{term}\"",
        known = KnownColumns
    )]
    UnknownColumn {
        /// The name.
        name: String,
        /// The whole term.
        term: String,
    },
}

struct KnownColumns;

impl fmt::Display for KnownColumns {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known: Vec<&str> = FIELDS.iter().map(|column| column.name).collect();
        formatter.write_str(&known.join(", "))
    }
}

/// The beginning of a text, for messages.
fn beginning(text: &str) -> String {
    text.chars().take(32).collect()
}

/// Reads a query.
///
/// # Errors
///
/// What is wrong with it and what would be right.
pub fn parse(query: &str) -> Result<Vec<Clause>, LanguageFault> {
    if query.len() > MAX_BYTES {
        return Err(LanguageFault::TooLong(query.len()));
    }
    let mut clauses = Vec::new();
    let mut rest = query.trim_start();
    while !rest.is_empty() {
        let (clause, after) = term(rest)?;
        clauses.extend(clause);
        if clauses.len() > MAX_CLAUSES {
            return Err(LanguageFault::TooManyTerms);
        }
        rest = after.trim_start();
    }
    Ok(clauses)
}

/// The term that the text begins with, and what comes after it; none where every entry matches it.
fn term(text: &str) -> Result<(Option<Clause>, &str), LanguageFault> {
    let (tilde_before, after_tilde) = tilde(text);
    let (column, after_column) = column_prefix(after_tilde)?;
    let (tilde_after, after_tilde) = tilde(after_column);
    let Value {
        text: value,
        is_quoted,
        is_open,
        rest,
    } = value(after_tilde)?;
    if column.is_none() && !is_quoted && matches!(value.as_str(), "AND" | "OR" | "NOT") {
        return Err(LanguageFault::Operator(value));
    }
    let value = normal(&value);
    let words: Vec<String> = words(&value).map(str::to_owned).collect();
    if words.is_empty() {
        // `*` and `""` hold for everything, and after a column for whatever has that.
        let any = value.is_empty() && (is_quoted || is_open);
        return match any {
            true => Ok((column.map(present), rest)),
            false => Err(LanguageFault::NoWord(beginning(text))),
        };
    }
    let number = match is_open {
        true => None,
        false => Decimal::parse(&value),
    };
    let clause = Clause {
        column,
        words,
        // After a separator any word may follow, or none.
        is_open: is_open && value.ends_with(is_word_letter),
        ignores_case: tilde_before || tilde_after,
        number,
    };
    Ok((Some(clause), rest))
}

fn present(column: usize) -> Clause {
    Clause {
        column: Some(column),
        ..Clause::default()
    }
}

fn tilde(text: &str) -> (bool, &str) {
    match text.strip_prefix('~') {
        Some(after) => (true, after),
        None => (false, text),
    }
}

/// A name and a colon before a value. What does not look like a name is not a prefix: `10:30`,
/// `opc.tcp://plc`, `plc:502` and `aa:bb:cc:dd:ee:ff` are terms.
fn column_prefix(text: &str) -> Result<(Option<usize>, &str), LanguageFault> {
    let end = text.find(char::is_whitespace).unwrap_or(text.len());
    let Some((name, after)) = text[..end].split_once(':') else {
        return Ok((None, text));
    };
    let value = &text[name.len() + 1..];
    if let Some(position) = column_position(&name.to_ascii_lowercase()) {
        return Ok((Some(position), value));
    }
    let is_name = |letter: char| letter.is_ascii_alphabetic() || letter == '_';
    if name.is_empty() || !name.chars().all(is_name) || is_address(name, after) {
        return Ok((None, text));
    }
    if name == "received_at" {
        return Err(LanguageFault::ReceivedAt);
    }
    Err(LanguageFault::UnknownColumn {
        name: name.to_owned(),
        term: beginning(&text[..end]).replace('"', ""),
    })
}

/// Whether `name:after` is an address rather than a column with its value: that of a network card, an
/// IPv6 address, a URL, or a host and a port.
fn is_address(name: &str, after: &str) -> bool {
    let is_hex = name.len() <= MAX_HEX && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    let has_port = after.starts_with(|first: char| first.is_ascii_digit());
    is_hex
        || has_port
        || after.starts_with("//")
        || (!after.starts_with('"') && after.contains(':'))
}

/// The text of a term.
struct Value<'a> {
    text: String,
    is_quoted: bool,
    /// A star came after it.
    is_open: bool,
    /// What comes after it.
    rest: &'a str,
}

/// A quoted text, with `\"` and `\\` in it, or all up to the next space.
fn value(text: &str) -> Result<Value<'_>, LanguageFault> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(char::is_whitespace).unwrap_or(text.len());
        let (value, rest) = text.split_at(end);
        let closed = value.strip_suffix('*');
        let is_open = closed.is_some();
        let value = closed.unwrap_or(value);
        if value.contains('*') {
            return Err(LanguageFault::Star(beginning(text)));
        }
        return Ok(Value {
            text: value.to_owned(),
            is_quoted: false,
            is_open,
            rest,
        });
    };
    let mut value = String::new();
    let mut letters = quoted.char_indices();
    while let Some((position, letter)) = letters.next() {
        match letter {
            '"' => {
                let rest = &quoted[position + 1..];
                let open = rest.strip_prefix('*');
                return Ok(Value {
                    text: value,
                    is_quoted: true,
                    is_open: open.is_some(),
                    rest: open.unwrap_or(rest),
                });
            }
            '\\' => value.extend(letters.next().map(|(_, escaped)| escaped)),
            letter => value.push(letter),
        }
    }
    Err(LanguageFault::NoClosingQuote(beginning(text)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use fieldledger_chance::proptest_config;
    use proptest::prelude::*;

    fn clause(column: Option<&str>, words: &[&str]) -> Clause {
        Clause {
            column: column.map(|name| column_position(name).unwrap()),
            words: words.iter().map(|&word| word.to_owned()).collect(),
            ..Clause::default()
        }
    }

    fn open(column: Option<&str>, words: &[&str]) -> Clause {
        Clause {
            is_open: true,
            ..clause(column, words)
        }
    }

    fn any_case(clause: Clause) -> Clause {
        Clause {
            ignores_case: true,
            ..clause
        }
    }

    #[test]
    fn terms_phrases_and_columns_are_read() {
        let query =
            r#"  TempSensor01 "not \"well\" done" actor:bob target:"Hall 3"  a-b SENSOR_READING"#;
        let expected = [
            clause(None, &["TempSensor01"]),
            clause(None, &["not", "well", "done"]),
            clause(Some("actor"), &["bob"]),
            clause(Some("target"), &["Hall", "3"]),
            clause(None, &["a", "b"]),
            clause(None, &["SENSOR_READING"]),
        ];
        assert_eq!(parse(query).unwrap(), expected);
        assert_eq!(
            parse("Actor:bob").unwrap(),
            [clause(Some("actor"), &["bob"])]
        );
        assert_eq!(parse(" ").unwrap(), []);
    }

    #[test]
    fn the_end_of_a_word_can_be_left_open() {
        for (query, expected) in [
            ("boiler*", open(None, &["boiler"])),
            ("boiler_*", open(None, &["boiler_"])),
            ("actor:boil*", open(Some("actor"), &["boil"])),
            ("\"Hall 3\"*", open(None, &["Hall", "3"])),
            ("10.0*", open(None, &["10", "0"])),
            ("10.0.*", clause(None, &["10", "0"])),
            ("aa:bb*", open(None, &["aa", "bb"])),
            ("~boil*", any_case(open(None, &["boil"]))),
            ("\"a * b\"", clause(None, &["a", "b"])),
        ] {
            assert_eq!(parse(query).unwrap(), [expected], "{query}");
        }
    }

    #[test]
    fn a_star_alone_is_everything() {
        for query in ["*", "\"\"", "* *", "\"\"*"] {
            assert_eq!(parse(query).unwrap(), [], "{query}");
        }
        for query in ["target:*", "target:\"\"", "~target:*"] {
            assert_eq!(
                parse(query).unwrap(),
                [clause(Some("target"), &[])],
                "{query}"
            );
        }
    }

    #[test]
    fn case_can_be_ignored() {
        let expected = any_case(clause(Some("actor"), &["Boiler", "1"]));
        for query in ["~actor:Boiler-1", "actor:~Boiler-1", "actor:~\"Boiler 1\""] {
            assert_eq!(
                parse(query).unwrap(),
                std::slice::from_ref(&expected),
                "{query}"
            );
        }
    }

    #[test]
    fn addresses_are_texts_and_no_columns() {
        for (query, words) in [
            (
                "aa:bb:cc:dd:ee:ff",
                &["aa", "bb", "cc", "dd", "ee", "ff"][..],
            ),
            ("AA:BB:CC:DD:EE:FF", &["AA", "BB", "CC", "DD", "EE", "FF"]),
            ("00:1b:cc:dd:ee:ff", &["00", "1b", "cc", "dd", "ee", "ff"]),
            ("fe80::1", &["fe80", "1"]),
            ("fade::be", &["fade", "be"]),
            ("dead:beef", &["dead", "beef"]),
            ("10:30", &["10", "30"]),
            ("tcp://plc", &["tcp", "plc"]),
            ("http://plc:80/x?y=z", &["http", "plc", "80", "x", "y", "z"]),
            ("localhost:8080", &["localhost", "8080"]),
            ("plc_a:502/status", &["plc_a", "502", "status"]),
            ("plc-a.example:502", &["plc", "a", "example", "502"]),
            ("urn:x:y", &["urn", "x", "y"]),
            (r#""foo:bar""#, &["foo", "bar"]),
            (
                "2026-01-02T03:04:05Z",
                &["2026", "01", "02T03", "04", "05Z"],
            ),
        ] {
            assert_eq!(parse(query).unwrap(), [clause(None, words)], "{query}");
        }
    }

    #[test]
    fn numbers_are_told_from_texts() {
        for (query, number) in [
            ("new:-4.7", Some("-4.7")),
            ("new:4.70", Some("4.7")),
            ("21.5", Some("21.5")),
            ("\"1e3\"", Some("1000")),
            ("21.5*", None),
            ("1.2.3", None),
            ("5C", None),
        ] {
            let clauses = parse(query).unwrap();
            assert_eq!(
                clauses[0].number,
                number.and_then(Decimal::parse),
                "{query}"
            );
        }
        assert_eq!(parse("new:-4.7").unwrap()[0].words, ["-4", "7"]);
    }

    #[test]
    fn what_looks_the_same_is_the_same() {
        let (composed, decomposed) = (parse("K\u{fc}hler"), parse("Ku\u{308}hler"));
        assert_eq!(composed, decomposed);
    }

    #[test]
    fn faults_are_named() {
        for (query, hint) in [
            (r#"a "b"#, "no closing quote"),
            ("colour:red", "\"colour\""),
            ("colour:red", "put it in quotes: \"colour:red\""),
            ("colour:\"red hat\"", "\"colour\""),
            ("received_at:now", "start and end"),
            ("a -- b", "no letter or digit"),
            ("actor:", "no letter or digit"),
            ("~", "no letter or digit"),
            ("*boiler", "as in boiler*"),
            ("bo*er", "as in boiler*"),
            ("**", "as in boiler*"),
            ("a OR b", "search twice"),
            (&"x".repeat(4_097), "4097 bytes"),
            (&"x ".repeat(65), "too many terms"),
        ] {
            let problem = parse(query).unwrap_err().to_string();
            assert!(problem.contains(hint), "{query}: {problem}");
        }
        assert_eq!(parse("\"OR\"").unwrap(), [clause(None, &["OR"])]);
    }

    proptest! {
        #![proptest_config(proptest_config())]

        #[test]
        fn any_query_is_read_or_refused(query: String) {
            let _ = parse(&query);
        }

        #[test]
        fn any_address_of_a_card_is_a_text(bytes: [u8; 6], capital: bool) {
            let parts = bytes.map(|byte| match capital {
                true => format!("{byte:02X}"),
                false => format!("{byte:02x}"),
            });
            let clauses = parse(&parts.join(":")).unwrap();
            prop_assert_eq!(clauses.len(), 1);
            prop_assert_eq!(&clauses[0].words, &parts);
        }
    }
}
