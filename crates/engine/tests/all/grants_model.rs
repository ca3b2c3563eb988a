//! Random histories of grants, with power losses in between, against a list as the oracle.
#![allow(clippy::unwrap_used, missing_docs)]

use crate::support;

use bulla_engine::check_references;
use bulla_store::Vault;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use support::{ACCOUNT, OTHER_ACCOUNT, REGION, World, key_arn, root_key, text};

#[derive(Debug, Clone)]
enum Step {
    Create { key: usize, grantee: usize, retiring: Option<usize>, name: Option<u8>, dry_run: bool },
    Revoke { key: usize, grant: usize },
    RetireById { grant: usize, by_other: bool },
    RetireByToken { grant: usize, by_other: bool },
    DeleteKey(usize),
    PowerLoss,
}

/// What the oracle knows of a grant. Grants that are gone stay in the list.
#[derive(Debug, Clone)]
struct Grant {
    key: usize,
    grantee: usize,
    retiring: Option<usize>,
    name: Option<u8>,
    id: String,
    token: String,
    is_there: bool,
}

const KEYS: usize = 3;
const PRINCIPALS: [&str; 3] = [
    "arn:aws:iam::111122223333:user/a",
    "arn:aws:iam::444455556666:root",
    "arn:aws:iam::111122223333:user/a/b",
];
const THE_OTHER: usize = 1;

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let (key, principal, any_grant) = (0..KEYS, 0..PRINCIPALS.len(), 0..40usize);
    let create = (
        key.clone(),
        principal.clone(),
        prop::option::of(principal),
        prop::option::of(0..2u8),
        prop::bool::weighted(0.1),
    );
    let step = prop_oneof![
        8 => create.prop_map(|(key, grantee, retiring, name, dry_run)| Step::Create { key, grantee, retiring, name, dry_run }),
        2 => (key.clone(), any_grant.clone()).prop_map(|(key, grant)| Step::Revoke { key, grant }),
        2 => (any_grant.clone(), any::<bool>()).prop_map(|(grant, by_other)| Step::RetireById { grant, by_other }),
        2 => (any_grant, any::<bool>()).prop_map(|(grant, by_other)| Step::RetireByToken { grant, by_other }),
        1 => key.prop_map(Step::DeleteKey),
        1 => Just(Step::PowerLoss),
    ];
    prop::collection::vec(step, 1..40)
}

struct Oracle {
    /// `None` once it is gone.
    keys: Vec<Option<String>>,
    ids: Vec<String>,
    grants: Vec<Grant>,
}

impl Oracle {
    fn there(&self) -> impl Iterator<Item = &Grant> {
        self.grants.iter().filter(|grant| grant.is_there)
    }
}

async fn step(world: &mut World, oracle: &mut Oracle, step: Step) {
    match step {
        Step::PowerLoss => world.restart().await,
        Step::DeleteKey(key) => {
            let Some(id) = oracle.keys[key].take() else { return };
            world.call("ScheduleKeyDeletion", json!({"KeyId": id, "PendingWindowInDays": 7})).await.ok();
            world.clock.advance(std::time::Duration::from_secs(8 * 86_400));
            world.engine.accept_clock().await.unwrap();
            world.engine.tick().await;
            oracle
                .grants
                .iter_mut()
                .filter(|grant| grant.key == key)
                .for_each(|grant| grant.is_there = false);
        }
        Step::Create { key, grantee, retiring, name, dry_run } => {
            let mut input = json!({
                "KeyId": oracle.ids[key],
                "GranteePrincipal": PRINCIPALS[grantee],
                "Operations": ["Decrypt"],
                "DryRun": dry_run,
            });
            if let Some(retiring) = retiring {
                input["RetiringPrincipal"] = json!(PRINCIPALS[retiring]);
            }
            if let Some(name) = name {
                input["Name"] = json!(name.to_string());
            }
            let answer = world.call("CreateGrant", input).await;
            if oracle.keys[key].is_none() {
                assert_eq!(answer.error, Some("NotFoundException"));
                return;
            }
            if dry_run {
                assert_eq!(answer.error, Some("DryRunOperationException"));
                return;
            }
            let made = answer.ok();
            let (id, token) = (text(&made["GrantId"]), text(&made["GrantToken"]));
            let same = |grant: &&Grant| {
                name.is_some()
                    && (grant.key, grant.grantee, grant.retiring, grant.name)
                        == (key, grantee, retiring, name)
            };
            let before = oracle.there().find(same).map(|grant| grant.id.clone());
            match before {
                Some(before) => assert_eq!(id, before),
                None => {
                    assert!(oracle.grants.iter().all(|grant| grant.id != id && grant.token != token));
                    oracle.grants.push(Grant { key, grantee, retiring, name, id, token, is_there: true });
                }
            }
        }
        Step::Revoke { key, grant } => {
            let Some(at) = oracle.grants.len().checked_sub(1).map(|last| grant.min(last)) else { return };
            let input = json!({"KeyId": oracle.ids[key], "GrantId": oracle.grants[at].id});
            let error = world.call("RevokeGrant", input).await.error;
            let found =
                oracle.keys[key].is_some() && oracle.grants[at].is_there && oracle.grants[at].key == key;
            assert_eq!(error, (!found).then_some("NotFoundException"));
            if found {
                oracle.grants[at].is_there = false;
            }
        }
        Step::RetireById { grant, by_other } | Step::RetireByToken { grant, by_other } => {
            let Some(at) = oracle.grants.len().checked_sub(1).map(|last| grant.min(last)) else { return };
            let Grant { key, id, token, is_there, retiring, .. } = oracle.grants[at].clone();
            let input = if matches!(step, Step::RetireById { .. }) {
                json!({"KeyId": key_arn(ACCOUNT, REGION, &oracle.ids[key]), "GrantId": id})
            } else {
                json!({"GrantToken": token})
            };
            let account = if by_other { OTHER_ACCOUNT } else { ACCOUNT };
            let error =
                world.call_as(&world.caller_of(account, REGION).await, "RetireGrant", input).await.error;
            let may = !by_other || retiring == Some(THE_OTHER);
            let expected = match (is_there && may, by_other) {
                (true, _) => None,
                (false, true) => Some("AccessDeniedException"),
                (false, false) => Some("NotFoundException"),
            };
            assert_eq!(error, expected);
            if expected.is_none() {
                oracle.grants[at].is_there = false;
            }
        }
    }
}

