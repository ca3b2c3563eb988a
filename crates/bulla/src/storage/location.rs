//! The names of objects: `s3://BUCKET/KEY` and `az://CONTAINER/KEY`, both to the letter; and `file://` URLs, which are paths.

use std::ffi::OsString;
use std::fmt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use crate::exit::Failure;

/// Longest key, in bytes of UTF-8 (Amazon S3 User Guide, "Naming Amazon S3 objects").
const KEY_BYTES_MAX: usize = 1024;
/// Lengths of bucket names; the oldest buckets have long ones.
const BUCKET_BYTES: std::ops::RangeInclusive<usize> = 3..=255;
/// Schemes of object storage that this program doesn't speak.
const OTHERS: [&str; 11] =
    ["gs", "gcs", "azure", "abfs", "abfss", "adl", "wasb", "wasbs", "s3a", "s3n", "oss"];
/// What only a presigned URL has in its query.
const PRESIGNED: [&str; 4] =
    ["x-amz-signature=", "x-amz-credential=", "awsaccesskeyid=", "x-amz-security-token="];

/// What only the SAS token of a URL has in its query.
const SAS: [&str; 2] = ["sig=", "sv="];
/// Lengths of the names of Azure's containers (Microsoft, "Naming and referencing containers, blobs, and metadata").
const CONTAINER_BYTES: std::ops::RangeInclusive<usize> = 3..=63;
/// Most segments of the name of a blob (the same).
const BLOB_SEGMENTS_MAX: usize = 254;

/// Whose protocol a server speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Provider {
    /// Amazon S3, and servers like it.
    S3,
    /// Azure Blob Storage.
    Azure,
}

impl Provider {
    const ALL: [Self; 2] = [Self::S3, Self::Azure];

    /// What the URL of an object begins with.
    const fn prefix(self) -> &'static str {
        match self {
            Self::S3 => "s3://",
            Self::Azure => "az://",
        }
    }

    /// The provider, and what follows.
    fn of(argument: &[u8]) -> Option<(Self, &[u8])> {
        Self::ALL.into_iter().find_map(|provider| {
            argument.strip_prefix(provider.prefix().as_bytes()).map(|rest| (provider, rest))
        })
    }
}

/// An object in a bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ObjectName {
    /// Where the bucket is.
    pub(crate) provider: Provider,
    /// The bucket; Azure calls it a container.
    pub(crate) bucket: String,
    /// The key, to the letter: nothing in it is an escape, a query or a step up.
    pub(crate) key: String,
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}/{}", self.provider.prefix(), self.bucket, self.key)
    }
}

/// Whether an argument, once it is resolved, names an object and no path.
pub(crate) fn is_object(argument: &Path) -> bool {
    Provider::of(argument.as_os_str().as_bytes()).is_some()
}

impl ObjectName {
    /// The object that an argument names; none for a path.
    pub(crate) fn of(argument: &Path) -> Result<Option<Self>, Failure> {
        let Some((provider, rest)) = Provider::of(argument.as_os_str().as_bytes()) else { return Ok(None) };
        let prefix = provider.prefix();
        let rest = std::str::from_utf8(rest).map_err(|_| {
            Failure::usage(format!("an {prefix} URL is UTF-8; this one is not: check how it is typed"))
        })?;
        let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
        let name = Self { provider, bucket: bucket.to_owned(), key: key.to_owned() };
        match provider {
            Provider::S3 => name.check_at_s3()?,
            Provider::Azure => name.check_at_azure()?,
        }
        Ok(Some(name))
    }

    fn check_at_s3(&self) -> Result<(), Failure> {
        let Self { bucket, key, .. } = self;
        // Not repeated: what stands before an @ may be a secret.
        if bucket.contains(['@', ':']) {
            return Err(Failure::usage(
                "an s3:// URL holds no credentials, port or ARN: write s3://BUCKET/KEY; credentials come from --s3-profile or the \
                 environment, an access point has an alias that is used as BUCKET",
            ));
        }
        if has_in_query(key, &PRESIGNED) {
            return Err(Failure::usage(
                "a presigned URL is not taken, as it is a secret on the command line: write s3://BUCKET/KEY; credentials \
                 come from --s3-profile or the environment",
            ));
        }
        let fits = BUCKET_BYTES.contains(&bucket.len())
            && bucket.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'));
        if !fits {
            return Err(Failure::usage(format!(
                "`{self}`: `{bucket}` is no name of a bucket; write s3://BUCKET/KEY"
            )));
        }
        if key.is_empty() {
            return Err(Failure::usage(format!("`{self}` names no object; write s3://{bucket}/KEY")));
        }
        if key.len() > KEY_BYTES_MAX {
            return Err(Failure::usage(format!(
                "the key in bucket `{bucket}` has {} bytes, and S3 takes at most {KEY_BYTES_MAX}; choose a shorter one",
                key.len()
            )));
        }
        Ok(())
    }

