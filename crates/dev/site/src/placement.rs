//! Labels by which `wadm.yaml` says what runs where.

/// A host that may run what there is once: ledger, gateway and the logic.
pub(crate) fn central_label() -> (String, String) {
    ("fieldledger-central".to_owned(), "true".to_owned())
}

/// Key of the label that names a host's site.
pub(crate) const SITE_LABEL: &str = "fieldledger-site";

/// A host that polls the field of `site`.
pub(crate) fn site_label(site: &str) -> (String, String) {
    (SITE_LABEL.to_owned(), site.to_owned())
}

/// The site whose polling `wadm.yaml` describes: the centre's own.
pub(crate) const MAIN_SITE: &str = "main";
