//! The files of the page: `fieldledger:ui/types`.

use fieldledger_contract_derive::Wire;

/// A file of the page.
#[derive(Debug, Clone, PartialEq, Eq, Wire)]
pub struct Asset {
    /// Media type, with charset.
    pub content_type: String,
    /// Strong entity tag, quoted, as HTTP wants it.
    pub etag: String,
    /// Text as it is.
    pub body: String,
}
