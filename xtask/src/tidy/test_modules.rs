//! The tests of a room are modules of one program, `tests/all/`. A file that `main.rs` doesn't name is built by nobody, and
//! nobody would notice.

use super::Finding;
use super::tree::Tree;

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let forgotten = |path: &str| {
        let (directory, file) = path.rsplit_once('/')?;
        let name = file.strip_suffix(".rs").filter(|name| *name != "main")?;
        directory.ends_with("/tests/all").then_some(())?;
        let main = tree.text(&format!("{directory}/main.rs")).unwrap_or_default();
        let declaration = format!("mod {name};");
        let is_built = main.lines().any(|line| line == declaration);
        (!is_built).then(|| {
            Finding::new(path, 0, format!("is not built: {directory}/main.rs lacks `{declaration}`"))
        })
    };
    tree.texts(".rs").filter_map(|(path, _)| forgotten(path)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_tests_that_nobody_builds_is_found() {
        let tree = Tree::sample(&[
            ("crates/x/tests/all/main.rs", "//! Tests.\n\nmod known;\n"),
            ("crates/x/tests/all/known.rs", ""),
            ("crates/x/tests/all/known/part.rs", ""),
            ("crates/x/tests/all/forgotten.rs", ""),
            ("crates/x/tests/beside.rs", ""),
        ]);
        let what = "is not built: crates/x/tests/all/main.rs lacks `mod forgotten;`";
        assert_eq!(check(&tree), [Finding::new("crates/x/tests/all/forgotten.rs", 0, what)]);
    }
}
