//! Relative links in the docs lead to a file, and to a heading where they name one.

use super::Finding;
use super::tree::Tree;

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.texts(".md") {
        for (line, target) in links(text) {
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let (file, heading) =
                target.split_once('#').map_or((target, None), |(file, heading)| (file, Some(heading)));
            let resolved = if file.is_empty() { path.to_owned() } else { resolve(path, file) };
            let is_directory = || {
                tree.files.keys().any(|one| one.starts_with(&format!("{}/", resolved.trim_end_matches('/'))))
            };
            if !tree.files.contains_key(&resolved) && !is_directory() {
                findings.push(Finding::new(path, line, format!("links to {target}, which is not there")));
            } else if let Some(heading) = heading
                && !tree.text(&resolved).is_some_and(|text| headings(text).any(|one| one == heading))
            {
                findings.push(Finding::new(
                    path,
                    line,
                    format!("links to {target}, but {resolved} has no such heading"),
                ));
            }
        }
    }
    findings
}

/// `[text](target)` outside of code, with its line.
fn links(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut fenced = false;
    for (number, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        if fenced {
            continue;
        }
        for (at, _) in line.match_indices("](") {
            let in_code = line[..at].matches('`').count() % 2 == 1;
            if let Some(target) = line[at + 2..].split(')').next().filter(|_| !in_code) {
                found.push((number + 1, target.split(' ').next().unwrap_or(target)));
            }
        }
    }
    found
}

fn resolve(from: &str, target: &str) -> String {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "." | "" => {}
            ".." => drop(parts.pop()),
            _ => parts.push(part),
        }
    }
    parts.join("/")
}

/// Headings as anchors: lower case, spaces as dashes, other punctuation dropped.
fn headings(text: &str) -> impl Iterator<Item = String> {
    let lines = text.lines().filter_map(|line| Some(line.strip_prefix('#')?.trim_start_matches('#').trim()));
    lines.map(|heading| {
        let kept = heading.to_lowercase();
        kept.chars()
            .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
            .map(|c| if c == ' ' { '-' } else { c })
            .collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broken_links_and_headings_are_found() {
        let readme = "[a](docs/a.md) [b](docs/none.md) [c](docs/a.md#what-it-is) [d](docs/a.md#none) [e](https://x.org) [f](#here)\n# Here\n";
        let tree = Tree::sample(&[
            ("README.md", readme),
            ("docs/a.md", "# What it is\n[back](../README.md) [dir](../docs)\n"),
        ]);
        let found: Vec<String> = check(&tree).into_iter().map(|finding| finding.what).collect();
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(
            found.iter().any(|what| what.contains("none.md"))
                && found.iter().any(|what| what.contains("#none"))
        );
    }

    #[test]
    fn code_is_no_link() {
        let tree = Tree::sample(&[("README.md", "`[a](none)`\n```\n[b](none)\n```\n")]);
        assert!(check(&tree).is_empty());
    }
}
