//! Who may assume a role: its trust policy as decisions read it, compiled once for all who come.

use crate::core::Core;
use crate::fault::Fault;
use crate::identities::Entity;
use crate::policy_principals::for_decisions;
use bulla_policy::{Kind, Policy};
use bulla_store::Generation;
use std::sync::Arc;

/// The trust policy that a role has in one version of its record.
#[derive(Debug)]
pub(crate) struct CompiledTrustPolicy {
    pub(crate) policy: Policy,
    generation: Generation,
}

impl Core {
    /// The trust policy of a role, as it was read. One that can't be understood fails: it may be what denies.
    pub(crate) fn trust_policy(&self, role: &Entity) -> Result<Arc<CompiledTrustPolicy>, Fault> {
        let cache_key = (role.account, role.id.clone());
        if let Some(kept) = self.trust_policies.get(&cache_key)
            && kept.generation == role.generation
        {
            return Ok(kept);
        }
        let document = role.record.trust.as_deref().ok_or(Fault::Incomplete("a role"))?;
        let policy = Policy::parse(&for_decisions(document)?, Kind::Trust)
            .map_err(|_| Fault::Incomplete("a role's trust policy"))?;
        let policy = Arc::new(CompiledTrustPolicy { policy, generation: role.generation });
        // The generation says what it is of, whatever changes meanwhile.
        self.trust_policies.keep(&self.epoch, self.epoch.now(), cache_key, Arc::clone(&policy));
        Ok(policy)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::clock::SimClock;
    use crate::engine::{Engine, EngineOptions, EngineParts, NewStore};
    use crate::record::{EntityKind, EntityRecord};
    use bulla_audit::MemorySink;
    use bulla_crypto::{RootKey, SeededRng};
    use bulla_store::SimDisk;

    async fn engine() -> Engine {
        let parts = EngineParts {
            store: Arc::new(SimDisk::new(1).open()),
            root: RootKey::generate(&SeededRng::new(7)).unwrap(),
            clock: Arc::new(SimClock::at(1_795_435_200_000)),
            rng: Arc::new(SeededRng::new(1)),
            audit: Arc::new(MemorySink::new()),
            options: EngineOptions::default(),
        };
        let regions = vec!["us-east-1".parse().unwrap()];
        Engine::create(parts, NewStore { account: None, regions, passphrase: None }).await.unwrap()
    }

    fn role(trust: &str, generation: Generation) -> Entity {
        let mut record = EntityRecord::new("r", "/", 0);
        record.trust = Some(trust.to_owned());
        let account = "111122223333".parse().unwrap();
        Entity { generation, ..Entity::made(account, EntityKind::Role, "AROA2".to_owned(), record) }
    }

    #[tokio::test]
    async fn a_trust_policy_is_compiled_once_until_its_role_changes() {
        const OPEN: &str = r#"{"Statement":{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole"}}"#;
        let engine = engine().await;
        let core = &engine.0;
        let first = Generation::first(5);
        let compiled = core.trust_policy(&role(OPEN, first)).unwrap();
        assert!(Arc::ptr_eq(&compiled, &core.trust_policy(&role(OPEN, first)).unwrap()));
        // Of another version of the role nothing is taken over, whichever of the two was read last.
        for generation in [first.next(), first, Generation::first(6)] {
            assert!(core.trust_policy(&role("{", generation)).is_err());
            let changed = core.trust_policy(&role(OPEN, generation)).unwrap();
            assert_eq!(changed.generation, generation);
            assert!(!Arc::ptr_eq(&compiled, &changed));
        }
        let (account, id) = ("111122223333".parse().unwrap(), "AROA2");
        core.forget_identity(account, id);
        assert_eq!(core.trust_policies.len(), 0);
    }
}
