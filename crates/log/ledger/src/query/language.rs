//! The search language: case-sensitive terms with spaces between them, `"phrases"`, `field:value`
//! and `field:"a b"`. An entry matches if it matches all of them.

use fieldledger_audit::event::FIELDS;

/// Bytes a query may have.
const MAX_BYTES: usize = 4_096;

/// Terms a query may have.
const MAX_CLAUSES: usize = 64;

/// One term or phrase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Clause {
    /// Position in [`FIELDS`] of the only field to look in.
    pub(crate) field: Option<usize>,
    /// Its words, which must follow each other.
    pub(crate) words: Vec<String>,
}

/// Position in [`FIELDS`] of the field `name`.
pub(crate) fn field_position(name: &str) -> Option<usize> {
    FIELDS.iter().position(|field| field.name == name)
}

/// The words in a text: runs of letters, digits and underscores. Everything else separates words,
/// so `a-b`, a UUID or `21.5` is found as the phrase of its parts.
pub(crate) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|letter| !is_word_letter(letter))
        .filter(|word| !word.is_empty())
}

/// Whether the letter is part of a word.
pub(crate) fn is_word_letter(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

/// Reads a query.
///
/// # Errors
///
/// What is wrong with it and what would be right.
pub(crate) fn parse(query: &str) -> Result<Vec<Clause>, String> {
    if query.len() > MAX_BYTES {
        let found = query.len();
        return Err(format!(
            "has {found} bytes; at most {MAX_BYTES} are allowed"
        ));
    }
    let mut clauses = Vec::new();
    let mut rest = query.trim_start();
    while !rest.is_empty() {
        let (field, after_field) = field_prefix(rest)?;
        let (text, after) = value(after_field)?;
        let words: Vec<String> = words(&text).map(str::to_owned).collect();
        if words.is_empty() {
            let begin: String = rest.chars().take(32).collect();
            return Err(format!("has no letter or digit to look for at {begin:?}"));
        }
        clauses.push(Clause { field, words });
        if clauses.len() > MAX_CLAUSES {
            return Err(format!(
                "has too many terms; at most {MAX_CLAUSES} are allowed"
            ));
        }
        rest = after.trim_start();
    }
    Ok(clauses)
}

/// A name and a colon before a value. What does not look like a name is no prefix: `10:30` and
/// `opc.tcp://plc` are terms.
fn field_prefix(text: &str) -> Result<(Option<usize>, &str), String> {
    let Some((name, after)) = text.split_once(':') else {
        return Ok((None, text));
    };
    let is_name = |letter: char| letter.is_ascii_lowercase() || letter == '_';
    if name.is_empty() || !name.chars().all(is_name) || after.starts_with("//") {
        return Ok((None, text));
    }
    match field_position(name) {
        Some(position) => Ok((Some(position), after)),
        None => {
            let known: Vec<&str> = FIELDS.iter().map(|field| field.name).collect();
            Err(format!(
                "names the field {name:?}, which events do not have; they have {}. To look for the \
                 text itself, put it in quotes",
                known.join(", ")
            ))
        }
    }
}

/// A quoted text, with `\"` and `\\` in it, or all up to the next space; and what comes after.
fn value(text: &str) -> Result<(String, &str), String> {
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
    let begin: String = text.chars().take(32).collect();
    Err(format!("has no closing quote for the one at {begin:?}"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn clause(field: Option<&str>, words: &[&str]) -> Clause {
        Clause {
            field: field.map(|name| field_position(name).unwrap()),
            words: words.iter().map(|&word| word.to_owned()).collect(),
        }
    }

    #[test]
    fn terms_phrases_and_fields_are_read() {
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
    fn a_colon_alone_makes_no_field() {
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
            let problem = parse(query).unwrap_err();
            assert!(problem.contains(hint), "{problem}");
        }
    }

    proptest! {
        #[test]
        fn any_query_is_read_or_refused(query: String) {
            let _ = parse(&query);
        }
    }
}
