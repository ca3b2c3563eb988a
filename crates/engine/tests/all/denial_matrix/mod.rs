//! Every row of the operation table against every way of being denied: here those in which a key can be out of reach, in
//! `rows.rs` those in which a caller can. A row without an input fails the tests, so that no operation is added without it.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod rows;

use crate::support;
use bulla_api::{Role, Row, Service, TABLE};
use serde_json::{Value, json};
use support::proxy::{PATH, new_external_key, new_store};
use support::{
    ACCOUNT, CIPHERTEXT_REFUSED, HELLO, OTHER_ACCOUNT, OTHER_REGION, REGION, UNKNOWN_KEY, World, key_arn,
};

/// Those that can be about keys.
fn rows() -> impl Iterator<Item = &'static Row> {
    TABLE.iter().copied().filter(|row| row.service == Service::Kms)
}

/// An input that is right but for the key, the alias or the ciphertext.
fn input(operation: &str, key: &str, alias: &str, blob: &str) -> Value {
    match operation {
        "CreateKey" | "ListKeys" | "ListAliases" => json!({}),
        "GenerateRandom" => json!({"NumberOfBytes": 16}),
        "DescribeCustomKeyStores" => json!({}),
        "ReplicateKey" => json!({"KeyId": key, "ReplicaRegion": OTHER_REGION}),
        "UpdatePrimaryRegion" => json!({"KeyId": key, "PrimaryRegion": OTHER_REGION}),
        "CreateCustomKeyStore" => json!({
            "CustomKeyStoreName": "hsm",
            "CloudHsmClusterId": "cluster-2a23b4cdefg",
            "TrustAnchorCertificate": "a certificate",
            "KeyStorePassword": "password",
        }),
        "UpdateCustomKeyStore"
        | "ConnectCustomKeyStore"
        | "DisconnectCustomKeyStore"
        | "DeleteCustomKeyStore" => json!({"CustomKeyStoreId": "cks-1234567890abcdef0"}),
        "DescribeKey"
        | "EnableKey"
        | "DisableKey"
        | "ScheduleKeyDeletion"
        | "CancelKeyDeletion"
        | "EnableKeyRotation"
        | "DisableKeyRotation"
        | "GetKeyRotationStatus"
        | "ListKeyRotations"
        | "RotateKeyOnDemand"
        | "ListResourceTags"
        | "GetKeyPolicy"
        | "GetKeyLastUsage"
        | "DeleteImportedKeyMaterial"
        | "ListKeyPolicies" => json!({"KeyId": key}),
        "GetParametersForImport" => {
            json!({"KeyId": key, "WrappingAlgorithm": "RSAES_OAEP_SHA_256", "WrappingKeySpec": "RSA_2048"})
        }
        "ImportKeyMaterial" => json!({
            "KeyId": key, "ImportToken": HELLO, "EncryptedKeyMaterial": HELLO,
            "ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE",
        }),
        "TagResource" => json!({"KeyId": key, "Tags": [{"TagKey": "a", "TagValue": "b"}]}),
        "UntagResource" => json!({"KeyId": key, "TagKeys": ["a"]}),
        "PutKeyPolicy" => json!({"KeyId": key, "Policy": support::OPEN_POLICY}),
        "UpdateKeyDescription" => json!({"KeyId": key, "Description": "d"}),
        "CreateAlias" => json!({"AliasName": "alias/new", "TargetKeyId": key}),
        "UpdateAlias" => json!({"AliasName": alias, "TargetKeyId": key}),
        "DeleteAlias" => json!({"AliasName": alias}),
        "GenerateDataKey" | "GenerateDataKeyWithoutPlaintext" => json!({"KeyId": key, "KeySpec": "AES_256"}),
        "GetPublicKey" => json!({"KeyId": key}),
        "Sign" => json!({"KeyId": key, "Message": HELLO, "SigningAlgorithm": "ECDSA_SHA_256"}),
        "Verify" => {
            json!({"KeyId": key, "Message": HELLO, "SigningAlgorithm": "ECDSA_SHA_256", "Signature": HELLO})
        }
        "GenerateMac" => json!({"KeyId": key, "Message": HELLO, "MacAlgorithm": "HMAC_SHA_256"}),
        "VerifyMac" => {
            json!({"KeyId": key, "Message": HELLO, "MacAlgorithm": "HMAC_SHA_256", "Mac": HELLO})
        }
        "GenerateDataKeyPair" | "GenerateDataKeyPairWithoutPlaintext" => {
            json!({"KeyId": key, "KeyPairSpec": "ECC_NIST_P256"})
        }
        "DeriveSharedSecret" => {
            json!({"KeyId": key, "KeyAgreementAlgorithm": "ECDH", "PublicKey": support::P256_GENERATOR})
        }
        "Encapsulate" => json!({"KeyId": key, "EncapsulationAlgorithm": "ML_KEM"}),
        "Decapsulate" => {
            json!({"KeyId": key, "EncapsulationAlgorithm": "ML_KEM", "SharedSecretCiphertextBlob": HELLO})
        }
        "Encrypt" => json!({"KeyId": key, "Plaintext": HELLO}),
        "Decrypt" => json!({"CiphertextBlob": blob}),
        "ReEncrypt" => json!({"CiphertextBlob": blob, "DestinationKeyId": key}),
        "CreateGrant" => json!({"KeyId": key, "GranteePrincipal": ACCOUNT_ROOT, "Operations": ["Decrypt"]}),
        "ListGrants" => json!({"KeyId": key}),
        "ListRetirableGrants" => json!({"RetiringPrincipal": ACCOUNT_ROOT}),
        "RetireGrant" | "RevokeGrant" => json!({"KeyId": key, "GrantId": "0".repeat(64)}),
        other => unreachable!("{other} has no input here"),
    }
}

