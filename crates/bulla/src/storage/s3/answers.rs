//! Whether an answer is one to the request that makes an object or a part: 200 is said by much that stands between here and
//! a server, and by servers before they know. A part that isn't there is found out at the end: no object is made of it.

use aws_sdk_s3::operation::complete_multipart_upload::CompleteMultipartUploadOutput;
use aws_sdk_s3::operation::copy_object::CopyObjectOutput;
use aws_sdk_s3::operation::put_object::PutObjectOutput;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::storage::ObjectName;
use crate::storage::server::Told;

/// Endings of names that stand for a bucket of another name (Amazon S3 User Guide, "Access point aliases").
const ALIASES: [&str; 3] = ["-s3alias", "--op-s3", "--ol-s3"];

/// What tells that an object is there.
pub(in crate::storage) trait TellsOf {
    /// Whether it tells of this object.
    fn tells_of(&self, name: &ObjectName) -> bool;

    /// Whether it may tell of it, if nothing else can be learned.
    fn may_tell_of(&self, name: &ObjectName) -> bool {
        self.tells_of(name)
    }

    /// The same in one word.
    fn told(&self, name: &ObjectName) -> Told {
        match (self.tells_of(name), self.may_tell_of(name)) {
            (true, _) => Told::Made,
            (false, true) => Told::Perhaps,
            (false, false) => Told::Nothing,
        }
    }
}

impl TellsOf for PutObjectOutput {
    /// An ETag alone may be that of a page. A server that has taken the object and knows checksums answers with the one that it was
    /// sent (Amazon S3 API reference, "PutObject": ChecksumCRC32C); of others the object itself is asked for.
    fn tells_of(&self, name: &ObjectName) -> bool {
        self.may_tell_of(name) && self.checksum_crc32_c().is_some_and(is_crc32c)
    }

    fn may_tell_of(&self, _: &ObjectName) -> bool {
        is_etag(self.e_tag())
    }
}

impl TellsOf for CopyObjectOutput {
    fn tells_of(&self, _: &ObjectName) -> bool {
        is_etag(self.copy_object_result().and_then(|result| result.e_tag()))
    }
}

impl TellsOf for CompleteMultipartUploadOutput {
    fn tells_of(&self, name: &ObjectName) -> bool {
        let is_alias = ALIASES.iter().any(|ending| name.bucket.ends_with(ending));
        is_etag(self.e_tag())
            && self.bucket().is_none_or(|bucket| bucket == name.bucket || is_alias)
            && self.key().is_none_or(|key| key == name.key)
    }
}

/// Whether it is one that a part or an object may have.
pub(in crate::storage) fn is_etag(text: Option<&str>) -> bool {
    text.is_some_and(|text| !text.trim_matches(['"', ' ']).is_empty())
}

fn is_crc32c(text: &str) -> bool {
    STANDARD.decode(text).is_ok_and(|checksum| checksum.len() == 4)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::location::Provider;

    #[test]
    fn only_an_answer_about_the_object_tells_of_it() {
        let name = ObjectName { provider: Provider::S3, bucket: "bucket".to_owned(), key: "k".to_owned() };
        let answer = || CompleteMultipartUploadOutput::builder();
        assert!(answer().e_tag("\"a-2\"").build().tells_of(&name));
        assert!(answer().e_tag("a").bucket("bucket").key("k").build().tells_of(&name));
        assert!(!answer().build().tells_of(&name));
        assert!(!answer().e_tag("\"\"").build().tells_of(&name));
        assert!(!answer().e_tag("a").bucket("other").key("k").build().tells_of(&name));
        assert!(!answer().e_tag("a").bucket("bucket").key("other").build().tells_of(&name));
        let put =
            |checksum: &str| PutObjectOutput::builder().e_tag("\"a\"").checksum_crc32_c(checksum).build();
        assert!(put("yZRlqg==").tells_of(&name));
        assert!(!put("yZRlqgA=").tells_of(&name) && !put("").tells_of(&name));
        let page = PutObjectOutput::builder().e_tag("\"2aa6-5e1f\"").build();
        assert!(!page.tells_of(&name) && page.may_tell_of(&name));
        assert!(!PutObjectOutput::builder().build().may_tell_of(&name));
        let alias = ObjectName { bucket: "ap-1x-s3alias".to_owned(), ..name };
        assert!(answer().e_tag("a").bucket("bucket").key("k").build().tells_of(&alias));
    }
}
