//! A property test that forgets the seed draws what nobody can repeat, so the sources are searched
//! for such.

use std::fs;
use std::path::{Path, PathBuf};

/// Where tests are, from the root of the sources.
const FOLDERS: [&str; 7] = [
    "actors",
    "cli",
    "crates",
    "firmware",
    "providers",
    "simulator",
    "tests",
];

/// The Rust files of a folder, but not what builds have left.
fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for item in fs::read_dir(folder).expect("the folder can be read") {
        let path = item.expect("the folder can be read to its end").path();
        if path.is_dir() && !path.ends_with("target") {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn every_property_test_draws_from_the_seed() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..");
    let mut files = Vec::new();
    for folder in FOLDERS {
        sources(&root.join(folder), &mut files);
    }
    let mut tests = 0;
    for file in files {
        let text = fs::read_to_string(&file).expect("the file can be read");
        let mut lines = text.lines();
        while lines.any(|line| line.ends_with("proptest! {")) {
            tests += 1;
            let settings = lines.next().unwrap_or_default();
            let named = settings.matches("proptest_config(").count();
            // Once as proptest's attribute, and once as what it is given.
            assert!(
                named == 2,
                "{}: `proptest! {{` must be followed by \
                 `#![proptest_config(proptest_config())]`, of fieldledger_chance",
                file.display()
            );
        }
    }
    assert!(tests > 50, "only {tests} were found");
}
