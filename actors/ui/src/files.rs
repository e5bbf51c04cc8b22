//! The files of the page.

/// One file.
pub(crate) struct File {
    path: &'static str,
    pub(crate) content_type: &'static str,
    pub(crate) text: &'static str,
    hash: u64,
}

impl File {
    const fn new(path: &'static str, content_type: &'static str, text: &'static str) -> Self {
        Self {
            path,
            content_type,
            text,
            hash: fnv1a(text.as_bytes()),
        }
    }

    /// Strong entity tag: equal for equal text only, as far as one author's versions of a page go.
    pub(crate) fn etag(&self) -> String {
        format!("\"{:016x}\"", self.hash)
    }
}

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml; charset=utf-8";

// A static, so that the hashes are made once, by the compiler.
static FILES: [File; 13] = [
    File::new("/", HTML, include_str!("../assets/index.html")),
    File::new("/style.css", CSS, include_str!("../assets/style.css")),
    File::new("/icon.svg", SVG, include_str!("../assets/icon.svg")),
    File::new("/app.js", SCRIPT, include_str!("../assets/app.js")),
    File::new("/api.js", SCRIPT, include_str!("../assets/api.js")),
    File::new("/chart.js", SCRIPT, include_str!("../assets/chart.js")),
    File::new("/dom.js", SCRIPT, include_str!("../assets/dom.js")),
    File::new("/format.js", SCRIPT, include_str!("../assets/format.js")),
    File::new("/log.js", SCRIPT, include_str!("../assets/log.js")),
    File::new("/proof.js", SCRIPT, include_str!("../assets/proof.js")),
    File::new(
        "/refusals.js",
        SCRIPT,
        include_str!("../assets/refusals.js"),
    ),
    File::new("/sensors.js", SCRIPT, include_str!("../assets/sensors.js")),
    File::new("/verify.js", SCRIPT, include_str!("../assets/verify.js")),
];

/// The file at an absolute path.
pub(crate) fn find(path: &str) -> Option<&'static File> {
    FILES.iter().find(|file| file.path == path)
}

/// FNV-1a, 64 bits: <http://www.isthe.com/chongo/tech/comp/fnv/>.
const fn fnv1a(bytes: &[u8]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325;
    let mut at = 0;
    while at < bytes.len() {
        hash ^= bytes[at] as u64;
        hash = hash.wrapping_mul(0x0000_0100_0000_01b3);
        at += 1;
    }
    hash
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::collections::HashSet;

    use super::*;

    #[test]
    fn fnv1a_gives_its_published_values() {
        assert_eq!(fnv1a(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a(b"foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn only_known_paths_have_a_file() {
        assert!(find("/").unwrap().text.starts_with("<!doctype html>"));
        for path in [
            "",
            "app.js",
            "//",
            "/app.js/",
            "/../app.js",
            "/index.html",
            "/APP.JS",
        ] {
            assert!(find(path).is_none(), "{path}");
        }
    }

    #[test]
    fn entity_tags_are_quoted_and_tell_files_apart() {
        let tags: HashSet<String> = FILES.iter().map(File::etag).collect();
        assert_eq!(tags.len(), FILES.len());
        assert!(
            tags.iter()
                .all(|tag| tag.len() == 18 && tag.starts_with('"'))
        );
    }

    /// What follows `start`, up to the quote that ends it.
    fn quoted_after<'a>(text: &'a str, start: &'a str) -> impl Iterator<Item = &'a str> {
        text.split(start)
            .skip(1)
            .map(|rest| rest.split(['"', '\'']).next().unwrap())
    }

    #[test]
    fn every_file_referred_to_is_there_and_every_file_is_referred_to() {
        let mut referred = HashSet::from(["/"]);
        for file in &FILES {
            for start in ["src=\"", "href=\"", " from '"] {
                for path in quoted_after(file.text, start).filter(|path| !path.starts_with('#')) {
                    let name = path.strip_prefix("./").unwrap_or(path);
                    let found = FILES.iter().find(|file| file.path[1..] == *name);
                    let found = found.map(|file| file.path);
                    assert!(found.is_some(), "{} refers to {path}", file.path);
                    referred.extend(found);
                }
            }
        }
        for file in &FILES {
            assert!(referred.contains(file.path), "{} is not used", file.path);
        }
    }

    /// A proxy may show the page below any path.
    #[test]
    fn nothing_is_looked_for_at_the_root() {
        for file in &FILES {
            for start in ["'/", "\"/", "`/", "url(/"] {
                let found = file.text.find(start).map(|at| &file.text[at..]);
                let line = found.and_then(|rest| rest.lines().next());
                assert_eq!(line, None, "{}", file.path);
            }
        }
    }

    #[test]
    fn every_element_that_a_script_names_is_in_the_page() {
        let page = find("/").unwrap().text;
        for file in FILES.iter().filter(|file| file.content_type == SCRIPT) {
            for start in ["byId('", "showError('"] {
                for id in quoted_after(file.text, start) {
                    assert!(
                        page.contains(&format!("id=\"{id}\"")),
                        "{}: {id}",
                        file.path
                    );
                }
            }
        }
    }

    #[test]
    fn no_text_becomes_markup_and_nothing_inline_breaks_the_content_policy() {
        for file in FILES.iter().filter(|file| file.content_type == SCRIPT) {
            for forbidden in [
                "innerHTML",
                "outerHTML",
                "insertAdjacentHTML",
                "document.write",
                "eval(",
                "new Function",
                "'style'",
            ] {
                assert!(!file.text.contains(forbidden), "{}: {forbidden}", file.path);
            }
        }
        let page = find("/").unwrap().text;
        for forbidden in [
            "<style",
            " style=",
            " onclick=",
            "<script>",
            "javascript:",
            "://",
        ] {
            assert!(!page.contains(forbidden), "{forbidden}");
        }
    }
}
