//! The objects whose keys begin alike: a directory's part in object storage.

use std::ffi::OsString;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use bulla_envelope::{HeaderLimits, Input, Inspection, S3ecObject};

use super::failure::Tried;
use super::location::Provider;
use super::reader::{ObjectReader, START_BYTES};
use super::server::{Next, Page};
use super::{ObjectName, Pinned, Storage, resolve};
use crate::exit::{Exit, Failure};
use crate::work;

/// Objects that are looked at together: what is known of them is in memory until it is told, in order.
const TOGETHER: usize = 64;
/// Of those, looked at at the same time.
const AT_ONCE: usize = 16;

/// `s3://BUCKET/PREFIX/`, or `s3://BUCKET/` for all objects of a bucket; the same with `az://`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Prefix(ObjectName);

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl Prefix {
    /// The prefix that an argument names: of objects, and with a slash at its end; none for everything else. A bucket alone
    /// is refused, as it doesn't say whether all of it is meant.
    pub(crate) fn of(argument: &Path) -> Result<Option<Self>, Failure> {
        use std::os::unix::ffi::OsStrExt;
        let is_bucket = names_bucket(argument);
        if !is_bucket && !argument.as_os_str().as_bytes().ends_with(b"/") {
            return Ok(None);
        }
        // What holds of an object behind it holds of it.
        let mut behind = OsString::from(argument);
        behind.push(if is_bucket { "/x" } else { "x" });
        let Some(name) = ObjectName::of(&resolve(Path::new(&behind))?)? else { return Ok(None) };
        let key = name.key.strip_suffix('x').unwrap_or_default().to_owned();
        let prefix = Self(ObjectName { key, ..name });
        if is_bucket {
            let bucket = argument.display();
            return Err(Failure::usage(format!(
                "`{bucket}` names no object; write {prefix}KEY, or {prefix} for all objects in it"
            )));
        }
        Ok(Some(prefix))
    }

    /// Where it is.
    pub(crate) const fn provider(&self) -> Provider {
        self.0.provider
    }
}

/// Whether an argument is the URL of a bucket, and of nothing in it.
fn names_bucket(argument: &Path) -> bool {
    use std::os::unix::ffi::OsStrExt;
    let bytes = argument.as_os_str().as_bytes();
    let Some((scheme, bucket)) = bytes.split_at_checked("s3://".len()) else { return false };
    let is_storage = ["s3://", "az://"].iter().any(|one| scheme.eq_ignore_ascii_case(one.as_bytes()));
    is_storage && !bucket.is_empty() && !bucket.contains(&b'/')
}

/// Objects behind a prefix, in the server's order, a few at a time.
pub(crate) struct Listing {
    storage: Arc<Storage>,
    prefix: Prefix,
    names: std::vec::IntoIter<(ObjectName, bool)>,
    /// Where the next page begins; none before the first.
    token: Option<String>,
    ended: bool,
}

/// An object that was listed.
pub(crate) struct Listed {
    /// Its name.
    pub(crate) name: ObjectName,
    /// What it is.
    pub(crate) look: Result<Look, Failure>,
}

/// What an object is by its start, and by what stands beside it.
pub(crate) enum Look {
    /// A sealed message.
    Message(Pinned, Box<Inspection>),
    /// An object of the S3 Encryption Client.
    Object(Pinned),
    /// Not sealed.
    Other,
}

impl Listing {
    /// Begins with the first one. Makes no request.
    pub(crate) fn of(storage: Arc<Storage>, prefix: Prefix) -> Self {
        Self { storage, prefix, names: Vec::new().into_iter(), token: None, ended: false }
    }

    /// The next few, looked at side by side; `more` is done with each in the same go. None after the last.
    pub(crate) fn next<T: Send>(
        &mut self,
        limits: HeaderLimits,
        more: impl Fn(&Listed) -> T + Sync,
    ) -> Result<Option<Vec<(Listed, T)>>, Failure> {
        while self.names.len() == 0 {
            if self.ended {
                return Ok(None);
            }
            self.page()?;
        }
        let names: Vec<_> = self.names.by_ref().take(TOGETHER).collect();
        let storage = &self.storage;
        Ok(Some(side_by_side(&names, |(name, empty)| {
            let look = if *empty { Ok(Look::Other) } else { storage.look_into(name, limits) };
            let listed = Listed { name: name.clone(), look };
            let done = more(&listed);
            (listed, done)
        })))
    }

