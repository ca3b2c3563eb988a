//! UntagResource.

use super::Executes;
use crate::authorize::{Authorized, KeyName, Names};
use crate::change::Change;
use crate::conditions::tag_keys;
use crate::core::Core;
use crate::fault::Fault;
use crate::pipeline::Executed;
use crate::record::KeyRecord;
use crate::tags::check_tag_keys;
use bulla_api::{Empty, Role, UntagResource, UntagResourceInput};
use bulla_audit::{Parameter, Parameters};
use bulla_policy::Values;
use std::sync::Arc;

impl Executes for UntagResource {
    fn check(input: &UntagResourceInput) -> Result<(), Fault> {
        check_tag_keys(input.tag_keys.iter().map(String::as_str))
    }

    fn names(input: &UntagResourceInput) -> Names<'_> {
        Names { key: Some(KeyName::id_or_arn(&input.key_id)), ..Names::default() }
    }

    fn says<'i>(input: &'i UntagResourceInput, _role: Role, key: &str) -> Option<Values<'i>> {
        match key {
            "aws:tagkeys" => tag_keys(input.tag_keys.iter().map(String::as_str)),
            _ => None,
        }
    }

    fn describe(input: &UntagResourceInput) -> Parameters {
        Parameters::new()
            .text("keyId", input.key_id.as_str())
            .with("tagKeys", Parameter::Texts(input.tag_keys.clone()))
    }

    async fn execute(_core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
        let key = request.key(Role::Key)?;
        key.require_not_pending_deletion()?;
        // A tag that the key doesn't have is no error.
        let stays = |(tag_key, _): &&(String, String)| !request.input().tag_keys.contains(tag_key);
        let tags: Vec<_> = key.record.tags.iter().filter(stays).cloned().collect();
        if tags == key.record.tags {
            return Ok(request.done(Empty));
        }
        let mut change = Change::new();
        change.update_key(key, &KeyRecord { tags, ..key.record.clone() });
        Ok(request.done(Empty).changing(change))
    }
}
