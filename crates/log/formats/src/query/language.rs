//! The search language: case-sensitive terms with spaces between them, `"phrases"`, `column:value`
//! and `column:"a b"`. An entry matches if it matches all of them.

use fieldledger_audit::event::FIELDS;

/// Bytes a query may have.
const MAX_BYTES: usize = 4_096;

/// Terms a query may have.
const MAX_CLAUSES: usize = 64;

/// One term or phrase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clause {
    /// Position in [`FIELDS`] of the only column to look in.
    pub column: Option<usize>,
    /// Its words, which must follow each other.
    pub words: Vec<String>,
}

/// Position in [`FIELDS`] of the column `name`.
#[must_use]
pub fn column_position(name: &str) -> Option<usize> {
    FIELDS.iter().position(|field| field.name == name)
}

/// The words in a text: runs of letters, digits and underscores. Everything else separates words,
/// so `a-b`, a UUID or `21.5` is found as the phrase of its parts.
pub fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|letter| !is_word_letter(letter))
        .filter(|word| !word.is_empty())
}

/// Whether the letter is part of a word.
#[must_use]
pub fn is_word_letter(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
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
    #[error("has no letter or digit to look for at {0:?}")]
    NoWord(String),
    /// A quote does not end.
    #[error("has no closing quote for the one at {0:?}")]
    NoClosingQuote(String),
    /// A term names a column that events do not have.
    #[error(
        "names the column {0:?}, which events do not have; they have {known}. To look for the text \
         itself, put it in quotes",
        known = known_columns()
    )]
    UnknownColumn(String),
}

fn known_columns() -> String {
    let known: Vec<&str> = FIELDS.iter().map(|column| column.name).collect();
    known.join(", ")
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
        let (column, after_column) = column_prefix(rest)?;
        let (text, after) = value(after_column)?;
        let words: Vec<String> = words(&text).map(str::to_owned).collect();
        if words.is_empty() {
            return Err(LanguageFault::NoWord(beginning(rest)));
        }
        clauses.push(Clause { column, words });
        if clauses.len() > MAX_CLAUSES {
            return Err(LanguageFault::TooManyTerms);
        }
        rest = after.trim_start();
    }
    Ok(clauses)
}

/// A name and a colon before a value. What does not look like a name is not a prefix: `10:30` and
/// `opc.tcp://plc` are terms.
fn column_prefix(text: &str) -> Result<(Option<usize>, &str), LanguageFault> {
    let Some((name, after)) = text.split_once(':') else {
        return Ok((None, text));
    };
    let is_name = |letter: char| letter.is_ascii_lowercase() || letter == '_';
    if name.is_empty() || !name.chars().all(is_name) || after.starts_with("//") {
        return Ok((None, text));
    }
    match column_position(name) {
        Some(position) => Ok((Some(position), after)),
        None => Err(LanguageFault::UnknownColumn(name.to_owned())),
    }
}

/// A quoted text, with `\"` and `\\` in it, or all up to the next space; and what comes after.
fn value(text: &str) -> Result<(String, &str), LanguageFault> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(char::is_whitespace).unwrap_or(text.len());
        return Ok((text[..end].to_owned(), &text[end..]));
    };
    let mut value = String::new();
    let mut letters = quoted.char_indices();
    while let Some((position, letter)) = letters.next() {
        match letter {
            '"' => return Ok((value, &quoted[position + 1..])),
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
        assert_eq!(parse(" ").unwrap(), []);
    }

    #[test]
    fn a_colon_alone_names_no_column() {
        assert_eq!(parse("10:30").unwrap(), [clause(None, &["10", "30"])]);
        assert_eq!(parse("tcp://plc").unwrap(), [clause(None, &["tcp", "plc"])]);
        assert_eq!(
            parse(r#""foo:bar""#).unwrap(),
            [clause(None, &["foo", "bar"])]
        );
    }

    #[test]
    fn faults_are_named() {
        for (query, hint) in [
            (r#"a "b"#, "no closing quote"),
            ("colour:red", "\"colour\""),
            ("a -- b", "no letter or digit"),
            ("actor:", "no letter or digit"),
            (&"x".repeat(4_097), "4097 bytes"),
            (&"x ".repeat(65), "too many terms"),
        ] {
            let problem = parse(query).unwrap_err().to_string();
            assert!(problem.contains(hint), "{problem}");
        }
    }

    proptest! {
        #![proptest_config(proptest_config())]

        #[test]
        fn any_query_is_read_or_refused(query: String) {
            let _ = parse(&query);
        }
    }
}
