//! aws's configuration and credentials files: read for the few settings that choose a KMS, and edited
//! with everything else kept byte for byte.
//!
//! Source: AWS SDKs and Tools Reference Guide, "Shared config and credentials files".

use std::ops::Range;

/// A file's sections, and where each stands in its text.
#[derive(Debug, Default)]
pub(crate) struct AwsFile<'a> {
    text: &'a str,
    sections: Vec<Section<'a>>,
}

#[derive(Debug)]
struct Section<'a> {
    /// What stands between the brackets, with single spaces.
    title: String,
    /// From the bracket to the end of the last line that belongs to it.
    range: Range<usize>,
    /// `name` or, for a nested line, `outer.name`, and the value.
    properties: Vec<(String, &'a str)>,
}

impl<'a> AwsFile<'a> {
    /// Reads leniently, as the SDKs do: what is no section and no property is skipped.
    pub(crate) fn parse(text: &'a str) -> Self {
        let mut sections: Vec<Section<'a>> = Vec::new();
        let mut outer = String::new();
        let mut start = 0;
        for line in text.split_inclusive('\n') {
            let range = start..start + line.len();
            start = range.end;
            let nested = line.starts_with([' ', '\t']);
            let line = without_comment(line).trim();
            if line.is_empty() {
                continue;
            }
            if let Some(title) = line.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
                let title = title.split_whitespace().collect::<Vec<_>>().join(" ").replace(['"', '\''], "");
                sections.push(Section { title, range, properties: Vec::new() });
                outer.clear();
                continue;
            }
            let Some(section) = sections.last_mut() else { continue };
            section.range.end = range.end;
            let Some((name, value)) = line.split_once('=') else { continue };
            let (name, value) = (name.trim().to_ascii_lowercase(), value.trim());
            if nested && !outer.is_empty() {
                section.properties.push((format!("{outer}.{name}"), value));
            } else {
                outer.clone_from(&name);
                section.properties.push((name, value));
            }
        }
        Self { text, sections }
    }

    /// Whether there is such a section.
    pub(crate) fn has(&self, title: &str) -> bool {
        self.sections.iter().any(|section| section.title == title)
    }

    /// A property's value; in a section given twice the last one counts, as for the SDKs.
    pub(crate) fn get(&self, title: &str, property: &str) -> Option<&'a str> {
        self.sections
            .iter()
            .filter(|section| section.title == title)
            .flat_map(|section| &section.properties)
            .rfind(|(name, value)| name == property && !value.is_empty())
            .map(|(_, value)| *value)
    }

    /// The text with the section replaced, or put at the end. `section` ends with a newline.
    pub(crate) fn with_section(&self, title: &str, section: &str) -> String {
        let mut ranges = self.sections.iter().filter(|found| found.title == title).map(|found| &found.range);
        let mut out = String::with_capacity(self.text.len() + section.len() + 2);
        let Some(first) = ranges.next() else {
            out.push_str(self.text);
            if !out.is_empty() {
                out.push_str(if out.ends_with('\n') { "\n" } else { "\n\n" });
            }
            out.push_str(section);
            return out;
        };
        out.push_str(self.text.get(..first.start).unwrap_or_default());
        out.push_str(section);
        let mut at = first.end;
        for again in ranges {
            out.push_str(self.text.get(at..again.start).unwrap_or_default());
            at = again.end;
        }
        out.push_str(self.text.get(at..).unwrap_or_default());
        out
    }
}

/// A line without what follows `#` or `;` at its start or after white space.
fn without_comment(line: &str) -> &str {
    let mut before = '\n';
    for (at, c) in line.char_indices() {
        if matches!(c, '#' | ';') && before.is_whitespace() {
            return line.get(..at).unwrap_or(line);
        }
        before = c;
    }
    line
}

/// The title of a profile's section in the configuration file.
pub(crate) fn profile_title(name: &str) -> String {
    if name == "default" { name.to_owned() } else { format!("profile {name}") }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    const FILE: &str = "# mine\n[default]\nregion = eu-west-1 ; near\n\n[profile  a]\nservices = s\nendpoint_url=http://g\n\
                        # about s\n[services s]\nkms =\n  endpoint_url = http://k#1\nsts = \n\tendpoint_url = http://t\n";

    #[test]
    fn properties_are_found_nested_ones_too() {
        let file = AwsFile::parse(FILE);
        assert_eq!(file.get("default", "region"), Some("eu-west-1"));
        assert_eq!(file.get("profile a", "services"), Some("s"));
        assert_eq!(file.get("services s", "kms.endpoint_url"), Some("http://k#1"));
        assert_eq!(file.get("services s", "sts.endpoint_url"), Some("http://t"));
        assert_eq!(file.get("services s", "endpoint_url"), None);
        assert!(!file.has("a"));
    }

    #[test]
    fn a_new_section_leaves_all_else_as_it_is() {
        let text = AwsFile::parse(FILE).with_section("profile b", "[profile b]\nregion = x\n");
        assert_eq!(text, format!("{FILE}\n[profile b]\nregion = x\n"));
        assert_eq!(AwsFile::parse("").with_section("b", "[b]\n"), "[b]\n");
        assert_eq!(AwsFile::parse("[a]\nx = 1").with_section("b", "[b]\n"), "[a]\nx = 1\n\n[b]\n");
    }

    #[test]
    fn a_replaced_section_leaves_all_else_as_it_is() {
        let text = AwsFile::parse(FILE).with_section("profile a", "[profile a]\nregion = x\n");
        let expected =
            FILE.replace("[profile  a]\nservices = s\nendpoint_url=http://g\n", "[profile a]\nregion = x\n");
        assert_eq!(text, expected);
    }
}
