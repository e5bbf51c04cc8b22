//! Results as text or JSON, notes, progress, errors.
//!
//! Results go to standard output, all else to standard error. What comes from a server or a file is
//! shown by way of [`plain`], so that it cannot speak to the terminal.

use std::error::Error;
use std::fmt::{Display, Write as _};
use std::io::{self, IsTerminal as _, Write as _};

use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};
use comfy_table::presets::NOTHING;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use serde_json::json;

use crate::exit::Exit;

/// Where a command writes to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    json: bool,
    quiet: bool,
    color: ColorChoice,
}

impl Output {
    pub(crate) fn new(json: bool, quiet: bool, color: ColorChoice) -> Self {
        Self { json, quiet, color }
    }

    /// Shows a command's result: one JSON document with `--json`, else its text.
    ///
    /// # Errors
    ///
    /// Where standard output cannot be written to.
    pub(crate) fn show(self, result: &(impl Serialize + Display)) -> anyhow::Result<()> {
        if self.json {
            let text = serde_json::to_string_pretty(result)?;
            return self.write(&format!("{text}\n"));
        }
        let text = result.to_string();
        self.write(&format!("{}\n", text.trim_end_matches('\n')))
    }

    /// Shows one of many results, each on a line of its own: JSON lines with `--json`.
    ///
    /// # Errors
    ///
    /// Where standard output cannot be written to.
    pub(crate) fn line(self, result: &(impl Serialize + Display)) -> anyhow::Result<()> {
        match self.json {
            true => self.write(&format!("{}\n", serde_json::to_string(result)?)),
            false => self.write(&format!("{result}\n")),
        }
    }

    /// Writes text as it is, such as a script.
    ///
    /// # Errors
    ///
    /// Where standard output cannot be written to.
    pub(crate) fn write(self, text: &str) -> anyhow::Result<()> {
        let mut out = AutoStream::new(io::stdout(), self.color).lock();
        out.write_all(text.as_bytes())?;
        out.flush()?;
        Ok(())
    }

    /// Says something that is not a result; not with `--quiet`.
    pub(crate) fn note(self, text: &str) {
        if !self.quiet {
            // Nobody may be reading.
            let _ = writeln!(AutoStream::new(io::stderr(), self.color), "{text}");
        }
    }

    /// A bar that shows how far long work is, on a terminal only; `total` where it is known.
    pub(crate) fn progress(self, total: Option<u64>, what: &'static str) -> ProgressBar {
        let shown = !self.quiet && io::stderr().is_terminal();
        let target = match shown {
            true => ProgressDrawTarget::stderr_with_hz(5),
            false => ProgressDrawTarget::hidden(),
        };
        let template = match total {
            Some(_) => "{prefix} {bar:30} {human_pos}/{human_len} {per_sec}, {eta} left",
            None => "{prefix} {spinner} {human_pos} {per_sec}",
        };
        // The templates are constants, and a test reads both.
        let style =
            ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        ProgressBar::with_draw_target(total, target)
            .with_style(style)
            .with_prefix(what)
    }

    /// Says once what went wrong, with all causes.
    pub(crate) fn error(self, error: &anyhow::Error, exit: Exit) {
        let texts: Vec<String> = chain(error.as_ref())
            .iter()
            .map(|text| plain(text))
            .collect();
        if self.json {
            return json_error(&texts[0], &texts[1..], exit);
        }
        let mut err = AutoStream::new(io::stderr(), self.color);
        let word = bad("error");
        // Nobody may be reading.
        let _ = writeln!(err, "{word}: {}", texts.join(": "));
    }
}

/// An error and its causes in words. A cause whose text its effect repeats adds nothing.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> Vec<String> {
    let mut texts: Vec<String> = anyhow::Chain::new(error).map(ToString::to_string).collect();
    texts.dedup();
    texts
}

/// One line of JSON on standard error.
pub(crate) fn json_error(message: &str, causes: &[String], exit: Exit) {
    let error = json!({"error": {"message": message, "causes": causes, "exit_code": exit as u8}});
    // Nobody may be reading.
    let _ = writeln!(io::stderr(), "{error}");
}

/// Rows below a heading, in columns as wide as they need to be.
pub(crate) fn table<const COLUMNS: usize>(
    heading: [&str; COLUMNS],
    rows: impl IntoIterator<Item = [String; COLUMNS]>,
) -> String {
    let mut table = comfy_table::Table::new();
    table.load_preset(NOTHING);
    table.set_header(heading.map(str::to_uppercase));
    for row in rows {
        table.add_row(row);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.trim_fmt()
}

/// Names and values, one pair on a line.
pub(crate) fn pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, String)>) -> String {
    let pairs: Vec<(&str, String)> = pairs.into_iter().collect();
    let width = pairs.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let mut text = String::new();
    for (name, value) in pairs {
        // Writing to a text does not fail.
        let _ = writeln!(text, "{name:width$}  {value}");
    }
    text
}

/// A word for what holds, in green.
pub(crate) fn good(word: &str) -> String {
    painted(word, AnsiColor::Green)
}

/// A word for what does not hold, in red.
pub(crate) fn bad(word: &str) -> String {
    painted(word, AnsiColor::Red)
}

fn painted(word: &str, color: AnsiColor) -> String {
    let style = Style::new().bold().fg_color(Some(color.into()));
    format!("{style}{word}{style:#}")
}

/// Text from outside without anything that a terminal would obey: control characters, and the marks
/// that turn the direction of text around, are written as Rust does.
pub(crate) fn plain(text: &str) -> String {
    let obeyed = |character: char| {
        character.is_control()
            || matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let mut plain = String::with_capacity(text.len());
    for character in text.chars() {
        match obeyed(character) {
            true => plain.extend(character.escape_default()),
            false => plain.push(character),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_shown_instead() {
        assert_eq!(plain("a\u{1b}[2Jb\r\n"), "a\\u{1b}[2Jb\\r\\n");
        assert_eq!(plain("Kälte \u{202e}x"), "Kälte \\u{202e}x");
    }

    #[test]
    fn columns_and_pairs_line_up() {
        let row = |cells: [&str; 2]| cells.map(str::to_owned);
        let text = table(["name", "size"], [row(["a", "1"]), row(["longer", "20"])]);
        assert_eq!(text, "NAME    SIZE\na       1\nlonger  20");
        let text = pairs([("a", "1".to_owned()), ("long", "2".to_owned())]);
        assert_eq!(text, "a     1\nlong  2\n");
    }

    #[test]
    fn progress_templates_can_be_read() {
        let output = Output::new(false, false, ColorChoice::Never);
        for total in [None, Some(10)] {
            let bar = output.progress(total, "reading");
            assert!(bar.is_hidden() || io::stderr().is_terminal());
            assert_eq!(bar.prefix(), "reading");
        }
    }
}
