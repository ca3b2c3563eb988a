//! TagResource.

use super::Executes;
use crate::authorize::{Authorized, KeyName, Names};
use crate::change::Change;
use crate::conditions::tags_say;
use crate::core::Core;
use crate::fault::Fault;
use crate::pipeline::Executed;
use crate::record::KeyRecord;
use crate::tags::{check_tags, tags_parameter, with_tags};
use bulla_api::{Empty, Role, TagResource, TagResourceInput};
use bulla_audit::Parameters;
use bulla_policy::Values;
use std::sync::Arc;

impl Executes for TagResource {
    fn check(input: &TagResourceInput) -> Result<(), Fault> {
        check_tags(&input.tags)
    }

    fn names(input: &TagResourceInput) -> Names<'_> {
        Names { key: Some(KeyName::id_or_arn(&input.key_id)), ..Names::default() }
    }

    fn says<'i>(input: &'i TagResourceInput, _role: Role, key: &str) -> Option<Values<'i>> {
        tags_say(&input.tags, key)
    }

    fn describe(input: &TagResourceInput) -> Parameters {
        Parameters::new().text("keyId", input.key_id.as_str()).with("tags", tags_parameter(&input.tags))
    }

    async fn execute(_core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
        let key = request.key(Role::Key)?;
        key.require_not_pending_deletion()?;
        let tags = with_tags(&key.record.tags, &request.input().tags)?;
        let mut change = Change::new();
        change.update_key(key, &KeyRecord { tags, ..key.record.clone() });
        Ok(request.done(Empty).changing(change))
    }
}
