//! Tags of keys: what they may be, and how many.

use crate::fault::Fault;
use bulla_api::{ErrorCode, Tag};
use bulla_audit::{Parameter, Parameters};
use std::collections::BTreeMap;

/// Most tags of a key (AWS KMS developer guide, "Tags in AWS KMS").
const TAGS_MAX: usize = 50;

/// Fails as AWS does with tags that a request may not give.
pub(crate) fn check_tags(tags: &[Tag]) -> Result<(), Fault> {
    if tags.len() > TAGS_MAX {
        return Err(refused("Too many tags"));
    }
    check_tag_keys(tags.iter().map(|tag| tag.tag_key.as_str()))?;
    for (index, tag) in tags.iter().enumerate() {
        if tags.iter().take(index).any(|earlier| earlier.tag_key == tag.tag_key) {
            return Err(refused("Duplicate tag keys"));
        }
    }
    Ok(())
}

/// Fails as AWS does with keys of tags that belong to the service, in whatever case.
pub(crate) fn check_tag_keys<'k>(mut keys: impl Iterator<Item = &'k str>) -> Result<(), Fault> {
    let is_reserved = |key: &str| key.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("aws:"));
    if keys.any(is_reserved) {
        return Err(refused("Tags beginning with aws: are reserved"));
    }
    Ok(())
}

/// A key's tags with others added: those of the same keys are replaced. In the order of their keys, which is the order in
/// which they are listed.
pub(crate) fn with_tags(before: &[(String, String)], tags: &[Tag]) -> Result<Vec<(String, String)>, Fault> {
    let mut all: BTreeMap<String, String> = before.iter().cloned().collect();
    all.extend(tags.iter().map(|tag| (tag.tag_key.clone(), tag.tag_value.clone())));
    if all.len() > TAGS_MAX {
        return Err(refused("Too many tags"));
    }
    Ok(all.into_iter().collect())
}

/// Tags as audit records show them.
pub(crate) fn tags_parameter(tags: &[Tag]) -> Parameter {
    let tag = |tag: &Tag| {
        Parameters::new().text("tagKey", tag.tag_key.as_str()).text("tagValue", tag.tag_value.as_str())
    };
    Parameter::List(tags.iter().map(tag).collect())
}

fn refused(text: &str) -> Fault {
    Fault::answer(ErrorCode::TagException, text)
}