    fn check_at_azure(&self) -> Result<(), Failure> {
        let Self { bucket, key, .. } = self;
        // Not repeated: what stands before an @, or in a query, may be a secret.
        if bucket.contains(['@', ':', '?']) {
            return Err(Failure::usage(
                "an az:// URL holds no credentials, account or port: write az://CONTAINER/KEY; account and credentials come from the \
                 environment",
            ));
        }
        if has_in_query(key, &SAS) {
            return Err(Failure::usage(
                "a URL with a SAS token is not taken, as it is a secret on the command line: write az://CONTAINER/KEY, and set \
                 AZURE_STORAGE_SAS_TOKEN",
            ));
        }
        let fits = matches!(bucket.as_str(), "$root" | "$web")
            || CONTAINER_BYTES.contains(&bucket.len())
                && bucket
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        if !fits {
            return Err(Failure::usage(format!(
                "`{self}`: `{bucket}` is no name of a container; write az://CONTAINER/KEY"
            )));
        }
        if key.is_empty() {
            return Err(Failure::usage(format!("`{self}` names no object; write az://{bucket}/KEY")));
        }
        if key.chars().count() > KEY_BYTES_MAX || key.split('/').count() > BLOB_SEGMENTS_MAX {
            return Err(Failure::usage(format!(
                "the key in container `{bucket}` has more than {KEY_BYTES_MAX} characters or {BLOB_SEGMENTS_MAX} segments, \
                 which Azure doesn't take; choose a shorter one"
            )));
        }
        // Clients and servers take `.` and `..` for steps, and a dot at the end is known to get lost (the same).
        if key.split('/').any(|segment| segment.ends_with('.')) {
            return Err(Failure::usage(format!(
                "`{self}`: Azure doesn't keep keys with a segment that ends with a dot to the letter; choose another one"
            )));
        }
        Ok(())
    }

    /// As the header of a request names it whose content is copied: what is no plain character is `%` and two digits.
    pub(crate) fn as_copy_source(&self) -> String {
        let mut out = format!("{}/", self.bucket);
        for byte in self.key.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                    out.push(char::from(byte));
                }
                byte => out.push_str(&format!("%{byte:02X}")),
            }
        }
        out
    }

    /// The object beside it whose key has `suffix` added.
    pub(crate) fn with_suffix(&self, suffix: &str) -> Self {
        Self { key: format!("{}{suffix}", self.key), ..self.clone() }
    }
}

/// Whether what may be the query of a URL has one of these in it.
fn has_in_query(key: &str, words: &[&str]) -> bool {
    let query = key.split_once('?').map_or("", |(_, query)| query).to_ascii_lowercase();
    words.iter().any(|word| query.contains(word))
}

/// An argument as the program uses it: a `file://` URL as its path, what names an object unchanged once it is checked, a path as it
/// is. URLs of other services are refused, so that none is taken for a path; a file of such a name is `./NAME`.
pub(crate) fn resolve(argument: &Path) -> Result<PathBuf, Failure> {
    let bytes = argument.as_os_str().as_bytes();
    let Some(end) = bytes.windows(3).position(|window| window == b"://") else {
        return Ok(argument.to_owned());
    };
    let scheme = String::from_utf8_lossy(bytes.get(..end).unwrap_or_default()).to_ascii_lowercase();
    let rest = bytes.get(end.saturating_add(3)..).unwrap_or_default();
    match scheme.as_str() {
        "s3" | "az" => {
            let mut name = OsString::from(format!("{scheme}://"));
            name.push(std::ffi::OsStr::from_bytes(rest));
            ObjectName::of(Path::new(&name))?;
            Ok(name.into())
        }
        "file" => path_of(rest),
        "http" | "https" => Err(Failure::usage(format!(
            "an {scheme}:// URL can't be read or written, and a presigned one is a secret on the command line: name the object, \
             s3://BUCKET/KEY or az://CONTAINER/KEY, and its server with --s3-endpoint-url or --az-endpoint-url"
        ))),
        other if OTHERS.contains(&other) => Err(Failure::usage(format!(
            "{other}:// is not available in this version; use s3://BUCKET/KEY, az://CONTAINER/KEY, file:///PATH or a path"
        ))),
        _ => Ok(argument.to_owned()),
    }
}

