//! Users as a server has them, read whole.

use bulla_api as api;
use bulla_api::iam::{
    AccessKeyMetadata, GetAccessKeyLastUsedInput, GetUserInput, GetUserPolicyInput, ListAccessKeysInput,
    ListAttachedUserPoliciesInput, ListGroupsForUserInput, ListUserPoliciesInput, ListUsersInput, User,
};
use bulla_api::{ErrorCode, KmsError, Timestamp};

use super::permissions::{Document, POLICY_NAME};
use crate::exit::Failure;
use crate::kms::caller::Caller;

/// An access key, and when it was last used.
pub(super) struct Key {
    pub(super) metadata: AccessKeyMetadata,
    pub(super) used: Option<(Timestamp, String)>,
}

/// A user's policy of the name that is used here.
pub(super) enum OwnPolicy {
    None,
    /// What it allows, and how it is written there.
    Ours(Document, String),
    /// Not of the form that is made here.
    Another,
}

/// A user, with everything that belongs to it.
pub(super) struct Whole {
    pub(super) user: User,
    /// Whether it is known whether it has a permissions boundary.
    pub(super) knows_boundary: bool,
    pub(super) keys: Vec<Key>,
    pub(super) own: OwnPolicy,
    /// Names of its other policies.
    pub(super) policies: Vec<String>,
    /// ARNs of managed policies.
    pub(super) attached: Vec<String>,
    pub(super) groups: Vec<String>,
}

/// Calls a list's operation until it has given all.
macro_rules! all_pages {
    ($caller:expr, $operation:ty, $input:expr, $items:ident) => {{
        let mut input = $input;
        let mut items = Vec::new();
        loop {
            let page = $caller.call::<$operation>(&input).await?;
            items.extend(page.$items);
            input.marker = page.marker.filter(|_| page.is_truncated);
            if input.marker.is_none() {
                break items;
            }
        }
    }};
}

/// Whether a call was answered with this code.
pub(super) fn is(error: &KmsError, code: ErrorCode) -> bool {
    matches!(error, KmsError::Answered { error, .. } if error.code == code)
}

/// What was there to be taken away; nothing where another has taken it.
pub(super) fn unless_gone<T>(taken: Result<T, KmsError>) -> Result<Option<T>, KmsError> {
    match taken {
        Ok(taken) => Ok(Some(taken)),
        Err(error) if is(&error, ErrorCode::NoSuchEntity) => Ok(None),
        Err(error) => Err(error),
    }
}

/// All users of the account.
pub(super) async fn all(caller: &Caller<'_>) -> Result<Vec<User>, KmsError> {
    Ok(all_pages!(caller, api::ListUsers, ListUsersInput::default(), users))
}

/// The user of this name, if there is one.
pub(super) async fn find(caller: &Caller<'_>, name: &str) -> Result<Option<User>, KmsError> {
    let found = caller.call::<api::GetUser>(&GetUserInput { user_name: Some(name.to_owned()) }).await;
    Ok(unless_gone(found)?.map(|found| found.user))
}

/// The same, where there must be one.
pub(super) async fn must_find(caller: &Caller<'_>, name: &str) -> Result<User, Failure> {
    find(caller, name).await?.ok_or_else(|| {
        Failure::new(
            crate::exit::Exit::Failed,
            format!("there is no user `{name}`; see bulla access list, or make one with bulla access add"),
        )
    })
}

/// Its access keys, the oldest first.
pub(super) async fn keys(caller: &Caller<'_>, name: &str) -> Result<Vec<Key>, KmsError> {
    let mut keys = Vec::new();
    for metadata in list_keys(caller, name).await? {
        let input = GetAccessKeyLastUsedInput { access_key_id: metadata.access_key_id.clone() };
        // One that was deleted since is none any more.
        let Some(found) = unless_gone(caller.call::<api::GetAccessKeyLastUsed>(&input).await)? else {
            continue;
        };
        let used = found.access_key_last_used;
        keys.push(Key { metadata, used: used.last_used_date.map(|at| (at, used.service_name)) });
    }
    keys.sort_by_key(|key| key.metadata.create_date.millis());
    Ok(keys)
}

