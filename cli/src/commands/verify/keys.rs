//! Whose signature counts.

use std::path::Path;

use fieldledger_verifier::note::LogKey;

use crate::exit::InputError;
use crate::files;

/// Reads keys, each given as itself or as the name of a file that has them.
///
/// # Errors
///
/// [`InputError`] says which is not a key and why.
pub(super) fn read(given: &[String]) -> anyhow::Result<Vec<LogKey>> {
    let mut keys = Vec::new();
    for text in given {
        if Path::new(text).exists() {
            let content = files::read(Path::new(text))?;
            for line in content.lines().map(str::trim) {
                if !line.is_empty() && !line.starts_with('#') {
                    keys.push(parse(line, text)?);
                }
            }
        } else if text.contains('+') {
            keys.push(parse(text, "--key")?);
        } else {
            let problem = format!("--key {text:?} is neither a key, name+hash+key, nor a file");
            return Err(InputError(problem).into());
        }
    }
    Ok(keys)
}

fn parse(text: &str, place: &str) -> anyhow::Result<LogKey> {
    let key = LogKey::parse(text);
    Ok(key.map_err(|error| InputError(format!("{place}: {error}: {text:?}")))?)
}
