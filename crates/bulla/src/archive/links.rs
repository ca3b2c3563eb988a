//! Where an archive's symbolic links lead. A link's target may go through another link, and `..` behind that goes up from
//! where it leads: only with all links of the archive is it known where one ends.

use std::collections::{BTreeMap, HashMap};
use std::path::{Component, Path, PathBuf};

/// As many symbolic links in each other as the kernel follows.
const FOLLOWED_MAX: usize = 40;
/// Longest resolved path, in bytes: each is held.
const PATH_MAX: usize = 4096;

/// Why a symbolic link isn't made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wrong {
    /// It leads out of the archive's directory.
    Out,
    /// Nobody can say where it leads.
    Nowhere,
}

impl Wrong {
    /// Where it leads, for a message.
    pub(super) fn leads(self) -> String {
        match self {
            Self::Out => "out of the directory".to_owned(),
            Self::Nowhere => format!("through more than {FOLLOWED_MAX} others or to itself"),
        }
    }
}

/// Where a path ends, and through how many links.
#[derive(Debug, Clone)]
struct End {
    path: PathBuf,
    followed: usize,
}

/// The links that aren't made, of all with their targets: paths below the archive's directory, which is at first empty.
pub(super) fn wrong<T>(links: &BTreeMap<PathBuf, T>, target_of: impl Fn(&T) -> &Path) -> Vec<(&Path, Wrong)> {
    let mut resolving = Resolving { links, target_of, known: HashMap::new() };
    links.keys().filter_map(|path| Some((path.as_path(), resolving.end_of(path, 0).err()?))).collect()
}

struct Resolving<'a, T, F> {
    links: &'a BTreeMap<PathBuf, T>,
    target_of: F,
    /// Links that were followed before: else a few of them in each other take forever.
    known: HashMap<PathBuf, Result<End, Wrong>>,
}

impl<T, F: Fn(&T) -> &Path> Resolving<'_, T, F> {
    /// Where the link at `at` ends, which is the last of `before` in each other.
    fn end_of(&mut self, at: &Path, before: usize) -> Result<End, Wrong> {
        if let Some(known) = self.known.get(at) {
            return known.clone();
        }
        if before >= FOLLOWED_MAX {
            return Err(Wrong::Nowhere);
        }
        let end = self.follow(at, before);
        // What was given up for those before it may end by itself.
        if before == 0 || !matches!(end, Err(Wrong::Nowhere)) {
            self.known.insert(at.to_owned(), end.clone());
        }
        end
    }

    fn follow(&mut self, at: &Path, before: usize) -> Result<End, Wrong> {
        let links = self.links;
        let target = links.get(at).map(&self.target_of).filter(|target| !target.as_os_str().is_empty());
        let target = target.ok_or(Wrong::Out)?;
        // Nothing above the link itself is one: it was made there.
        let mut end = End { path: at.parent().unwrap_or(Path::new("")).to_owned(), followed: 1 };
        for component in target.components() {
            match component {
                Component::CurDir => {}
                Component::ParentDir if end.path.pop() => {}
                Component::ParentDir | Component::RootDir | Component::Prefix(_) => return Err(Wrong::Out),
                Component::Normal(name) => end.path.push(name),
            }
            if matches!(component, Component::Normal(_)) && links.contains_key(&end.path) {
                let through = self.end_of(&end.path, before + 1)?;
                end = End { path: through.path, followed: end.followed.saturating_add(through.followed) };
            }
            if end.followed > FOLLOWED_MAX || end.path.as_os_str().len() > PATH_MAX {
                return Err(Wrong::Nowhere);
            }
        }
        Ok(end)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn wrong_of(links: &[(&str, &str)]) -> Vec<(String, Wrong)> {
        let links: BTreeMap<PathBuf, PathBuf> =
            links.iter().map(|(at, target)| (PathBuf::from(at), PathBuf::from(target))).collect();
        wrong(&links, |target| target).into_iter().map(|(at, why)| (at.display().to_string(), why)).collect()
    }

    #[test]
    fn links_that_stay_inside_are_made() {
        assert_eq!(wrong_of(&[("a", "b"), ("c/d", "../b/./e"), ("c/e", ".."), ("f", "c/../b")]), []);
        assert_eq!(wrong_of(&[("l", "c/d"), ("c/d", "../e/f"), ("m", "l/../../g")]), []);
        assert_eq!(wrong_of(&[("l", "c/d"), ("m", "l/../../g")]), [], "the directory may still be made");
    }

    #[test]
    fn a_link_that_leads_out_through_others_is_none() {
        let out = |at: &str| (at.to_owned(), Wrong::Out);
        assert_eq!(wrong_of(&[("a", "/etc"), ("b", "../x"), ("c/d", "../../x"), ("e", "")]).len(), 4);
        let steps = [("l0", "."), ("l1", "l0/.."), ("l2", "l1/.."), ("z", "l2/etc/passwd"), ("y", "l0/etc")];
        assert_eq!(wrong_of(&steps), [out("l1"), out("l2"), out("z")]);
        let far = [("x/y/z/l", "../../.."), ("m", "x/y/z/l/../etc"), ("n", "x/y/z/l/etc")];
        assert_eq!(wrong_of(&far), [out("m")]);
        let moved = [("x/y/z/l", "../../.."), ("m", "x/y/z"), ("n", "m/l/../../../etc/passwd")];
        assert_eq!(wrong_of(&moved), [out("n")]);
    }

    #[test]
    fn links_without_end_are_given_up() {
        let links = [("a", "a"), ("b", "c"), ("c", "b/x"), ("d", "a/../..")];
        assert!(wrong_of(&links).iter().all(|(_, why)| *why == Wrong::Nowhere));
        assert_eq!(wrong_of(&links).len(), 4);
        // Each twice through the one before.
        let mut many = vec![("00".to_owned(), "x".to_owned())];
        many.extend((1..100).map(|n| (format!("{n:02}"), format!("{0:02}/../{0:02}", n - 1))));
        let many: Vec<_> = many.iter().map(|(at, target)| (at.as_str(), target.as_str())).collect();
        assert!(wrong_of(&many).len() > 90);
        let chain: Vec<_> = (0..60).map(|n| (format!("{n:02}"), format!("{:02}", n + 1))).collect();
        let chain: Vec<_> = chain.iter().map(|(at, target)| (at.as_str(), target.as_str())).collect();
        assert_eq!(wrong_of(&chain).len(), 20, "as many as have more than 40 before their end");
    }
}