/// Their ids.
pub(super) async fn key_ids(caller: &Caller<'_>, name: &str) -> Result<Vec<String>, KmsError> {
    Ok(list_keys(caller, name).await?.into_iter().map(|metadata| metadata.access_key_id).collect())
}

async fn list_keys(caller: &Caller<'_>, name: &str) -> Result<Vec<AccessKeyMetadata>, KmsError> {
    let input = ListAccessKeysInput { user_name: Some(name.to_owned()), ..Default::default() };
    Ok(all_pages!(caller, api::ListAccessKeys, input, access_key_metadata))
}

/// What its policy of the name that is used here says.
pub(super) async fn own_policy(caller: &Caller<'_>, name: &str) -> Result<OwnPolicy, KmsError> {
    let input = GetUserPolicyInput { user_name: name.to_owned(), policy_name: POLICY_NAME.to_owned() };
    match caller.call::<api::GetUserPolicy>(&input).await {
        Ok(found) => {
            let text = url_decoded(&found.policy_document);
            Ok(match Document::parse(&text) {
                Some(document) => OwnPolicy::Ours(document, text),
                None => OwnPolicy::Another,
            })
        }
        Err(error) if is(&error, ErrorCode::NoSuchEntity) => Ok(OwnPolicy::None),
        Err(error) => Err(error),
    }
}

/// The names of its policies.
pub(super) async fn policies(caller: &Caller<'_>, name: &str) -> Result<Vec<String>, KmsError> {
    let input = ListUserPoliciesInput { user_name: name.to_owned(), ..Default::default() };
    Ok(all_pages!(caller, api::ListUserPolicies, input, policy_names))
}

/// The ARNs of the managed policies that are attached to it.
pub(super) async fn attached(caller: &Caller<'_>, name: &str) -> Result<Vec<String>, KmsError> {
    let input = ListAttachedUserPoliciesInput { user_name: name.to_owned(), ..Default::default() };
    let attached = all_pages!(caller, api::ListAttachedUserPolicies, input, attached_policies);
    Ok(attached.into_iter().map(|policy| policy.policy_arn).collect())
}

/// The names of the groups that it is in.
pub(super) async fn groups(caller: &Caller<'_>, name: &str) -> Result<Vec<String>, KmsError> {
    let input = ListGroupsForUserInput { user_name: name.to_owned(), ..Default::default() };
    let groups = all_pages!(caller, api::ListGroupsForUser, input, groups);
    Ok(groups.into_iter().map(|group| group.group_name).collect())
}

/// All of a user. Its boundary isn't in lists, and stays unknown to whoever may list users and look at none.
pub(super) async fn whole(caller: &Caller<'_>, user: User) -> Result<Whole, KmsError> {
    let (user, knows_boundary) = match find(caller, &user.user_name).await {
        Ok(found) => (found.unwrap_or(user), true),
        Err(error) if is(&error, ErrorCode::AccessDeniedException) => (user, false),
        Err(error) => return Err(error),
    };
    let name = user.user_name.as_str();
    let mut policies = policies(caller, name).await?;
    let own = if policies.iter().any(|policy| policy == POLICY_NAME) {
        own_policy(caller, name).await?
    } else {
        OwnPolicy::None
    };
    if !matches!(own, OwnPolicy::Another) {
        policies.retain(|policy| policy != POLICY_NAME);
    }
    let keys = keys(caller, name).await?;
    let attached = attached(caller, name).await?;
    let groups = groups(caller, name).await?;
    Ok(Whole { user, knows_boundary, keys, own, policies, attached, groups })
}

/// Without percent encoding (RFC 3986), in which policies are given.
fn url_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let digit = |at: usize| after.get(at).and_then(|byte| char::from(*byte).to_digit(16));
        match (first, digit(0), digit(1)) {
            (b'%', Some(high), Some(low)) => {
                bytes.push(u8::try_from(high * 16 + low).unwrap_or_default());
                rest = after.get(2..).unwrap_or_default();
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_encoding_is_undone() {
        assert_eq!(url_decoded("%7B%22a%22%3A%20%22%C3%A4%25%22%7D"), "{\"a\": \"ä%\"}");
        assert_eq!(url_decoded("100%"), "100%");
        assert_eq!(url_decoded("%zz%4"), "%zz%4");
    }
}
