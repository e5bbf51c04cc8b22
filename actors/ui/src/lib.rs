//! The page a person sees: `fieldledger:ui/assets` from files that are part of the component.
//!
//! The files are in `assets/` and are served as they are: no build step, no framework, nothing
//! from another server.
#![deny(unsafe_code)]

// Generated code exports functions to the host, which Rust counts as unsafe.
#[allow(missing_docs, unsafe_code, clippy::all, clippy::pedantic)]
mod bindings {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "ui",
        with: { "fieldledger:ui/types@0.1.0": ::fieldledger_contract::ui },
        generate_all,
    });

    use super::Ui;
    export!(Ui with_types_in self);
}
mod files;

use bindings::exports::fieldledger::ui::assets::Guest;
use fieldledger_contract::ui::Asset;

struct Ui;

impl Guest for Ui {
    fn get(path: String) -> Option<Asset> {
        let file = files::find(&path)?;
        Some(Asset {
            content_type: file.content_type.to_owned(),
            etag: file.etag(),
            body: file.text.to_owned(),
        })
    }
}
