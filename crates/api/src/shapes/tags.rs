//! Tags of keys.

use crate::wire::shapes;

shapes! {
    TAGS;

    /// A tag of a key.
    #[derive(Clone, PartialEq, Eq, Default)]
    Tag {
        tag_key: String = "TagKey",
        tag_value: String = "TagValue",
    }

    /// Input of `TagResource`.
    #[derive(Clone, PartialEq, Eq, Default)]
    TagResourceInput {
        key_id: String = "KeyId",
        tags: Vec<Tag> = "Tags" always,
    }

    /// Input of `UntagResource`.
    #[derive(Clone, PartialEq, Eq, Default)]
    UntagResourceInput {
        key_id: String = "KeyId",
        tag_keys: Vec<String> = "TagKeys" always,
    }

    /// Input of `ListResourceTags`.
    #[derive(Clone, PartialEq, Eq, Default)]
    ListResourceTagsInput {
        key_id: String = "KeyId",
        /// 1 to 50; 50 when absent.
        limit: Option<u32> = "Limit",
        marker: Option<String> = "Marker",
    }

    /// Output of `ListResourceTags`.
    #[derive(Clone, PartialEq, Eq, Default)]
    ListResourceTagsOutput {
        tags: Vec<Tag> = "Tags" always,
        next_marker: Option<String> = "NextMarker",
        truncated: bool = "Truncated",
    }
}