    fn page(&mut self) -> Result<(), Failure> {
        let (storage, prefix, token) = (Arc::clone(&self.storage), self.prefix.clone(), self.token.take());
        let asked = token.clone();
        let (names, next) = self.storage.wait_for(async move {
            let Prefix(what) = prefix;
            let tried = Tried { doing: "list", what: &what, place: storage.place() };
            let listed = storage.server().list(&what.bucket, &what.key, token, storage.pace(1 << 20)).await;
            let page = listed.map_err(|problem| tried.of(&problem))?;
            let Page { keys, next } = page.ok_or_else(|| tried.not_storage())?;
            if !keys.iter().all(|(key, _)| key.starts_with(&what.key)) {
                return Err(tried.not_storage());
            }
            let names = keys.into_iter().map(|(key, empty)| (ObjectName { key, ..what.clone() }, empty));
            let names: Vec<_> = names.collect();
            match next {
                Next::Ended => Ok((names, None)),
                Next::At(next) if asked.as_ref() != Some(&next) => Ok((names, Some(next))),
                Next::At(_) | Next::Unknown => {
                    Err(tried.failed(Exit::Failed, "the server's list goes on and on in one place"))
                }
            }
        })?;
        self.ended = next.is_none();
        self.names = names.into_iter();
        self.token = next;
        Ok(())
    }
}

impl Storage {
    /// Looks what an object is.
    pub(crate) fn look_into(
        self: &Arc<Self>,
        name: &ObjectName,
        limits: HeaderLimits,
    ) -> Result<Look, Failure> {
        let Some((object, first)) = self.begin(name, START_BYTES)? else {
            let tried = Tried { doing: "read", what: name, place: self.place() };
            return Err(tried.failed(Exit::Failed, "it was removed meanwhile"));
        };
        if name.provider == Provider::S3 && S3ecObject::is_one(object.metadata.keys().map(String::as_str)) {
            return Ok(Look::Object(object));
        }
        let shown = name.to_string();
        let reading = Input::positioned(ObjectReader::begun(Arc::clone(self), object.clone(), first));
        let reading = reading.map_err(|error| Failure::io("cannot read", &shown, &error))?;
        match bulla_envelope::inspect(reading, limits) {
            Ok(found) => Ok(Look::Message(object, Box::new(found))),
            Err(error) if work::is_something_else(&error, name.key.as_bytes()) => Ok(Look::Other),
            Err(error) => Err(Failure::envelope(&error, &shown, "standard output")),
        }
    }
}

/// Does the same with all, some at a time, and gives back what came of it in their order.
fn side_by_side<T: Sync, R: Send>(all: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..all.len().min(AT_ONCE) {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(one) = all.get(at) else { break };
                    let result = work(one);
                    done.lock().unwrap_or_else(PoisonError::into_inner).push((at, result));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, result)| result).collect()
}

/// A key as a listing encodes it: what isn't plain is `%` and two digits, and some servers write a space as `+`.
pub(super) fn decoded(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || char::from(bytes.next()?).to_digit(16);
                u8::try_from(digit()? * 16 + digit()?).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn a_prefix_ends_with_a_slash_and_is_of_objects() {
        let of = |text: &str| Prefix::of(Path::new(text)).unwrap().map(|prefix| prefix.to_string());
        assert_eq!(of("s3://bucket/a/b/"), Some("s3://bucket/a/b/".to_owned()));
        assert_eq!(of("s3://bucket/"), Some("s3://bucket/".to_owned()));
        assert_eq!(of("S3://bucket/a?b//"), Some("s3://bucket/a?b//".to_owned()));
        for bucket in ["s3://bucket", "S3://bucket", "az://container"] {
            let failure = Prefix::of(Path::new(bucket)).unwrap_err();
            assert!(failure.message.ends_with("/ for all objects in it"), "{failure}");
        }
        for text in ["s3://bucket/a", "/tmp/", "./s3:/", "file:///tmp/"] {
            assert_eq!(of(text), None, "{text}");
        }
        assert_eq!(of("az://container/a/"), Some("az://container/a/".to_owned()));
        for text in [
            "s3:///",
            "s3://b/",
            "s3://a:SECRET@bucket",
            "az://a?sig=SECRET",
            "s3://a:SECRET@bucket/",
            "gs://bucket/a/",
            "az://b/",
        ] {
            let failure = Prefix::of(Path::new(text)).unwrap_err();
            assert!(!failure.message.contains("SECRET"), "{failure}");
        }
    }

    #[test]
    fn keys_are_decoded_as_they_were_encoded() {
        for (text, key) in [("a%20b+c%2B", "a b c+"), ("%E2%82%AC/%00", "€/\0"), ("", "")] {
            assert_eq!(decoded(text).as_deref(), Some(key), "{text}");
        }
        for text in ["%", "%2", "%zz", "%FF"] {
            assert_eq!(decoded(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_done_side_by_side_is_told_in_order() {
        let all: Vec<u64> = (0..100).collect();
        let done = side_by_side(&all, |one| {
            std::thread::sleep(std::time::Duration::from_millis((100 - one) / 20));
            one * 2
        });
        assert!(done.iter().copied().eq((0..100).map(|one| one * 2)));
        assert!(side_by_side(&[0; 0], |one: &u8| *one).is_empty());
    }
}