const ACCOUNT_ROOT: &str = "arn:aws:iam::111122223333:root";

/// The input with a grant that is there, where it names one.
async fn with_grant(world: &World, key: &str, mut input: Value) -> Value {
    if input.get("GrantId").is_some() {
        let grant = json!({"KeyId": key, "GranteePrincipal": ACCOUNT_ROOT, "Operations": ["Decrypt"]});
        input["GrantId"] = world.call("CreateGrant", grant).await.ok()["GrantId"].clone();
    }
    input
}

/// What is not there in these worlds, beside keys: `key_stores.rs` has one with custom key stores.
fn not_there(operation: &str) -> Option<&'static str> {
    match operation {
        "CreateCustomKeyStore" => Some("CloudHsmClusterNotFoundException"),
        "UpdateCustomKeyStore"
        | "ConnectCustomKeyStore"
        | "DisconnectCustomKeyStore"
        | "DeleteCustomKeyStore" => Some("CustomKeyStoreNotFoundException"),
        _ => None,
    }
}

fn has(roles: &[Role], role: Role) -> bool {
    roles.contains(&role)
}

#[tokio::test]
async fn nobody_reaches_another_accounts_key() {
    for row in rows() {
        let world = World::with_two_accounts(1).await;
        let key = world.new_key().await;
        world.call("CreateAlias", json!({"AliasName": "alias/a", "TargetKeyId": key})).await.ok();
        let blob = world.sealed(&key).await;
        let stranger = world.caller_of(OTHER_ACCOUNT, REGION).await;
        let roles: Vec<Role> = row.demands.iter().map(|demand| demand.role).collect();
        let arn = key_arn(ACCOUNT, REGION, &key);
        let answer = world.call_as(&stranger, row.name, input(row.name, &arn, "alias/a", &blob)).await;
        if has(&roles, Role::CiphertextKey) {
            answer.fails("AccessDeniedException", CIPHERTEXT_REFUSED);
        } else if has(&roles, Role::Alias) && !has(&roles, Role::Key) {
            // Its own alias of that name doesn't exist.
            assert_eq!(answer.error, Some("NotFoundException"), "{}", row.name);
        } else if has(&roles, Role::Grant) || has(&roles, Role::RetiringPrincipal) {
            let action = row.demands.first().unwrap().action;
            let resource = if has(&roles, Role::Grant) { &arn } else { ACCOUNT_ROOT };
            answer.fails(
                "AccessDeniedException",
                &format!(
                    "User: arn:aws:iam::{OTHER_ACCOUNT}:root is not authorized to perform: {action} on resource: {resource} \
                     because no resource-based policy allows the {action} action"
                ),
            );
        } else if has(&roles, Role::Key) {
            let action = row.demands.iter().find(|demand| demand.role == Role::Key).unwrap().action;
            answer.fails(
                "AccessDeniedException",
                &format!(
                    "User: arn:aws:iam::{OTHER_ACCOUNT}:root is not authorized to perform: {action} on resource: {arn} \
                     because no resource-based policy allows the {action} action"
                ),
            );
        } else if let Some(code) = not_there(row.name) {
            assert_eq!(answer.error, Some(code), "{}", row.name);
        } else {
            answer.ok();
        }
        // Nothing happened to the key.
        let described = world.call("DescribeKey", json!({"KeyId": "alias/a"})).await.ok();
        assert_eq!(described["KeyMetadata"]["KeyState"], "Enabled", "{}", row.name);
    }
}

