//! Bearer tokens: who may use the parts of the API that are not for everybody.
//!
//! A setting names each token, what it may do, and the SHA-256 of its text; the text itself is
//! nowhere but with its holder. One token is `name:scopes:hash`, such as
//! `operator:read,write,admin:<64 hex digits>`; tokens are separated by spaces or line breaks.
//! Without tokens, what needs one is closed to all.
//!
//! ```
//! use fieldledger_api::{Scope, Tokens};
//!
//! let setting = Tokens::setting("night-shift", &[Scope::Read], "pts_secret");
//! let tokens = Tokens::parse(&setting)?;
//! assert_eq!(tokens.holder("pts_secret", Scope::Read)?, "night-shift");
//! assert!(tokens.holder("pts_secret", Scope::Write).is_err());
//! assert!(tokens.holder("pts_guessed", Scope::Read).is_err());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::fmt;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// Most bytes of a token's text that are looked at; longer ones are unknown.
const MAX_TOKEN_BYTES: usize = 1_024;

/// What a token may do. None implies another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Read the log.
    Read,
    /// Write events.
    Write,
    /// Change the life of the log: erase, rotate keys, freeze.
    Admin,
}

impl Scope {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Read, Self::Write, Self::Admin];

    /// As the setting spells it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "admin",
        }
    }
}

/// The tokens that are configured.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tokens(Vec<Token>);

#[derive(Clone, PartialEq, Eq)]
struct Token {
    name: String,
    scopes: Vec<Scope>,
    hash: [u8; 32],
}

impl fmt::Debug for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Token")
            .field("name", &self.name)
            .field("scopes", &self.scopes)
            .finish_non_exhaustive()
    }
}

/// Why the setting cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "token {position} of the setting {problem}; a token is name:scopes:hash, where scopes are of \
     read,write,admin and hash is the SHA-256 of its text in 64 hex digits"
)]
pub struct TokensError {
    /// Counted from 1.
    position: usize,
    problem: &'static str,
}

/// Why a request was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// There is no token in the request.
    #[error("this needs a token; send the header Authorization: Bearer <token>")]
    Missing,
    /// The token is not configured.
    #[error("the token is not one of this site's; ask its operator for one")]
    Unknown,
    /// The token may not do this.
    #[error("the token {holder:?} may not do this; it needs the scope {}", .needed.name())]
    Scope {
        /// Whose token it is.
        holder: String,
        /// What it lacks.
        needed: Scope,
    },
    /// It cannot be said which tokens there are.
    #[error("the site's tokens cannot be used: {0}")]
    Unusable(String),
}

impl Tokens {
    /// Reads the setting. An empty one has no tokens.
    ///
    /// # Errors
    ///
    /// Names the first token that cannot be read.
    pub fn parse(setting: &str) -> Result<Self, TokensError> {
        let mut tokens: Vec<Token> = Vec::new();
        for (item, text) in setting.split_whitespace().enumerate() {
            let fail = |problem| TokensError {
                position: item + 1,
                problem,
            };
            let token = parse_token(text).map_err(fail)?;
            if tokens.iter().any(|earlier| earlier.name == token.name) {
                return Err(fail("has the name of an earlier one"));
            }
            tokens.push(token);
        }
        Ok(Self(tokens))
    }

    /// The setting for one token.
    #[must_use]
    pub fn setting(name: &str, scopes: &[Scope], token: &str) -> String {
        let scopes: Vec<&str> = scopes.iter().map(|scope| scope.name()).collect();
        let hash = hex::encode(Sha256::digest(token));
        format!("{name}:{}:{hash}", scopes.join(","))
    }

    /// Whose token this is, if it may do what `needed` says. Takes as long for every token.
    ///
    /// # Errors
    ///
    /// Where no such token is configured, or it has not that scope.
    pub fn holder(&self, token: &str, needed: Scope) -> Result<&str, Denied> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(Denied::Unknown);
        }
        let hash: [u8; 32] = Sha256::digest(token).into();
        let mut found = None;
        for token in &self.0 {
            if bool::from(token.hash.ct_eq(&hash)) {
                found = Some(token);
            }
        }
        let token = found.ok_or(Denied::Unknown)?;
        if !token.scopes.contains(&needed) {
            return Err(Denied::Scope {
                holder: token.name.clone(),
                needed,
            });
        }
        Ok(&token.name)
    }
}

fn parse_token(text: &str) -> Result<Token, &'static str> {
    let mut parts = text.split(':');
    let (Some(name), Some(scopes), Some(hash), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err("has not three parts");
    };
    if name.is_empty() {
        return Err("has no name");
    }
    let mut allowed = Vec::new();
    for scope in scopes.split(',') {
        let known = Scope::ALL.into_iter().find(|known| known.name() == scope);
        allowed.push(known.ok_or("has an unknown scope")?);
    }
    let mut bytes = [0; 32];
    hex::decode_to_slice(hash, &mut bytes).map_err(|_| "has no SHA-256 as its hash")?;
    Ok(Token {
        name: name.to_owned(),
        scopes: allowed,
        hash: bytes,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn each_token_may_do_what_its_scopes_say() {
        let setting = format!(
            "{}\n  {} ",
            Tokens::setting("reader", &[Scope::Read], "r"),
            Tokens::setting("operator", &Scope::ALL, "o")
        );
        let tokens = Tokens::parse(&setting).unwrap();
        assert_eq!(tokens.holder("r", Scope::Read), Ok("reader"));
        assert_eq!(tokens.holder("o", Scope::Admin), Ok("operator"));
        let denied = tokens.holder("r", Scope::Write).unwrap_err();
        assert!(denied.to_string().contains("the scope write"), "{denied}");
        for unknown in ["", "R", "r ", "rr", &"r".repeat(2_000)] {
            assert_eq!(tokens.holder(unknown, Scope::Read), Err(Denied::Unknown));
        }
        let none = Tokens::parse(" \n").unwrap();
        assert_eq!(none.holder("", Scope::Read), Err(Denied::Unknown));
    }

    #[test]
    fn a_setting_that_is_wrong_is_refused() {
        let good = Tokens::setting("a", &[Scope::Read], "x");
        for (setting, problem) in [
            ("a".to_owned(), "three parts"),
            (format!("{good}:"), "three parts"),
            (good.replacen('a', "", 1), "no name"),
            (good.replacen("read", "root", 1), "unknown scope"),
            (good.replacen("read", "", 1), "unknown scope"),
            (good[..good.len() - 1].to_owned(), "no SHA-256"),
            (format!("{good} {good}"), "an earlier one"),
        ] {
            let error = Tokens::parse(&setting).unwrap_err().to_string();
            assert!(error.contains(problem), "{setting}: {error}");
        }
    }
}
