//! `bulla key tag`, `untag` and `tags`.

use bulla_api as api;
use bulla_api::Tag;

use super::{done, named};
use crate::app::App;
use crate::exit::Failure;

/// The tags of NAME=VALUE arguments, split at the first `=`.
pub(super) fn parse(pairs: &[String]) -> Result<Vec<Tag>, Failure> {
    let parse = |pair: &String| match pair.split_once('=') {
        Some((name, value)) if !name.is_empty() => {
            Ok(Tag { tag_key: name.to_owned(), tag_value: value.to_owned() })
        }
        _ => Err(Failure::usage(format!("`{pair}` is no tag; one is NAME=VALUE"))),
    };
    pairs.iter().map(parse).collect()
}

pub(super) async fn tag(app: &mut App, target: &str, pairs: &[String]) -> Result<(), Failure> {
    let tags = parse(pairs)?;
    let (found, arn) = named(app, target).await?;
    found.kms.tag_resource(api::TagResourceInput { key_id: arn.clone(), tags }).await?;
    done(app, "key_tagged", "tagged", &arn)
}

pub(super) async fn untag(app: &mut App, target: &str, names: &[String]) -> Result<(), Failure> {
    let (found, arn) = named(app, target).await?;
    found
        .kms
        .untag_resource(api::UntagResourceInput { key_id: arn.clone(), tag_keys: names.to_vec() })
        .await?;
    done(app, "key_untagged", "untagged", &arn)
}

pub(super) async fn list(app: &mut App, target: &str) -> Result<(), Failure> {
    let (found, arn) = named(app, target).await?;
    let mut tags = Vec::new();
    let mut marker = None;
    loop {
        let input = api::ListResourceTagsInput { key_id: arn.clone(), limit: None, marker };
        let page = found.kms.list_resource_tags(input).await?;
        tags.extend(page.tags);
        marker = page.next_marker.filter(|_| page.truncated);
        if marker.is_none() {
            break;
        }
    }
    for Tag { tag_key, tag_value } in tags {
        let text = format!("{tag_key}={tag_value}").replace(char::is_control, " ");
        app.say.result(&text, &serde_json::json!({ "TagKey": tag_key, "TagValue": tag_value }))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn tags_split_at_the_first_equals_sign() {
        let parsed = parse(&["a=b=c".to_owned(), "e=".to_owned()]).unwrap();
        let parsed: Vec<_> =
            parsed.iter().map(|tag| (tag.tag_key.as_str(), tag.tag_value.as_str())).collect();
        assert_eq!(parsed, [("a", "b=c"), ("e", "")]);
        assert!(parse(&["a".to_owned()]).is_err());
        assert!(parse(&["=a".to_owned()]).is_err());
    }
}
