//! The files of the project, in memory, and Rust sources without what only looks like code.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

/// Every file that is, or would be, in version control.
#[derive(Default)]
pub(super) struct Tree {
    /// By path from the top, with `/`.
    pub(super) files: BTreeMap<String, Vec<u8>>,
}

impl Tree {
    /// Tracked and new files, without ignored ones.
    pub(super) fn of_checkout(top: &Path) -> Result<Self, String> {
        let listed = Command::new("git")
            .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
            .current_dir(top)
            .output()
            .map_err(|error| format!("git ls-files: {error}"))?;
        if !listed.status.success() {
            return Err(format!("git ls-files: {}", String::from_utf8_lossy(&listed.stderr).trim()));
        }
        let mut tree = Self::default();
        for path in String::from_utf8_lossy(&listed.stdout).split('\0').filter(|path| !path.is_empty()) {
            // A file that is tracked but deleted is no file.
            if let Ok(content) = std::fs::read(top.join(path)) {
                tree.files.insert(path.to_owned(), content);
            }
        }
        Ok(tree)
    }

    #[cfg(test)]
    pub(super) fn sample(files: &[(&str, &str)]) -> Self {
        let files = files.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec()));
        Self { files: files.collect() }
    }

    /// A file's text; binary files have none.
    pub(super) fn text(&self, path: &str) -> Option<&str> {
        self.files.get(path).and_then(|content| std::str::from_utf8(content).ok())
    }

    /// Every text file whose path ends so.
    pub(super) fn texts(&self, ending: &str) -> impl Iterator<Item = (&str, &str)> {
        self.files
            .keys()
            .filter(move |path| path.ends_with(ending))
            .filter_map(|path| Some((path.as_str(), self.text(path)?)))
    }

    /// Every Rust file of the rooms and of xtask.
    pub(super) fn sources(&self) -> impl Iterator<Item = Source<'_>> {
        let tests = self.test_modules();
        self.texts(".rs").filter(|(path, _)| !is_apart(path)).map(move |(path, text)| {
            let is_test = is_test(path)
                || tests.iter().any(|test| path == test || path.starts_with(&format!("{test}/")));
            Source::new(path, text, is_test)
        })
    }

    /// Files, and directories, of modules that are declared under `#[cfg(test)]` elsewhere: `src/x/vectors.rs`, `src/x/vectors`.
    fn test_modules(&self) -> Vec<String> {
        let mut found = Vec::new();
        for (path, text) in self.texts(".rs") {
            let (directory, file) = path.rsplit_once('/').unwrap_or(("", path));
            let below = match file.strip_suffix(".rs").unwrap_or(file) {
                "lib" | "main" | "mod" => directory.to_owned(),
                name => format!("{directory}/{name}"),
            };
            let mut lines = text.lines().map(str::trim);
            while lines.by_ref().any(|line| line == "#[cfg(test)]") {
                let item = lines.by_ref().find(|line| !line.starts_with('#') && !line.starts_with("//"));
                if let Some(name) = item.and_then(|item| item.strip_prefix("mod ")?.strip_suffix(';')) {
                    found.extend([format!("{below}/{name}.rs"), format!("{below}/{name}")]);
                }
            }
        }
        found
    }
}

/// A Rust file.
pub(super) struct Source<'a> {
    pub(super) path: &'a str,
    pub(super) text: &'a str,
    /// The text with comments and the insides of literals blanked; lines stay where they are.
    pub(super) code: String,
    /// The same, without modules under `#[cfg(test)]`; empty for files of tests.
    pub(super) product: String,
    /// Whether all of it is only compiled into tests, benchmarks or examples.
    pub(super) is_test: bool,
}

impl<'a> Source<'a> {
    fn new(path: &'a str, text: &'a str, is_test: bool) -> Self {
        let code = blank_comments_and_literals(text);
        let product = if is_test { String::new() } else { blank_test_modules(&code) };
        Self { path, text, code, product, is_test }
    }

    /// The room's name, when the file stands in one.
    pub(super) fn room(&self) -> Option<&'a str> {
        self.path.strip_prefix("crates/").and_then(|rest| rest.split('/').next())
    }
}

/// Whether a file is of a workspace of its own.
fn is_apart(path: &str) -> bool {
    ["fuzz/", "tests/esdk_rust/"].iter().any(|apart| path.starts_with(apart))
}

/// Whether a path alone says that a file is no part of the product.
fn is_test(path: &str) -> bool {
    path.split('/').any(|part| matches!(part, "tests" | "tests.rs" | "benches" | "examples"))
        || path.ends_with("_tests.rs")
}

/// Blanks comments, strings, and character literals, byte for byte, and keeps line ends.
fn blank_comments_and_literals(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let rest = &bytes[at..];
        let length = if rest.starts_with(b"//") {
            rest.iter().position(|&b| b == b'\n').unwrap_or(rest.len())
        } else if rest.starts_with(b"/*") {
            block_comment(rest)
        } else if let Some(length) = raw_string(bytes, at) {
            length
        } else if byte == b'"' {
            quoted(rest, b'"')
        } else if byte == b'\'' {
            character(rest)
        } else {
            0
        };
        if length == 0 {
            out.push(if byte.is_ascii() { char::from(byte) } else { ' ' });
            at += 1;
        } else {
            out.extend(rest.iter().take(length).map(|&b| if b == b'\n' { '\n' } else { ' ' }));
            at += length;
        }
    }
    out
}

