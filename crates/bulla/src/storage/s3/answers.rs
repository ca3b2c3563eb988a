//! Whether an answer is one to the request that makes an object or a part: 200 is said by much that stands between here and
//! a server, and by servers before they know.

use aws_sdk_s3::operation::complete_multipart_upload::CompleteMultipartUploadOutput;
use aws_sdk_s3::operation::copy_object::CopyObjectOutput;
use aws_sdk_s3::operation::put_object::PutObjectOutput;

use crate::storage::ObjectName;

/// Endings of names that stand for a bucket of another name (Amazon S3 User Guide, "Access point aliases").
const ALIASES: [&str; 3] = ["-s3alias", "--op-s3", "--ol-s3"];

/// What tells that an object is there.
pub(in crate::storage) trait TellsOf {
    /// Whether it tells of this object.
    fn tells_of(&self, name: &ObjectName) -> bool;
}

impl TellsOf for PutObjectOutput {
    fn tells_of(&self, _: &ObjectName) -> bool {
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
        let alias = ObjectName { bucket: "ap-1x-s3alias".to_owned(), ..name };
        assert!(answer().e_tag("a").bucket("bucket").key("k").build().tells_of(&alias));
    }
}
