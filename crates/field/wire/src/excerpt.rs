//! Hostile text, cut to what an error message or a log line may quote of it.

/// The longest quotation, in characters.
const MAX_CHARACTERS: usize = 48;

/// `text`, cut, with control characters escaped, in quotation marks.
pub(crate) fn quoted(text: &str) -> String {
    let mut characters = text.chars();
    let beginning: String = characters.by_ref().take(MAX_CHARACTERS).collect();
    let ellipsis = if characters.next().is_some() {
        "…"
    } else {
        ""
    };
    format!("\"{}{ellipsis}\"", beginning.escape_debug())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_text_is_quoted_whole() {
        assert_eq!(quoted("sim.poll"), "\"sim.poll\"");
    }

    #[test]
    fn long_text_is_cut_and_control_characters_are_escaped() {
        let cut = quoted(&"\n".repeat(1_000));
        assert_eq!(cut.matches("\\n").count(), MAX_CHARACTERS);
        assert!(cut.ends_with("…\""));
    }
}