/// The path of a `file://` URL, whose escapes are those of RFC 8089.
fn path_of(rest: &[u8]) -> Result<PathBuf, Failure> {
    let refused =
        |what: &str| Failure::usage(format!("a file:// URL {what}; write file:///PATH, or the path itself"));
    let path = rest.strip_prefix(b"localhost").filter(|path| path.starts_with(b"/")).unwrap_or(rest);
    if !path.starts_with(b"/") {
        return Err(refused("names a file of this host by its whole path"));
    }
    let mut decoded = Vec::with_capacity(path.len());
    let mut at = path.iter();
    while let Some(byte) = at.next() {
        match byte {
            b'%' => {
                let digits =
                    [at.next(), at.next()].map(|digit| digit.and_then(|d| char::from(*d).to_digit(16)));
                let [Some(high), Some(low)] = digits else {
                    return Err(refused("has two hex digits after each %"));
                };
                match u8::try_from(high * 16 + low) {
                    Ok(byte) if byte != 0 => decoded.push(byte),
                    _ => return Err(refused("can't hold %00")),
                }
            }
            b'?' | b'#' => {
                return Err(refused("has neither query nor fragment; in a name, ? is %3F and # is %23"));
            }
            byte => decoded.push(*byte),
        }
    }
    Ok(OsString::from_vec(decoded).into())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn object(text: &str) -> Result<Option<ObjectName>, Failure> {
        ObjectName::of(Path::new(text))
    }

    #[test]
    fn buckets_and_keys_are_taken_to_the_letter() {
        for key in [
            "a b",
            "100%25",
            "a?b=c",
            "a#b",
            "../up",
            "a/../b",
            "/leading",
            "a//b",
            "trailing/",
            "schlüssel",
            "a:b@c",
        ] {
            let found = object(&format!("s3://bucket/{key}")).unwrap().unwrap();
            assert_eq!((found.bucket.as_str(), found.key.as_str()), ("bucket", key));
            assert_eq!(found.to_string(), format!("s3://bucket/{key}"));
        }
        assert_eq!(object("a/s3://b/c").unwrap(), None);
        assert_eq!(object("./s3:/b/c").unwrap(), None);
        assert_eq!(resolve(Path::new("S3://b-1/K")).unwrap(), Path::new("s3://b-1/K"));
    }

    #[test]
    fn what_is_no_object_is_refused_without_repeating_secrets() {
        for text in ["s3://", "s3://bucket", "s3://bucket/", "s3:///key", "s3://b/k", "s3://buc ket/k"] {
            assert!(object(text).is_err(), "{text}");
        }
        assert!(object(&format!("s3://bucket/{}", "k".repeat(1025))).is_err());
        for text in [
            "s3://AKIAX:SECRET@bucket/key",
            "s3://bucket/key?X-Amz-Algorithm=A&X-Amz-Credential=SECRET&X-Amz-Signature=SECRET",
            "https://bucket.s3.amazonaws.com/key?X-Amz-Signature=SECRET",
            "gs://bucket/SECRET",
        ] {
            let failure = resolve(Path::new(text)).unwrap_err();
            assert!(!failure.message.contains("SECRET"), "{failure}");
        }
        assert!(resolve(Path::new("gs://c/b")).unwrap_err().message.contains("gs://"));
    }

    #[test]
    fn containers_and_blobs_are_taken_to_the_letter_where_azure_does() {
        for key in
            ["a b", "100%25", "a?b=c", "a#b", "..a/.b", "/leading", "a//b", "trailing/", "schlüssel", "a:b@c"]
        {
            for container in ["abc", "a-1", "$web"] {
                let found = object(&format!("az://{container}/{key}")).unwrap().unwrap();
                assert_eq!((found.bucket.as_str(), found.key.as_str()), (container, key));
                assert_eq!(found.provider, Provider::Azure);
                assert_eq!(found.to_string(), format!("az://{container}/{key}"));
            }
        }
        for text in ["az://", "az://abc", "az://abc/", "az:///key", "az://ab/k", "az://Abc/k", "az://a.b/k"] {
            assert!(object(text).is_err(), "{text}");
        }
        for key in ["..", "a/../b", "a./b", "a."] {
            assert!(object(&format!("az://abc/{key}")).is_err(), "{key}");
        }
        assert!(object(&format!("az://abc/{}", "k".repeat(1025))).is_err());
        assert!(object(&format!("az://abc/{}", "k/".repeat(254))).is_err());
        for text in ["az://account:SECRET@abc/k", "az://abc?SECRET", "az://abc/k?sv=1&sig=SECRET"] {
            let failure = resolve(Path::new(text)).unwrap_err();
            assert!(!failure.message.contains("SECRET"), "{failure}");
        }
    }

    #[test]
    fn file_urls_are_paths() {
        for (url, path) in [
            ("file:///a/b", "/a/b"),
            ("file://localhost/a%20b%3F%25", "/a b?%"),
            ("FILE:///x", "/x"),
            ("./file:///x", "./file:///x"),
            ("plain", "plain"),
        ] {
            assert_eq!(resolve(Path::new(url)).unwrap(), Path::new(path), "{url}");
        }
        for url in [
            "file://host/a",
            "file://a",
            "file:///a?b",
            "file:///a#b",
            "file:///a%2",
            "file:///a%zz",
            "file:///a%00",
        ] {
            assert!(resolve(Path::new(url)).is_err(), "{url}");
        }
    }
}
