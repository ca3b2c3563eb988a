//! Random histories of keys and aliases, with power losses in between, against a map as the oracle.
#![allow(clippy::unwrap_used, missing_docs)]

use crate::support;

use proptest::prelude::*;
use serde_json::json;
use std::collections::BTreeMap;
use support::{HELLO, World, text};

#[derive(Debug, Clone)]
enum Step {
    Create,
    Enable(usize),
    Disable(usize),
    Schedule(usize),
    Cancel(usize),
    Rotate(usize),
    Seal(usize),
    CreateAlias(u8, usize),
    UpdateAlias(u8, usize),
    DeleteAlias(u8),
    PowerLoss,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum State {
    Enabled,
    Disabled,
    Pending,
}

#[derive(Default)]
struct Oracle {
    keys: Vec<(String, State)>,
    aliases: BTreeMap<u8, usize>,
    /// Blobs, with the key that each is of.
    blobs: Vec<(usize, String)>,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let key = 0..4usize;
    let alias = 0..3u8;
    let step = prop_oneof![
        2 => Just(Step::Create),
        2 => key.clone().prop_map(Step::Enable),
        2 => key.clone().prop_map(Step::Disable),
        1 => key.clone().prop_map(Step::Schedule),
        2 => key.clone().prop_map(Step::Cancel),
        2 => key.clone().prop_map(Step::Rotate),
        3 => key.clone().prop_map(Step::Seal),
        3 => (alias.clone(), key.clone()).prop_map(|(alias, key)| Step::CreateAlias(alias, key)),
        3 => (alias.clone(), key).prop_map(|(alias, key)| Step::UpdateAlias(alias, key)),
        1 => alias.prop_map(Step::DeleteAlias),
        1 => Just(Step::PowerLoss),
    ];
    prop::collection::vec(step, 1..40)
}

fn alias_name(alias: u8) -> String {
    format!("alias/{alias}")
}

/// What AWS says of an operation that needs an enabled key, or one that isn't pending deletion.
fn refusal(state: State, needs_enabled: bool) -> Option<&'static str> {
    match state {
        State::Pending => Some("KMSInvalidStateException"),
        State::Disabled if needs_enabled => Some("DisabledException"),
        _ => None,
    }
}

async fn step(world: &mut World, oracle: &mut Oracle, step: Step) {
    let index_of = |key: usize, oracle: &Oracle| oracle.keys.len().checked_sub(1).map(|last| key.min(last));
    match step {
        Step::Create => {
            let key = world.new_key().await;
            oracle.keys.push((key, State::Enabled));
        }
        Step::PowerLoss => world.restart().await,
        Step::DeleteAlias(alias) => {
            let error = world.call("DeleteAlias", json!({"AliasName": alias_name(alias)})).await.error;
            let expected =
                if oracle.aliases.remove(&alias).is_some() { None } else { Some("NotFoundException") };
            assert_eq!(error, expected);
        }
        Step::Enable(key)
        | Step::Disable(key)
        | Step::Schedule(key)
        | Step::Cancel(key)
        | Step::Rotate(key) => {
            let Some(at) = index_of(key, oracle) else { return };
            let (id, state) = oracle.keys[at].clone();
            let (operation, expected, next) = match step {
                Step::Enable(_) => ("EnableKey", refusal(state, false), State::Enabled),
                Step::Disable(_) => ("DisableKey", refusal(state, false), State::Disabled),
                Step::Schedule(_) => ("ScheduleKeyDeletion", refusal(state, false), State::Pending),
                Step::Rotate(_) => ("RotateKeyOnDemand", refusal(state, true), state),
                _ => {
                    let expected = (state != State::Pending).then_some("KMSInvalidStateException");
                    ("CancelKeyDeletion", expected, State::Disabled)
                }
            };
            assert_eq!(world.call(operation, json!({"KeyId": id})).await.error, expected, "{operation}");
            if expected.is_none() {
                oracle.keys[at].1 = next;
            }
        }
        Step::Seal(key) => {
            let Some(at) = index_of(key, oracle) else { return };
            let (id, state) = oracle.keys[at].clone();
            let sealed = world.call("Encrypt", json!({"KeyId": id, "Plaintext": HELLO})).await;
            assert_eq!(sealed.error, refusal(state, true));
            if sealed.error.is_none() {
                oracle.blobs.push((at, text(&sealed.body["CiphertextBlob"])));
            }
        }
        Step::CreateAlias(alias, key) | Step::UpdateAlias(alias, key) => {
            let Some(at) = index_of(key, oracle) else { return };
            let (id, state) = oracle.keys[at].clone();
            let (operation, wrong) = match step {
                Step::CreateAlias(..) => {
                    ("CreateAlias", oracle.aliases.contains_key(&alias).then_some("AlreadyExistsException"))
                }
                _ => ("UpdateAlias", (!oracle.aliases.contains_key(&alias)).then_some("NotFoundException")),
            };
            let expected = wrong.or(refusal(state, false));
            let input = json!({"AliasName": alias_name(alias), "TargetKeyId": id});
            assert_eq!(world.call(operation, input).await.error, expected, "{operation}");
            if expected.is_none() {
                oracle.aliases.insert(alias, at);
            }
        }
    }
}

async fn compare(world: &World, oracle: &Oracle) {
    for (key, state) in &oracle.keys {
        let described = world.call("DescribeKey", json!({"KeyId": key})).await.ok();
        let expected = match state {
            State::Enabled => "Enabled",
            State::Disabled => "Disabled",
            State::Pending => "PendingDeletion",
        };
        assert_eq!(described["KeyMetadata"]["KeyState"], expected);
    }
    for (at, blob) in &oracle.blobs {
        let opened = world.call("Decrypt", json!({"CiphertextBlob": blob})).await;
        assert_eq!(opened.error, refusal(oracle.keys[*at].1, true));
    }
    let listed = world.call("ListAliases", json!({})).await.ok();
    let listed: BTreeMap<String, String> = listed["Aliases"]
        .as_array()
        .unwrap()
        .iter()
        .map(|alias| (text(&alias["AliasName"]), text(&alias["TargetKeyId"])))
        .collect();
    let expected: BTreeMap<String, String> =
        oracle.aliases.iter().map(|(alias, at)| (alias_name(*alias), oracle.keys[*at].0.clone())).collect();
    assert_eq!(listed, expected);
    for (at, (key, _)) in oracle.keys.iter().enumerate() {
        let of_key = world.call("ListAliases", json!({"KeyId": key})).await.ok();
        let count = oracle.aliases.values().filter(|target| **target == at).count();
        assert_eq!(of_key["Aliases"].as_array().unwrap().len(), count);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn histories_agree_with_the_oracle(seed in any::<u32>(), steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut world = World::new(u64::from(seed)).await;
            let mut oracle = Oracle::default();
            for next in steps {
                step(&mut world, &mut oracle, next).await;
            }
            compare(&world, &oracle).await;
            world.restart().await;
            compare(&world, &oracle).await;
        });
    }
}
