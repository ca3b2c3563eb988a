//! Every row of the operation table against every way in which a key can be out of reach. A row that is not in the table
//! of inputs here fails the test, so that no operation is added without it.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use bulla_api::{Role, Row, Service, TABLE};
use serde_json::{Value, json};
use support::{
    ACCOUNT, CIPHERTEXT_REFUSED, HELLO, OTHER_ACCOUNT, OTHER_REGION, REGION, UNKNOWN_KEY, World, key_arn,
};

/// Those that are neither IAM's nor about sessions, which have tests of their own: `identities.rs`, `sessions.rs`.
fn rows() -> impl Iterator<Item = &'static Row> {
    let others = |row: &&Row| row.service != Service::Iam && !support::sts::is_of_sessions(row.name);
    TABLE.iter().copied().filter(others)
}

/// An input that is right but for the key, the alias or the ciphertext.
fn input(operation: &str, key: &str, alias: &str, blob: &str) -> Value {
    match operation {
        "CreateKey" | "ListKeys" | "ListAliases" | "GetCallerIdentity" => json!({}),
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

#[tokio::test]
async fn a_key_that_is_not_enabled_does_what_aws_lets_it_do() {
    // What works in these states; for all others the state is said.
    let works_disabled = [
        "DescribeKey",
        "EnableKey",
        "DisableKey",
        "UpdateKeyDescription",
        "ScheduleKeyDeletion",
        "GetKeyRotationStatus",
        "ListKeyRotations",
        "CreateAlias",
        "UpdateAlias",
        "DeleteAlias",
        "TagResource",
        "UntagResource",
        "ListResourceTags",
        "GetKeyPolicy",
        "GetKeyLastUsage",
        "PutKeyPolicy",
        "ListKeyPolicies",
        "ListGrants",
        "ListRetirableGrants",
        "RetireGrant",
        "RevokeGrant",
        "GetParametersForImport",
        "ImportKeyMaterial",
        "DeleteImportedKeyMaterial",
    ];
    let works_pending = [
        "DescribeKey",
        "DeleteImportedKeyMaterial",
        "CancelKeyDeletion",
        "DeleteAlias",
        "GetKeyRotationStatus",
        "ListKeyRotations",
        "ListResourceTags",
        "GetKeyPolicy",
        "GetKeyLastUsage",
        "PutKeyPolicy",
        "ListKeyPolicies",
        "ListGrants",
        "ListRetirableGrants",
        "RetireGrant",
        "RevokeGrant",
    ];
    for row in rows() {
        let roles: Vec<Role> = row.demands.iter().map(|demand| demand.role).collect();
        if roles.iter().all(|role| *role == Role::Account) {
            continue;
        }
        for (change, works, message) in [
            ("DisableKey", &works_disabled[..], "is disabled."),
            ("ScheduleKeyDeletion", &works_pending[..], "is pending deletion."),
        ] {
            let world = World::new(4).await;
            let is_of_import = support::is_of_import(row.name);
            let key = match is_of_import || world.wants_multi_region(row.name) {
                true => world.new_key_for(row.name).await,
                false => world.new_key().await,
            };
            world.call("CreateAlias", json!({"AliasName": "alias/a", "TargetKeyId": key})).await.ok();
            let blob = world.sealed(&key).await;
            let mut input = with_grant(&world, &key, input(row.name, &key, "alias/a", &blob)).await;
            if is_of_import {
                world.prove(row.name, &mut input).await;
            }
            world.call(change, json!({"KeyId": key})).await.ok();
            let answer = world.call(row.name, input).await;
            if works.contains(&row.name) {
                answer.ok();
            } else if row.name == "CancelKeyDeletion" {
                assert_eq!(answer.error, Some("KMSInvalidStateException"));
            } else {
                let code =
                    if change == "DisableKey" { "DisabledException" } else { "KMSInvalidStateException" };
                // Its key has a replica.
                let message = match row.name {
                    "UpdatePrimaryRegion" => message.replace("pending", "pending replica"),
                    _ => message.to_owned(),
                };
                answer.fails(code, &format!("{} {message}", key_arn(ACCOUNT, REGION, &key)));
            }
        }
    }
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
        assert!(row.service == Service::Sts || !row.demands.is_empty(), "{} demands nothing", row.name);
    }
}