#[tokio::test]
async fn a_foreign_destination_is_refused_though_the_source_is_ones_own() {
    let world = World::with_two_accounts(2).await;
    let theirs = world.new_key().await;
    let stranger = world.caller_of(OTHER_ACCOUNT, REGION).await;
    let mine = world.new_key_as(&stranger).await;
    let blob = world.sealed_as(&stranger, &mine).await;
    let input = json!({"CiphertextBlob": blob, "DestinationKeyId": key_arn(ACCOUNT, REGION, &theirs)});
    let answer = world.call_as(&stranger, "ReEncrypt", input).await;
    assert_eq!(answer.error, Some("AccessDeniedException"));
    assert!(answer.body["message"].as_str().unwrap().contains("kms:ReEncryptTo"));
}

#[tokio::test]
async fn unknown_keys_and_other_regions_are_not_found() {
    for row in rows() {
        let world = World::new(3).await;
        let key = world.new_key().await;
        world.call("CreateAlias", json!({"AliasName": "alias/a", "TargetKeyId": key})).await.ok();
        let blob = world.sealed(&key).await;
        let roles: Vec<Role> = row.demands.iter().map(|demand| demand.role).collect();
        if !has(&roles, Role::Key) && !has(&roles, Role::DestinationKey) {
            continue;
        }
        let gone = format!("Key '{}' does not exist", key_arn(ACCOUNT, REGION, UNKNOWN_KEY));
        let answer = world.call(row.name, input(row.name, UNKNOWN_KEY, "alias/a", &blob)).await;
        answer.fails("NotFoundException", &gone);
        let elsewhere = key_arn(ACCOUNT, OTHER_REGION, &key);
        let answer = world.call(row.name, input(row.name, &elsewhere, "alias/a", &blob)).await;
        answer.fails("NotFoundException", &format!("Invalid arn {OTHER_REGION}"));
    }
}

/// The states in which a key can be here: `Creating` and `Updating` never show, for what takes long at AWS is one commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Enabled,
    Disabled,
    PendingDeletion,
    PendingReplicaDeletion,
    PendingImport,
    Unavailable,
}