/// All pages of a list.
async fn all(world: &World, account: &str, operation: &str, mut input: Value) -> BTreeSet<String> {
    let caller = world.caller_of(account, REGION).await;
    let (mut ids, mut count) = (BTreeSet::new(), 0);
    input["Limit"] = json!(3);
    loop {
        let page = world.call_as(&caller, operation, input.clone()).await.ok();
        let grants = page["Grants"].as_array().unwrap();
        count += grants.len();
        ids.extend(grants.iter().map(|grant| text(&grant["GrantId"])));
        let Some(marker) = page.get("NextMarker") else { break };
        input["Marker"] = marker.clone();
    }
    assert_eq!(ids.len(), count, "a grant is listed twice");
    ids
}

async fn compare(world: &World, oracle: &Oracle) {
    let of = |fits: &dyn Fn(&Grant) -> bool| -> BTreeSet<String> {
        oracle.there().filter(|grant| fits(grant)).map(|grant| grant.id.clone()).collect()
    };
    for (index, key) in oracle.keys.iter().enumerate() {
        let Some(key) = key else { continue };
        let listed = all(world, ACCOUNT, "ListGrants", json!({"KeyId": key})).await;
        assert_eq!(listed, of(&|grant| grant.key == index));
        for (at, principal) in PRINCIPALS.iter().enumerate() {
            let input = json!({"KeyId": key, "GranteePrincipal": principal});
            let listed = all(world, ACCOUNT, "ListGrants", input).await;
            assert_eq!(listed, of(&|grant| grant.key == index && grant.grantee == at));
        }
        for grant in &oracle.grants {
            let input = json!({"KeyId": key, "GrantId": grant.id});
            let listed = all(world, ACCOUNT, "ListGrants", input).await;
            assert_eq!(listed.len(), usize::from(grant.is_there && grant.key == index));
        }
    }
    for (at, principal) in PRINCIPALS.iter().enumerate() {
        let account = if at == THE_OTHER { OTHER_ACCOUNT } else { ACCOUNT };
        let input = json!({"RetiringPrincipal": principal});
        let listed = all(world, account, "ListRetirableGrants", input).await;
        assert_eq!(listed, of(&|grant| grant.retiring == Some(at)));
    }
    let store = Arc::new(world.disk.open());
    let vault = Vault::open(store, &root_key(), Arc::new(bulla_crypto::SeededRng::new(9))).await.unwrap();
    assert_eq!(check_references(&vault).await.unwrap(), []);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn histories_of_grants_agree_with_the_oracle(seed in any::<u32>(), steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut world = World::with_two_accounts(u64::from(seed)).await;
            let mut ids = Vec::new();
            for _ in 0..KEYS {
                ids.push(world.new_key().await);
            }
            let keys = ids.iter().cloned().map(Some).collect();
            let mut oracle = Oracle { keys, ids, grants: Vec::new() };
            for next in steps {
                step(&mut world, &mut oracle, next).await;
            }
            compare(&world, &oracle).await;
            world.restart().await;
            compare(&world, &oracle).await;
        });
    }
}
