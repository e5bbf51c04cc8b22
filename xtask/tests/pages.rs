//! The pages are true to the tree: their links lead somewhere, the paths that they name exist,
//! ARCHITECTURE.md is short enough to be read, and each crate's first page names all its modules.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

/// The page that everybody reads first, and its greatest length in bytes.
const ARCHITECTURE: (&str, u64) = ("ARCHITECTURE.md", 12 * 1024);

/// Folders with nothing that somebody wrote.
const NOT_WRITTEN: [&str; 5] = [".git", "build", "node_modules", "state", "target"];

/// Modules that no page need name.
const UNNAMED: [&str; 2] = ["bindings", "tests"];

#[test]
fn pages_are_true_to_the_tree() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let faults = faults(&root.canonicalize().unwrap());
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn the_first_page_is_short_enough_to_be_read() {
    let (name, most) = ARCHITECTURE;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let length = fs::metadata(root.join(name)).unwrap().len();
    assert!(
        length <= most,
        "{name} has {length} bytes; details belong in docs/"
    );
}

#[test]
fn links_and_paths_that_lead_nowhere_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    fs::create_dir_all(root.join("docs")).unwrap();
    fs::create_dir_all(root.join("state")).unwrap();
    fs::write(root.join("a.md"), "# A page, `quoted`\n").unwrap();
    let text = "[a](../a.md#a-page-quoted) [b](../b.md) [c](#none) [web](https://example.org/x)\n\
         `docs/{page, other}.md` `docs/` `1/2` `/healthz` `state/key`\n\
         ```\n[d](d.md) `docs/e.md`\n```\n";
    let page = root.join("docs/page.md");
    fs::write(&page, text).unwrap();
    let expected = [
        "\"../b.md\" is linked to and does not exist",
        "\"#none\" is linked to, and has no such heading",
        "`docs/other.md` does not exist",
    ];
    assert_eq!(page_faults(root, &page, text), expected);
}

#[test]
fn modules_that_the_first_page_leaves_out_are_named() {
    let source = "//! `one` does this.\n\nmod one;\npub mod two;\n#[cfg(test)]\nmod three;\nmod tests;\n\
         mod inline {}\n";
    let expected = ["module `two` is not named on the first page"];
    assert_eq!(unnamed_modules(source), expected);
}

/// Everything on a page that is false.
fn faults(root: &Path) -> Vec<String> {
    let mut files = Vec::new();
    collect(root, &mut files);
    files.sort();
    let mut faults = Vec::new();
    for file in &files {
        let text = || fs::read_to_string(file).unwrap();
        let name = file.strip_prefix(root).unwrap().display();
        let found = match file.extension().and_then(OsStr::to_str) {
            Some("md") => page_faults(root, file, &text()),
            Some("rs") if is_crate_root(file) => unnamed_modules(&text()),
            _ => continue,
        };
        faults.extend(found.into_iter().map(|fault| format!("{name}: {fault}")));
    }
    faults
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
        if path.is_dir() && !NOT_WRITTEN.contains(&name) {
            collect(&path, files);
        } else if path.is_file() {
            files.push(path);
        }
    }
}

/// Links that lead nowhere, and paths of code that do not exist.
fn page_faults(root: &Path, file: &Path, text: &str) -> Vec<String> {
    let folder = file.parent().unwrap_or(root);
    let prose = without_code_blocks(text);
    let mut faults = Vec::new();
    for link in links(&prose) {
        let (path, heading) = link.split_once('#').unwrap_or((link, ""));
        let target = match path {
            "" => file.to_owned(),
            path => folder.join(path),
        };
        if !target.exists() {
            faults.push(format!("{path:?} is linked to and does not exist"));
        } else if !heading.is_empty() {
            let page = fs::read_to_string(&target).unwrap_or_default();
            if !headings(&page).contains(heading) {
                faults.push(format!("{link:?} is linked to, and has no such heading"));
            }
        }
    }
    for path in code_spans(&prose).flat_map(alternatives) {
        let exists = root.join(&path).exists() || folder.join(&path).exists();
        let first = path.split_once('/').map_or("", |(first, _)| first);
        let is_ours =
            !first.is_empty() && !NOT_WRITTEN.contains(&first) && root.join(first).is_dir();
        if is_ours && is_path(&path) && !exists {
            faults.push(format!("`{path}` does not exist"));
        }
    }
    faults
}

fn without_code_blocks(text: &str) -> String {
    let mut inside = false;
    let lines = text.lines().filter(|line| {
        let fence = line.trim_start().starts_with("```");
        inside ^= fence;
        !inside && !fence
    });
    lines.flat_map(|line| [line, "\n"]).collect()
}

/// Targets of links within the tree.
fn links(prose: &str) -> impl Iterator<Item = &str> {
    let after = prose.split("](").skip(1);
    let targets = after.filter_map(|rest| rest.split_once(')').map(|(target, _)| target));
    targets.filter(|target| !target.contains("://"))
}

/// The names by which links lead to a page's headings.
fn headings(page: &str) -> BTreeSet<String> {
    let prose = without_code_blocks(page);
    let titles = prose.lines().filter_map(|line| {
        let title = line.trim_start_matches('#');
        (title.len() < line.len()).then_some(title.trim())
    });
    let name = |title: &str| {
        let kept = title
            .chars()
            .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.map(|c| if c == ' ' { '-' } else { c })
            .collect::<String>()
            .to_lowercase()
    };
    titles.map(name).collect()
}

/// What stands between backticks.
fn code_spans(prose: &str) -> impl Iterator<Item = &str> {
    prose.split('`').skip(1).step_by(2)
}

/// `a/{b, c}` as `a/b` and `a/c`.
fn alternatives(span: &str) -> Vec<String> {
    let parts = span
        .split_once('{')
        .and_then(|(before, rest)| Some((before, rest.split_once('}')?)));
    match parts {
        None => vec![span.to_owned()],
        Some((before, (choices, after))) => choices
            .split(',')
            .map(|choice| format!("{before}{}{after}", choice.trim()))
            .collect(),
    }
}

fn is_path(span: &str) -> bool {
    span.chars()
        .all(|c| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '-' | '_'))
}

fn is_crate_root(file: &Path) -> bool {
    let folder = file.parent().and_then(Path::file_name);
    let name = file.file_name();
    folder == Some(OsStr::new("src"))
        && (name == Some(OsStr::new("lib.rs")) || name == Some(OsStr::new("main.rs")))
}

/// The modules that a crate's first page does not name.
fn unnamed_modules(source: &str) -> Vec<String> {
    let page: Vec<&str> = source
        .lines()
        .filter_map(|line| line.strip_prefix("//!"))
        .collect();
    let page = page.join("\n");
    let words: BTreeSet<&str> = page
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .collect();
    let unnamed =
        modules(source).filter(|module| !words.contains(module) && !UNNAMED.contains(module));
    unnamed
        .map(|module| format!("module `{module}` is not named on the first page"))
        .collect()
}

/// The modules in files of their own that a crate root declares, those of tests left out.
fn modules(source: &str) -> impl Iterator<Item = &str> {
    let before = std::iter::once("").chain(source.lines());
    let declared = source.lines().zip(before);
    declared.filter_map(|(line, before)| {
        let (visibility, name) = line.strip_suffix(';')?.rsplit_once("mod ")?;
        let is_module = matches!(visibility, "" | "pub " | "pub(crate) ");
        (is_module && !before.starts_with("#[cfg(test)]")).then_some(name)
    })
}