/// What an operation comes to, by the state of its key: Enabled, Disabled, PendingDeletion or PendingReplicaDeletion,
/// PendingImport, Unavailable. Source: AWS KMS developer guide, "Key states of AWS KMS keys", whose footnotes these are:
///
/// 1 `DisabledException: <key ARN> is disabled.` | 3 `KMSInvalidStateException: <key ARN> is pending deletion (or pending
/// replica deletion).` (the guide has 2 or 3, where 2 is the same with DisabledException) | 4 `KMSInvalidStateException:
/// <key ARN> is not pending deletion` | 5 `KMSInvalidStateException: <key ARN> is pending import.` | 6
/// `UnsupportedOperationException: <key ARN> origin is EXTERNAL which is not valid for this operation.` | 7
/// `UnsupportedOperationException` if the material is imported or in a custom key store | 8 `KMSInvalidStateException` if it is
/// imported | 9 `UnsupportedOperationException` if it is not | 11 `KMSInvalidStateException`, unavailable.
///
/// `-` stands where there are no such keys. Keys of all kinds can be pending import by now, where the guide's table still has
/// N/A for some.
const STATES: &[(&str, [&str; 5])] = &[
    ("CancelKeyDeletion", ["4", "4", "ok", "4", "4"]),
    ("CreateAlias", ["ok", "ok", "3", "ok", "ok"]),
    ("CreateGrant", ["ok", "1", "3", "5", "ok"]),
    ("Decrypt", ["ok", "1", "3", "5", "11"]),
    ("DeleteAlias", ["ok", "ok", "ok", "ok", "ok"]),
    ("DeleteImportedKeyMaterial", ["9", "9", "9", "9", "9"]),
    ("DescribeKey", ["ok", "ok", "ok", "ok", "ok"]),
    ("DisableKey", ["ok", "ok", "3", "5", "ok"]),
    ("DisableKeyRotation", ["7", "1 or 7", "3 or 7", "6", "7"]),
    ("EnableKey", ["ok", "ok", "3", "5", "ok"]),
    ("EnableKeyRotation", ["7", "1 or 7", "3 or 7", "6", "7"]),
    ("Encrypt", ["ok", "1", "3", "5", "11"]),
    ("GenerateDataKey", ["ok", "1", "3", "5", "11"]),
    ("GenerateDataKeyPair", ["ok", "1", "3", "5", "7"]),
    ("GenerateDataKeyPairWithoutPlaintext", ["ok", "1", "3", "5", "7"]),
    ("GenerateDataKeyWithoutPlaintext", ["ok", "1", "3", "5", "11"]),
    ("GenerateMac", ["ok", "1", "3", "5", "-"]),
    ("GetKeyPolicy", ["ok", "ok", "ok", "ok", "ok"]),
    ("GetKeyRotationStatus", ["7", "7", "7", "6", "7"]),
    ("GetParametersForImport", ["9", "9", "8 or 9", "9", "9"]),
    ("GetPublicKey", ["ok", "1", "3", "5", "-"]),
    ("ImportKeyMaterial", ["9", "9", "8 or 9", "9", "9"]),
    ("ListGrants", ["ok", "ok", "ok", "ok", "ok"]),
    ("ListKeyPolicies", ["ok", "ok", "ok", "ok", "ok"]),
    ("ListResourceTags", ["ok", "ok", "ok", "ok", "ok"]),
    ("PutKeyPolicy", ["ok", "ok", "ok", "ok", "ok"]),
    ("ReEncrypt", ["ok", "1", "3", "5", "11"]),
    ("ReplicateKey", ["ok", "1", "3", "5", "-"]),
    ("RetireGrant", ["ok", "ok", "ok", "ok", "ok"]),
    ("RevokeGrant", ["ok", "ok", "ok", "ok", "ok"]),
    ("ScheduleKeyDeletion", ["ok", "ok", "3", "ok", "ok"]),
    ("Sign", ["ok", "1", "3", "5", "-"]),
    ("TagResource", ["ok", "ok", "3", "ok", "ok"]),
    ("UntagResource", ["ok", "ok", "3", "ok", "ok"]),
    // Of the key that an alias is to point at; see `an_alias_leaves_a_key_that_is_pending_deletion` for the other one.
    ("UpdateAlias", ["ok", "ok", "3", "ok", "ok"]),
    ("UpdateKeyDescription", ["ok", "ok", "3", "ok", "ok"]),
    ("UpdatePrimaryRegion", ["ok", "1", "3", "5", "-"]),
    ("Verify", ["ok", "1", "3", "5", "-"]),
    ("VerifyMac", ["ok", "1", "3", "5", "-"]),
    // Newer than the guide's table; by the errors that their API references name.
    ("Decapsulate", ["ok", "1", "3", "5", "-"]),
    ("DeriveSharedSecret", ["ok", "1", "3", "5", "-"]),
    ("Encapsulate", ["ok", "1", "3", "5", "-"]),
    ("GetKeyLastUsage", ["ok", "ok", "ok", "ok", "ok"]),
    ("ListKeyRotations", ["ok", "ok", "ok", "ok", "7"]),
    // Imported keys are rotated to material that waits for it, and these have none.
    ("RotateKeyOnDemand", ["8", "1", "3", "5", "7"]),
];

/// The error and how its text ends, where the guide says it; `None` for success.
fn expected(state: State, footnote: &'static str, imported: bool) -> Option<(&'static str, &'static str)> {
    const INVALID: &str = "KMSInvalidStateException";
    const UNSUPPORTED: &str = "UnsupportedOperationException";
    let pending = match state {
        State::PendingReplicaDeletion => " is pending replica deletion.",
        _ => " is pending deletion.",
    };
    let elsewhere = imported || state == State::Unavailable;
    match footnote {
        "ok" => None,
        "1 or 7" | "3 or 7" | "7" if elsewhere => Some((UNSUPPORTED, "")),
        "7" => None,
        "1" | "1 or 7" => Some(("DisabledException", " is disabled.")),
        "3" | "3 or 7" => Some((INVALID, pending)),
        "4" => Some((INVALID, " is not pending deletion.")),
        "5" => Some((INVALID, " is pending import.")),
        "6" => Some((UNSUPPORTED, " origin is EXTERNAL which is not valid for this operation.")),
        "8" => imported.then_some((INVALID, "")),
        "8 or 9" if imported => Some((INVALID, pending)),
        "9" if imported => None,
        "8 or 9" | "9" => Some((UNSUPPORTED, "")),
        "11" => Some((INVALID, "")),
        other => unreachable!("there is no footnote {other}"),
    }
}

