//! Key policies as requests give them and as keys have them.

use crate::core::Core;
use crate::fault::Fault;
use crate::keys::Key;
use bulla_api::{AccountId, ErrorCode};
use bulla_policy::{KeyPolicy, POLICY_BYTES_MAX};
use bulla_store::Generation;

/// The policy that callers manage.
pub(crate) const DEFAULT_NAME: &str = "default";

/// The policy that a service for sharing keys manages at AWS. No key has it here.
pub(crate) const RAM_NAME: &str = "AWS_RAM";

/// Reads a policy that a request gives.
pub(crate) fn parse_policy(text: &str) -> Result<KeyPolicy, Fault> {
    if text.len() > POLICY_BYTES_MAX {
        return Err(Fault::answer(
            ErrorCode::LimitExceededException,
            format!("The key policy is longer than {POLICY_BYTES_MAX} bytes."),
        ));
    }
    KeyPolicy::parse(text).map_err(|error| malformed(error.to_string()))
}

/// Fails as AWS does when the caller, the root of `account`, could not change the policy again, unless the request says
/// that this is meant.
pub(crate) fn refuse_lockout(
    policy: &KeyPolicy,
    account: AccountId,
    key_arn: &str,
    bypass: Option<bool>,
) -> Result<(), Fault> {
    if bypass == Some(true) || policy.lets_root_change_it(account, key_arn) {
        return Ok(());
    }
    Err(malformed("The new key policy will not allow you to update the key policy in the future."))
}

/// What is said of a policy by a name that the key has none under.
pub(crate) fn no_such_policy() -> Fault {
    Fault::answer(ErrorCode::NotFoundException, "No such policy exists")
}

fn malformed(text: impl Into<String>) -> Fault {
    Fault::answer(ErrorCode::MalformedPolicyDocumentException, text)
}

impl Core {
    /// A policy that a request gives, with the ids of whom it names.
    pub(crate) async fn bind_key_policy(&self, text: &str) -> Result<String, Fault> {
        self.bind_principals(text, ErrorCode::MalformedPolicyDocumentException).await
    }

    /// A key's policy, with whom it names bound to their ids.
    pub(crate) async fn key_policy(&self, key: &Key) -> Result<(String, Generation), Fault> {
        let missing = || Fault::PolicyMissing(key.arn.clone());
        let stored = self.vault.read(&key.place.key_policy(key.id)).await?.ok_or_else(missing)?;
        let document = crate::record::policy_of(&stored.fields)?;
        Ok((document.to_owned(), stored.generation))
    }
}
