//! The ledger's functions about Pangea's trees.

use fieldledger_audit::log::{MAX_PAGE, validate_page_limit};
use fieldledger_contract::audit::{Restriction, SearchPage, SearchQuery};
use fieldledger_contract::ledger::{PangeaLogged, PangeaPage, PangeaRoot};
use fieldledger_pangea_tree::Hash;

use super::Ledger;
use crate::error::QueryError;
use crate::pangea::ResultId;

impl Ledger {
    /// Entries that match, from the first, with their places in Pangea's trees. What a client was told
    /// of by [`Ledger::pangea_logged`] is found, unless the index takes more than 2 s for it.
    ///
    /// # Errors
    ///
    /// As [`Ledger::search`].
    pub fn pangea_search(&self, query: &SearchQuery) -> Result<PangeaPage, QueryError> {
        let verbose = query.verbose;
        self.0.search.wait_for(self.0.pangea.answered());
        let found = self.0.search.search(&plain(query), &self.0.proofs)?;
        self.0.pangea.page(found, None, verbose, &self.0.proofs)
    }

    /// More of an earlier search. Its proofs lead to the published root of that search as long as
    /// this covers the page. `restriction` must be that of the search, if it is given.
    ///
    /// # Errors
    ///
    /// As [`Ledger::page`]; [`QueryError::Invalid`] for another restriction, and for an `offset`
    /// beyond the end.
    pub fn pangea_page(
        &self,
        id: &str,
        offset: u32,
        limit: u32,
        restriction: Option<&Restriction>,
    ) -> Result<PangeaPage, QueryError> {
        let ResultId {
            verbose,
            published,
            search: search_id,
        } = ResultId::parse(id)?;
        let found = self
            .0
            .search
            .page(search_id, offset, limit, &self.0.proofs)?;
        if let Some(expected) = restriction {
            self.0.search.check_restriction(search_id, expected)?;
        }
        if u64::from(offset) > found.count {
            let problem = format!("is {offset}, but the result has {} events", found.count);
            return Err(QueryError::parameter("offset", problem));
        }
        let page = self
            .0
            .pangea
            .page(found, Some(published), verbose, &self.0.proofs)?;
        Ok(PangeaPage {
            id: id.to_owned(),
            ..page
        })
    }

    /// The published root of this size; the newest for none.
    ///
    /// # Errors
    ///
    /// [`QueryError::NotFound`] where there is none.
    pub fn pangea_root(&self, size: Option<u64>) -> Result<PangeaRoot, QueryError> {
        self.0.pangea.root(size)
    }

    /// Proofs of entries that were just appended, and of how their hot tree continues the one with
    /// the root `previous_root`, in hexadecimal, which a client was told of before.
    ///
    /// # Errors
    ///
    /// [`QueryError::Invalid`] for what is not a hash, or too many entries; [`QueryError::NotFound`]
    /// beyond the end of the log.
    pub fn pangea_logged(
        &self,
        indices: &[u64],
        previous_root: Option<&str>,
    ) -> Result<Vec<PangeaLogged>, QueryError> {
        let found = indices.len();
        if found > MAX_PAGE as usize {
            let problem = format!("has {found} items; at most {MAX_PAGE} are allowed");
            return Err(QueryError::parameter("indices", problem));
        }
        let previous: Option<Hash> = previous_root
            .map(str::parse)
            .transpose()
            .map_err(|error| QueryError::parameter("previous_root", format!("{error}")))?;
        let size = self.checkpoint().tree_size;
        let mut entries = Vec::with_capacity(found);
        for &index in indices {
            if index >= size {
                let problem = format!("no entry {index}; the log has {size} entries");
                return Err(QueryError::NotFound(problem));
            }
            entries.push(self.0.proofs.entry(index)?);
            self.0.pangea.answer(index);
        }
        self.0.pangea.logged(entries, previous, &self.0.proofs)
    }

    /// The entries received from `start` and before `end`, as the search understands these: the
    /// first of them, and the first after them.
    ///
    /// # Errors
    ///
    /// [`QueryError::Invalid`] names the parameter.
    pub fn span(&self, start: Option<&str>, end: Option<&str>) -> Result<(u64, u64), QueryError> {
        let size = self.checkpoint().tree_size;
        self.0.search.span(start, end, size)
    }

    /// The entries `from..to` of the log as a page, at most 1,000, with proofs against the
    /// published root of size `published`, as far as that covers them.
    ///
    /// # Errors
    ///
    /// [`QueryError::Invalid`] for too many entries, [`QueryError::NotFound`] beyond the log's end.
    pub fn pangea_entries(
        &self,
        from: u64,
        to: u64,
        published: Option<u64>,
        verbose: bool,
    ) -> Result<PangeaPage, QueryError> {
        let checkpoint = self.checkpoint();
        let size = checkpoint.tree_size;
        if from > to || to > size {
            let problem = format!("no entries {from} to {to}; the log has {size}");
            return Err(QueryError::NotFound(problem));
        }
        let count = to - from;
        validate_page_limit(u32::try_from(count.max(1)).unwrap_or(u32::MAX))
            .map_err(QueryError::Invalid)?;
        let entries = (from..to).map(|index| self.0.proofs.entry(index));
        let found = SearchPage {
            id: String::new(),
            expires_at: None,
            count,
            total: count,
            entries: entries.collect::<Result<_, _>>()?,
            checkpoint,
            indexed_size: self.0.search.indexed_size(),
        };
        self.0
            .pangea
            .page(found, published, verbose, &self.0.proofs)
    }

    /// Keeps a text, durably, until somebody comes back for it with the name that is the answer: 32
    /// letters and digits that nobody can guess. `expires_at` is in microseconds since the Unix
    /// epoch.
    ///
    /// # Errors
    ///
    /// [`QueryError::Invalid`] for more than 128 KiB, [`QueryError::Unavailable`] where 10,000 are
    /// kept already.
    pub fn keep(&self, content: &str, expires_at: u64) -> Result<String, QueryError> {
        self.0
            .pangea
            .keep(content, self.0.search.clock.now(), expires_at)
    }

    /// Keeps a text under a name of the caller's, 32 lower-case letters and digits, unless one is kept
    /// there that has not expired. The answer is the text that is kept there then.
    ///
    /// # Errors
    ///
    /// [`QueryError::Invalid`] for another name, or more than 128 KiB; [`QueryError::Unavailable`] where
    /// 100,000 are kept already.
    pub fn keep_as(
        &self,
        name: &str,
        content: &str,
        expires_at: u64,
    ) -> Result<String, QueryError> {
        self.0
            .pangea
            .keep_as(name, content, self.0.search.clock.now(), expires_at)
    }

    /// What was kept under this name.
    ///
    /// # Errors
    ///
    /// [`QueryError::NotFound`] where nothing was, [`QueryError::Expired`] where it no longer is.
    pub fn kept(&self, name: &str) -> Result<String, QueryError> {
        self.0.pangea.kept(name, self.0.search.clock.now())
    }
}

/// The same search without RFC 6962 proofs, which nobody here reads.
fn plain(query: &SearchQuery) -> SearchQuery {
    SearchQuery {
        verbose: false,
        ..query.clone()
    }
}