/// A key of the kind that the operation wants, in this state, and the operation's input for it.
async fn key_in_state(world: &World, operation: &str, state: State, imported: bool) -> (String, Value) {
    if state == State::Unavailable {
        let store = world.call("CreateCustomKeyStore", new_store("outside", PATH)).await.ok();
        let by_id = json!({"CustomKeyStoreId": store["CustomKeyStoreId"]});
        world.call("ConnectCustomKeyStore", by_id.clone()).await.ok();
        let store = support::text(&store["CustomKeyStoreId"]);
        let made = world.call("CreateKey", new_external_key(&store, "external")).await.ok();
        let key = support::text(&made["KeyMetadata"]["KeyId"]);
        let input = input_of_usable(world, operation, &key).await;
        world.call("DisconnectCustomKeyStore", by_id).await.ok();
        return (key, input);
    }
    let mut kind = world.kind_for(operation);
    let is_symmetric = kind.get("KeySpec").is_none();
    if kind.is_null() {
        kind = json!({});
    }
    kind.as_object_mut().unwrap().remove("Origin");
    if imported {
        kind["Origin"] = json!("EXTERNAL");
    }
    if state == State::PendingReplicaDeletion {
        kind["MultiRegion"] = json!(true);
    }
    let key = support::text(&world.call("CreateKey", kind).await.ok()["KeyMetadata"]["KeyId"]);
    // Of a key that is pending import these need what it gave while it had its material.
    let is_used_before = matches!(operation, "Decrypt" | "ReEncrypt" | "RetireGrant" | "RevokeGrant");
    let is_usable = !imported || (is_symmetric && (state != State::PendingImport || is_used_before));
    if imported && is_usable {
        world.import(&key, &support::MATERIAL, json!({})).await.ok();
    }
    if is_usable && (state == State::PendingReplicaDeletion || operation == "UpdatePrimaryRegion") {
        world.call("ReplicateKey", json!({"KeyId": key, "ReplicaRegion": OTHER_REGION})).await.ok();
    }
    let input = match is_usable {
        true => input_of_usable(world, operation, &key).await,
        false => input_of_unusable(world, operation, &key).await,
    };
    let by_id = json!({"KeyId": key});
    match state {
        State::Enabled | State::Unavailable => {}
        State::Disabled => drop(world.call("DisableKey", by_id).await.ok()),
        State::PendingDeletion | State::PendingReplicaDeletion => {
            world.call("ScheduleKeyDeletion", by_id).await.ok();
        }
        State::PendingImport if is_usable => {
            world.call("DeleteImportedKeyMaterial", by_id).await.ok();
        }
        State::PendingImport => {}
    }
    (key, input)
}

/// The input for a key that waits for its first material.
async fn input_of_unusable(world: &World, operation: &str, key: &str) -> Value {
    world.call("CreateAlias", json!({"AliasName": "alias/a", "TargetKeyId": key})).await.ok();
    let mut input = input(operation, key, "alias/a", "");
    if operation == "ImportKeyMaterial" {
        world.prove(operation, &mut input).await;
    }
    input
}

/// The input for a key that can be used, with what it needs of it.
async fn input_of_usable(world: &World, operation: &str, key: &str) -> Value {
    world.call("CreateAlias", json!({"AliasName": "alias/a", "TargetKeyId": key})).await.ok();
    let blob = match world.kind_for(operation).get("KeySpec") {
        Some(_) => String::new(),
        None => world.sealed(key).await,
    };
    let mut input = with_grant(world, key, input(operation, key, "alias/a", &blob)).await;
    let described = world.call("DescribeKey", json!({"KeyId": key})).await.ok();
    if operation != "ImportKeyMaterial" || described["KeyMetadata"]["Origin"] == "EXTERNAL" {
        world.prove(operation, &mut input).await;
    }
    input
}

