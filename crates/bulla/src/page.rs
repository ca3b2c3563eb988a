//! Text for whoever reads it on a terminal: as wide as that is, with a little colour.

use std::fmt::Write as _;
use std::io::IsTerminal;

use crate::exit::one_line;

/// Where nobody says how wide the terminal is.
const COLUMNS: usize = 80;
/// Longer lines are hard to read, shorter ones no better than broken words.
const COLUMNS_MIN: usize = 60;
const COLUMNS_MAX: usize = 120;

/// Where it is written to.
pub(crate) struct Page {
    columns: usize,
    colours: bool,
}

impl Page {
    /// Standard output.
    pub(crate) fn new() -> Self {
        let is_terminal = std::io::stdout().is_terminal();
        let size = is_terminal.then(|| rustix::termios::tcgetwinsize(std::io::stdout()).ok()).flatten();
        let columns = size.map(|size| usize::from(size.ws_col)).filter(|columns| *columns > 0);
        Self {
            columns: columns.unwrap_or(COLUMNS).clamp(COLUMNS_MIN, COLUMNS_MAX),
            // Source: no-color.org.
            colours: is_terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
        }
    }

    /// Words of a colour, or bold: by the number of the terminal's attribute.
    pub(crate) fn coloured(&self, text: &str, attribute: &str) -> String {
        if self.colours { format!("\u{1b}[{attribute}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    /// Bold words.
    pub(crate) fn bold(&self, text: &str) -> String {
        self.coloured(text, "1")
    }

    /// Words after `first`, broken where the line ends; further lines are indented as far as the first one's words. Whatever the
    /// words hold, it can't drive a terminal.
    pub(crate) fn hanging(&self, out: &mut String, first: &str, text: &str) {
        let indent = visible(first);
        let mut line = first.to_owned();
        let mut width = indent;
        let mut is_empty = true;
        for word in one_line(text).split_whitespace() {
            let more = word.chars().count() + usize::from(!is_empty);
            if width + more > self.columns && !is_empty {
                // Writing to a string doesn't fail.
                let _ = writeln!(out, "{}", line.trim_end());
                line = " ".repeat(indent);
                width = indent;
                is_empty = true;
            }
            if !is_empty {
                line.push(' ');
                width += 1;
            }
            line.push_str(word);
            width += word.chars().count();
            is_empty = false;
        }
        let _ = writeln!(out, "{}", line.trim_end());
    }
}

/// How many columns a text takes that has attributes in it.
fn visible(text: &str) -> usize {
    let mut count = 0;
    let mut is_attribute = false;
    for character in text.chars() {
        match (is_attribute, character) {
            (_, '\u{1b}') => is_attribute = true,
            (true, 'm') => is_attribute = false,
            (true, _) => {}
            (false, _) => count += 1,
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_broken_and_arns_are_not() {
        let page = Page { columns: 60, colours: true };
        let mut out = String::new();
        let arn = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
        let first = format!("  {}  ", page.bold("on"));
        page.hanging(&mut out, &first, &format!("one two {arn} and {}", "many more words ".repeat(4)));
        let expected = format!(
            "  \u{1b}[1mon\u{1b}[0m  one two\n      {arn}\n      and many more words many more words many more words\n      \
             many more words\n"
        );
        assert_eq!(out, expected);
    }

    #[test]
    fn what_a_policy_holds_can_not_drive_a_terminal() {
        let mut out = String::new();
        Page { columns: 60, colours: false }.hanging(&mut out, "", "a \u{1b}[31mred\u{7} word\n");
        assert_eq!(out, "a \\u{1b}[31mred\\u{7} word\n");
    }
}
