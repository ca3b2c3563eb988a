//! Key policies as requests give them and as keys have them.

use crate::authorize::{Authorized, Names};
use crate::conditions::Says;
use crate::core::Core;
use crate::fault::Fault;
use crate::keys::Key;
use crate::operations::Executes;
use crate::permission::Target;
use crate::policy_principals::for_decisions;
use crate::record::Place;
use bulla_api::{EncryptionContext, ErrorCode, Role};
use bulla_crypto::attestation::Attestation;
use bulla_policy::{Kind, POLICY_BYTES_MAX, Policy, Values};
use bulla_store::{Generation, Stored};
use std::sync::Arc;

/// The policy that callers manage.
pub(crate) const DEFAULT_NAME: &str = "default";

/// The policy that a service for sharing keys manages at AWS. No key has it here.
pub(crate) const RAM_NAME: &str = "AWS_RAM";

/// Reads a policy that a request gives.
pub(crate) fn parse_policy(text: &str) -> Result<Policy, Fault> {
    if text.len() > POLICY_BYTES_MAX {
        return Err(Fault::answer(
            ErrorCode::LimitExceededException,
            format!("The key policy is longer than {POLICY_BYTES_MAX} bytes."),
        ));
    }
    Policy::parse_for_storing(text, Kind::Key).map_err(|error| malformed(error.told()))
}

/// What is said of a policy by a name that the key has none under.
pub(crate) fn no_such_policy() -> Fault {
    Fault::answer(ErrorCode::NotFoundException, "No such policy exists")
}

fn malformed(text: impl Into<String>) -> Fault {
    Fault::answer(ErrorCode::MalformedPolicyDocumentException, text)
}

/// A key's policy as requests are decided by it: read and compiled once, then from memory.
#[derive(Debug)]
pub(crate) struct CompiledKeyPolicy {
    /// None where what is stored is no policy: it allows nothing.
    pub(crate) policy: Option<Policy>,
    pub(crate) generation: Generation,
}

/// A key as it will be when it has the policy that a request gives it.
#[derive(Clone, Copy)]
pub(crate) struct FutureKey<'k> {
    pub(crate) place: &'k Place,
    pub(crate) arn: &'k str,
    pub(crate) tags: &'k [(String, String)],
    /// If it is there already.
    pub(crate) key: Option<&'k Key>,
}

/// The request that a policy must not lock out: to put another one in its place.
struct PutAgain;

impl Says for PutAgain {
    fn says(&self, _: Role, key: &str) -> Option<Values<'_>> {
        (key == "kms:policyname").then(|| DEFAULT_NAME.into())
    }

    fn encryption_context(&self, _: Role) -> Option<&EncryptionContext> {
        None
    }

    fn recipient(&self) -> Option<&Attestation> {
        None
    }
}

impl Core {
    /// A policy that a request gives, with the ids of whom it names.
    pub(crate) async fn bind_key_policy(&self, text: &str) -> Result<String, Fault> {
        let invalid = |_: &str| malformed("Policy contains a statement with one or more invalid principals.");
        self.bind_principals(text, invalid).await
    }

    /// A key's policy, with whom it names bound to their ids.
    pub(crate) async fn key_policy(&self, key: &Key) -> Result<(String, Generation), Fault> {
        let stored = self.stored_key_policy(key).await?;
        let document = crate::record::policy_of(&stored.fields)?;
        Ok((document.to_owned(), stored.generation))
    }

    /// A key's policy, to decide by.
    pub(crate) async fn compiled_key_policy(&self, key: &Key) -> Result<Arc<CompiledKeyPolicy>, Fault> {
        let cache_key = (key.place.account, key.place.region.clone(), key.id);
        if let Some(policy) = self.key_policies.get(&cache_key) {
            return Ok(policy);
        }
        let epoch = self.epoch.now();
        let stored = self.stored_key_policy(key).await?;
        let document = crate::record::policy_of(&stored.fields)?;
        let policy =
            for_decisions(document).ok().and_then(|document| Policy::parse(&document, Kind::Key).ok());
        if policy.is_none() {
            tracing::error!(key = key.arn, "a stored key policy can't be understood, and allows nothing");
        }
        let policy = Arc::new(CompiledKeyPolicy { policy, generation: stored.generation });
        self.key_policies.keep(&self.epoch, epoch, cache_key, Arc::clone(&policy));
        Ok(policy)
    }

    /// Fails as AWS does when the caller could not change the policy again, unless the request says that this is meant. `bound`
    /// is the policy that a key is to have. Source: AWS KMS API reference, PutKeyPolicy.
    pub(crate) async fn refuse_lockout<O: Executes>(
        &self,
        request: &Authorized<'_, O>,
        bound: &str,
        key: FutureKey<'_>,
        bypass: Option<bool>,
    ) -> Result<(), Fault> {
        if bypass == Some(true) {
            return Ok(());
        }
        let policy = Policy::parse(&for_decisions(bound)?, Kind::Key);
        let policy = policy.map_err(|error| malformed(error.told()))?;
        let names = Names::default();
        let asking = self.asking(request.caller(), request.connection(), &PutAgain, &names, false).await?;
        let target = Target {
            action: "kms:PutKeyPolicy",
            role: Role::Key,
            resource: key.arn,
            account: key.place.account,
            region: &key.place.region,
            key: key.key,
            alias: None,
            tags: key.tags,
            boundary: None,
        };
        // The first errs towards refusal where the policy's conditions may hold now and not later; the second knows the
        // caller's own policies.
        let keeps_control = policy.lets_change_it(&asking.view(), key.arn)
            && self.would_allow(&asking, &target, &policy).await?;
        if keeps_control {
            return Ok(());
        }
        Err(malformed("The new key policy will not allow you to update the key policy in the future."))
    }

    async fn stored_key_policy(&self, key: &Key) -> Result<Stored, Fault> {
        let missing = || Fault::PolicyMissing(key.arn.clone());
        self.vault.read(&key.place.key_policy(key.id)).await?.ok_or_else(missing)
    }
}
