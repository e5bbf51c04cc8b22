//! What a search asks for: its language, its times, and the token that names its result.

pub(crate) mod cursor;
pub(crate) mod language;
pub(crate) mod times;
