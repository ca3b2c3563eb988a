//! What of a stranger's text is not to reach a terminal or a log as it is.

/// Whether a character drives a terminal, ends a line, or changes the order in which those around it are shown: controls (C0,
/// DEL, C1), the separators of lines and paragraphs, and the marks of direction (Unicode Standard Annex 9, explicit and
/// implicit).
#[must_use]
pub fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A JSON text of one line in which those stand as `\u` escapes.
#[must_use]
pub fn json_in_print(json: String) -> String {
    if !json.chars().any(is_unprintable) {
        return json;
    }
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        // All of them are in the basic plane.
        if is_unprintable(c) {
            out.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_means_the_same_without_them() {
        let text = "a\u{9b}31m\u{202e}\u{2066}\u{061c}\u{200f}\u{2028}\u{7f}é\u{1f600}\n\u{1b}";
        let json = serde_json::json!({ text: [text] });
        let shown = json_in_print(json.to_string());
        assert!(!shown.chars().any(is_unprintable), "{shown}");
        assert!(shown.contains("é\u{1f600}"));
        assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).ok(), Some(json));
    }
}