#[tokio::test]
async fn a_key_does_in_each_state_what_aws_lets_it_do() {
    use State::{Disabled, Enabled, PendingDeletion, PendingImport, PendingReplicaDeletion, Unavailable};
    for row in rows() {
        let of_keys = [Role::Key, Role::DestinationKey, Role::CiphertextKey, Role::Grant];
        if row.name != "DeleteAlias" && !row.demands.iter().any(|demand| of_keys.contains(&demand.role)) {
            continue;
        }
        let of_row = STATES.iter().find(|(operation, _)| *operation == row.name);
        let (_, footnotes) = of_row.unwrap_or_else(|| panic!("{} has no row of states", row.name));
        for (state, footnote) in [
            (Enabled, footnotes[0]),
            (Disabled, footnotes[1]),
            (PendingDeletion, footnotes[2]),
            (PendingReplicaDeletion, footnotes[2]),
            (PendingImport, footnotes[3]),
            (Unavailable, footnotes[4]),
        ] {
            let (mut world, _) = World::with_proxy(4).await;
            let is_symmetric = world.kind_for(row.name).get("KeySpec").is_none();
            for imported in [false, true] {
                let there_is_one = match state {
                    PendingImport => imported,
                    Unavailable => !imported,
                    // Its replica would have to import too.
                    _ if row.name == "UpdatePrimaryRegion" => !imported && state != PendingDeletion,
                    // Where the guide doesn't tell them apart, one of ours is enough.
                    _ => !imported || (is_symmetric && footnote.contains(['7', '8', '9'])),
                };
                if footnote == "-" || !there_is_one {
                    continue;
                }
                let shown = format!("{} of a key that is {state:?}, imported: {imported}", row.name);
                let (key, input) = key_in_state(&world, row.name, state, imported).await;
                let described = world.call("DescribeKey", json!({"KeyId": key})).await.ok();
                assert_eq!(described["KeyMetadata"]["KeyState"], format!("{state:?}"), "{shown}");
                let answer = world.call(row.name, input).await;
                let said = answer.body["message"].as_str().unwrap_or_default();
                match expected(state, footnote, imported) {
                    None => assert_eq!(answer.error, None, "{shown}: {}", answer.body),
                    Some((code, end)) => {
                        assert_eq!(answer.error, Some(code), "{shown}: {}", answer.body);
                        let text = format!("{}{end}", key_arn(ACCOUNT, REGION, &key));
                        assert!(end.is_empty() || said == text, "{shown}: {said}");
                    }
                }
                world = World::with_proxy(5).await.0;
            }
        }
    }
}

#[tokio::test]
async fn an_alias_leaves_a_key_that_is_pending_deletion() {
    let world = World::new(6).await;
    let (from, to) = (world.new_key().await, world.new_key().await);
    world.call("CreateAlias", json!({"AliasName": "alias/a", "TargetKeyId": from})).await.ok();
    world.call("ScheduleKeyDeletion", json!({"KeyId": from})).await.ok();
    world.call("UpdateAlias", json!({"AliasName": "alias/a", "TargetKeyId": to})).await.ok();
}

#[tokio::test]
async fn every_operation_asks_for_exactly_what_its_row_says() {
    // An operation that would ask for a key its row doesn't demand fails as a mistake of the program.
    for row in rows() {
        let world = World::new(5).await;
        let key = world.new_key().await;
        world.call("CreateAlias", json!({"AliasName": "alias/a", "TargetKeyId": key})).await.ok();
        let blob = world.sealed(&key).await;
        if row.name == "CancelKeyDeletion" {
            world.call("ScheduleKeyDeletion", json!({"KeyId": key})).await.ok();
        }
        let key = if world.wants_another(row.name) { world.new_key_for(row.name).await } else { key };
        let mut input = with_grant(&world, &key, input(row.name, &key, "alias/a", &blob)).await;
        world.prove(row.name, &mut input).await;
        let answer = world.call(row.name, input).await;
        match not_there(row.name) {
            Some(code) => assert_eq!(answer.error, Some(code), "{}", row.name),
            None => drop(answer.ok()),
        }
        assert!(!row.demands.is_empty(), "{} demands nothing", row.name);
    }
}