fn block_comment(rest: &[u8]) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < rest.len() {
        if rest[at..].starts_with(b"/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if rest[at..].starts_with(b"*/") {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    rest.len()
}

/// `r"…"`, `r#"…"#`, also after `b` or `c`; `None` when none starts here.
fn raw_string(bytes: &[u8], at: usize) -> Option<usize> {
    let starts_name = at.checked_sub(1).and_then(|before| bytes.get(before)).is_some_and(|&b| is_name(b));
    let rest = &bytes[at..];
    if starts_name && !matches!(bytes[at - 1], b'b' | b'c') {
        return None;
    }
    let hashes = rest.strip_prefix(b"r")?.iter().take_while(|&&b| b == b'#').count();
    if rest.get(1 + hashes) != Some(&b'"') {
        return None;
    }
    let mut closing = vec![b'"'];
    closing.resize(1 + hashes, b'#');
    let body = 2 + hashes;
    let end = rest[body..].windows(closing.len()).position(|window| window == closing);
    Some(end.map_or(rest.len(), |end| body + end + closing.len()))
}

fn quoted(rest: &[u8], quote: u8) -> usize {
    let mut at = 1;
    while let Some(&byte) = rest.get(at) {
        at += if byte == b'\\' { 2 } else { 1 };
        if byte == quote {
            return at;
        }
    }
    rest.len()
}

/// A character literal's length; 0 for a lifetime.
fn character(rest: &[u8]) -> usize {
    if rest.get(1) == Some(&b'\\') {
        return quoted(rest, b'\'');
    }
    // At most four bytes of one character, then the quote; a lifetime has none there.
    let width = rest.get(1).map_or(1, |&b| {
        if b < 0x80 {
            1
        } else if b < 0xE0 {
            2
        } else if b < 0xF0 {
            3
        } else {
            4
        }
    });
    if rest.get(1 + width) == Some(&b'\'') { 2 + width } else { 0 }
}

pub(super) fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Blanks every module, function or item under `#[cfg(test)]`.
fn blank_test_modules(code: &str) -> String {
    let mut out = code.to_owned();
    let mut from = 0;
    while let Some(found) = out[from..].find("#[cfg(test)]") {
        let start = from + found;
        let end = item_end(&out, start).unwrap_or(out.len());
        let blank: String = out[start..end].chars().map(|c| if c == '\n' { '\n' } else { ' ' }).collect();
        out.replace_range(start..end, &blank);
        from = end;
    }
    out
}

/// Where the item that starts here ends: after its braces, or after its semicolon.
fn item_end(code: &str, start: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (offset, byte) in code.bytes().enumerate().skip(start) {
        match byte {
            b'{' => depth += 1,
            b'}' => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(offset + 1);
                }
            }
            b';' if depth == 0 => return Some(offset + 1),
            _ => {}
        }
    }
    None
}

/// Lines on which `needle` stands as a whole word.
pub(super) fn lines_with(code: &str, needle: &str) -> Vec<usize> {
    let mut lines = Vec::new();
    for (number, line) in code.lines().enumerate() {
        let found = line.match_indices(needle).any(|(at, _)| {
            let bytes = line.as_bytes();
            let before = at.checked_sub(1).and_then(|before| bytes.get(before));
            let after = bytes.get(at + needle.len());
            !before.is_some_and(|&b| is_name(b)) && !after.is_some_and(|&b| is_name(b))
        });
        if found {
            lines.push(number + 1);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_no_code() {
        let text = "let a = \"unsafe \\\" x\"; // unsafe\n/* un /* safe */ unsafe */ let b: &'static str = r#\"un\"safe\"#;\nlet c = 'u'; let d = '\\''; let é = 'é'; unsafe {}\n";
        let code = blank_comments_and_literals(text);
        assert_eq!(lines_with(&code, "unsafe"), [3]);
        assert_eq!(code.lines().count(), text.lines().count());
        assert!(code.contains("&'static str"), "{code}");
    }

    #[test]
    fn test_modules_are_no_product() {
        let text =
            "fn a() {}\n#[cfg(test)]\nmod tests {\n  fn b() { Instant::now(); }\n}\nfn c() { now(); }\n";
        let source = Source::new("crates/x/src/lib.rs", text, false);
        assert_eq!(lines_with(&source.product, "now"), [6]);
        assert_eq!(lines_with(&source.code, "now"), [4, 6]);
    }

    #[test]
    fn modules_declared_for_tests_elsewhere_are_no_product() {
        let tree = Tree::sample(&[
            ("crates/x/src/lib.rs", "#[cfg(test)]\nmod vectors;\nmod real;\n"),
            ("crates/x/src/vectors.rs", "now();\n"),
            ("crates/x/src/real.rs", "now();\n"),
        ]);
        let products: Vec<&str> = tree.sources().filter(|s| !s.is_test).map(|s| s.path).collect();
        assert_eq!(products, ["crates/x/src/lib.rs", "crates/x/src/real.rs"]);
    }

    #[test]
    fn words_are_whole() {
        assert!(lines_with("not_unsafe unsafe_code", "unsafe").is_empty());
    }
}
