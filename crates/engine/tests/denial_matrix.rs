//! Every row of the operation table against every way in which a key can be out of reach. A row that is not in the table
//! of inputs here fails the test, so that no operation is added without it.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use bulla_api::{GrantOperation, Role, Row, Service, TABLE, When};
use serde_json::{Value, json};
use support::iam::Identities;
use support::{
    ACCOUNT, CIPHERTEXT_REFUSED, HELLO, OTHER_ACCOUNT, OTHER_REGION, REGION, Read, Signer, UNKNOWN_KEY,
    World, key_arn,
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

/// Whoever asks with a user's own policies and an access key.
struct Asker {
    id: String,
    secret: String,
}

impl Asker {
    async fn make(world: &World, name: &str) -> Self {
        world.call("CreateUser", json!({"UserName": name})).await.ok();
        let made = world.call("CreateAccessKey", json!({"UserName": name})).await.ok();
        let of = |member: &str| support::text(&made["AccessKey"][member]);
        Self { id: of("AccessKeyId"), secret: of("SecretAccessKey") }
    }

    fn signer(&self, row: &Row) -> Signer {
        let service = row.service.scope_name();
        Signer { access_key_id: self.id.clone(), secret: self.secret.clone(), region: REGION, service }
    }

    async fn call(&self, world: &World, row: &Row, input: &Value) -> Read {
        let target = format!("{}{}", row.service.target_prefix(), row.name);
        let body = serde_json::to_vec(input).unwrap();
        Read::of(world.call_signed(&self.signer(row), &target, &body).await)
    }
}

async fn put_policy(world: &World, user: &str, statements: Value) {
    let document = json!({"Version": "2012-10-17", "Statement": statements}).to_string();
    let input = json!({"UserName": user, "PolicyName": "p", "PolicyDocument": document});
    world.call("PutUserPolicy", input).await.ok();
}

/// Everything that a row's input names: users, groups, roles, a key and what belongs to it.
struct Everything {
    world: World,
    scene: Identities,
    asker: Asker,
}

async fn everything(seed: u64) -> Everything {
    let world = World::new(seed).await;
    let scene = Identities::make(&world).await;
    let asker = Asker::make(&world, "asker").await;
    Everything { world, scene, asker }
}

impl Everything {
    /// An input of this row that the root of the account would succeed with.
    async fn input(&self, row: &Row) -> Value {
        match row.service {
            Service::Iam => return self.scene.inputs(row.name).0,
            Service::Sts => return sts_input(row.name, &self.asker),
            Service::Kms => {}
        }
        let world = &self.world;
        let key = match world.wants_another(row.name) {
            true => world.new_key_for(row.name).await,
            false => world.new_key().await,
        };
        let blob = if world.wants_another(row.name) { String::new() } else { world.sealed(&key).await };
        let alias = format!("alias/{key}");
        world.call("CreateAlias", json!({"AliasName": alias, "TargetKeyId": key})).await.ok();
        let mut input = with_grant(world, &key, input(row.name, &key, &alias, &blob)).await;
        world.prove(row.name, &mut input).await;
        if row.name == "CancelKeyDeletion" {
            world.call("ScheduleKeyDeletion", json!({"KeyId": key})).await.ok();
        }
        input
    }
}

fn sts_input(operation: &str, asker: &Asker) -> Value {
    let role =
        json!({"RoleArn": format!("arn:aws:iam::{ACCOUNT}:role/deployer"), "RoleSessionName": "session"});
    match operation {
        "AssumeRole" => role,
        "AssumeRoleWithWebIdentity" => {
            json!({"RoleArn": role["RoleArn"], "RoleSessionName": "session", "WebIdentityToken": "e30.e30.AAAA"})
        }
        "GetCallerIdentity" | "GetSessionToken" => json!({}),
        "GetAccessKeyInfo" => json!({"AccessKeyId": asker.id}),
        other => unreachable!("{other} has no input here"),
    }
}

/// What needs no permission, by AWS's own word: who one is, and what one has anyway. The issuer of a web identity vouches for
/// whoever asks with one, who signs nothing.
fn demands_nothing(row: &Row) -> bool {
    row.demands.is_empty() || row.name == "AssumeRoleWithWebIdentity"
}

/// Changes the headers of a request that was signed.
type Tampering<'t> = &'t dyn Fn(&mut Vec<(String, String)>);

#[tokio::test]
async fn no_row_answers_whom_it_does_not_know() {
    let Everything { world, asker, .. } = everything(11).await;
    put_policy(&world, "asker", json!([{"Effect": "Allow", "Action": "*", "Resource": "*"}])).await;
    for row in TABLE.iter().filter(|row| row.name != "AssumeRoleWithWebIdentity") {
        let signer = asker.signer(row);
        let target = format!("{}{}", row.service.target_prefix(), row.name);
        let tampered: [(&str, Tampering<'_>); 3] = [
            ("MissingAuthenticationTokenException", &|headers| {
                headers.retain(|(name, _)| !name.eq_ignore_ascii_case("authorization"));
            }),
            ("InvalidSignatureException", &|headers| {
                let (_, value) =
                    headers.iter_mut().find(|(name, _)| name.eq_ignore_ascii_case("authorization")).unwrap();
                let last = value.pop().unwrap();
                value.push(if last == '0' { '1' } else { '0' });
            }),
            ("InvalidSignatureException", &|headers| {
                for (name, value) in headers.iter_mut() {
                    if name.eq_ignore_ascii_case("x-amz-date") {
                        let other = if value.contains("T03") { "T04" } else { "T03" };
                        value.replace_range(8..11, other);
                    }
                }
            }),
        ];
        for (code, tamper) in tampered {
            let caller = world.authenticate(&signer, &target, b"{}", tamper).await;
            let answer = world.engine.dispatch(caller, world.meta(), &target, &mut b"{}".to_owned()).await;
            assert_eq!(answer.error_type(), Some(code), "{}", row.name);
        }
        // Signed, and sent when its time is over.
        let kept = std::sync::Mutex::new(Vec::new());
        world
            .authenticate(&signer, &target, b"{}", |headers| *kept.lock().unwrap() = headers.clone())
            .await
            .unwrap();
        let kept = kept.into_inner().unwrap();
        let headers: Vec<(&str, &[u8])> =
            kept.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        let request = bulla_engine::SignedRequest {
            method: "POST",
            path_and_query: "/",
            headers: &headers,
            body: b"{}",
        };
        world.clock.advance(std::time::Duration::from_secs(6 * 60));
        let caller = world.engine.authenticate(&request).await;
        let answer = world.engine.dispatch(caller, world.meta(), &target, &mut b"{}".to_owned()).await;
        assert_eq!(answer.error_type(), Some("InvalidSignatureException"), "{}", row.name);
    }
}

#[tokio::test]
async fn no_row_allows_what_no_policy_allows() {
    let everything = everything(12).await;
    let Everything { world, asker, .. } = &everything;
    for row in TABLE.iter().filter(|row| !demands_nothing(row)) {
        let input = everything.input(row).await;
        let answer = asker.call(world, row, &input).await;
        assert_eq!(answer.error, Some("AccessDeniedException"), "{}: {}", row.name, answer.body);
    }
}

#[tokio::test]
async fn each_demand_of_each_row_can_be_denied() {
    for row in TABLE.iter().filter(|row| !demands_nothing(row)) {
        let everything = everything(13).await;
        let Everything { world, asker, .. } = &everything;
        let input = everything.input(row).await;
        for demand in row.demands.iter().filter(|demand| demand.when == When::Always) {
            let all = json!({"Effect": "Allow", "Action": "*", "Resource": "*"});
            let deny = json!({"Effect": "Deny", "Action": demand.action, "Resource": "*"});
            put_policy(world, "asker", json!([all, deny])).await;
            let answer = asker.call(world, row, &input).await;
            assert_eq!(answer.error, Some("AccessDeniedException"), "{}: {}", row.name, answer.body);
            let said = answer.body.to_string();
            // Of a role to assume, one answer stands for all reasons.
            assert!(
                row.service == Service::Sts
                    || said.contains("with an explicit deny in an identity-based policy"),
                "{said}"
            );
        }
    }
}

#[tokio::test]
async fn the_actions_of_a_row_are_all_that_it_needs() {
    for row in TABLE.iter().filter(|row| row.service != Service::Sts) {
        let everything = everything(14).await;
        let Everything { world, asker, .. } = &everything;
        let input = everything.input(row).await;
        let mut actions: Vec<&str> = row.demands.iter().map(|demand| demand.action).collect();
        actions.push("sts:None");
        put_policy(world, "asker", json!([{"Effect": "Allow", "Action": actions, "Resource": "*"}])).await;
        let answer = asker.call(world, row, &input).await;
        // Who retires a grant is the grant's affair; the policy lets the account's user do it for the account.
        match (not_there(row.name), row.name) {
            (Some(code), _) => assert_eq!(answer.error, Some(code), "{}", row.name),
            // A policy that its author could not change again, and a user that IAM doesn't let go.
            (None, "PutKeyPolicy") => drop(answer),
            (None, _) => {
                assert_ne!(answer.error, Some("AccessDeniedException"), "{}: {}", row.name, answer.body)
            }
        }
    }
}

#[tokio::test]
async fn a_grant_that_is_gone_allows_no_row_anything() {
    let everything = everything(15).await;
    let Everything { world, asker, .. } = &everything;
    let asker_arn = format!("arn:aws:iam::{ACCOUNT}:user/asker");
    for row in TABLE.iter().filter(|row| row.service == Service::Kms) {
        let granted: Vec<&str> = row
            .demands
            .iter()
            .filter_map(|demand| demand.action.strip_prefix("kms:"))
            .filter(|name| name.parse::<GrantOperation>().is_ok())
            .collect();
        if granted.len() != row.demands.len() || row.name == "RetireGrant" {
            continue;
        }
        let mut input = everything.input(row).await;
        let key = match input.get("KeyId").or(input.get("DestinationKeyId")) {
            Some(key) => key.clone(),
            None => {
                let blob = json!({"CiphertextBlob": input["CiphertextBlob"]});
                world.call("Decrypt", blob).await.ok()["KeyId"].clone()
            }
        };
        let mut operations = granted.clone();
        if row.name == "CreateGrant" {
            operations.push("Decrypt");
            input["GranteePrincipal"] = json!(ACCOUNT_ROOT);
        }
        let grant = json!({"KeyId": key, "GranteePrincipal": asker_arn, "Operations": operations});
        let made = world.call("CreateGrant", grant).await.ok();
        let answer = asker.call(world, row, &input).await;
        assert_eq!(answer.error, None, "{}: {}", row.name, answer.body);
        if row.name != "CreateGrant" {
            input["GrantTokens"] = json!([made["GrantToken"]]);
        }
        world.call("RevokeGrant", json!({"KeyId": key, "GrantId": made["GrantId"]})).await.ok();
        let answer = asker.call(world, row, &input).await;
        assert_eq!(answer.error, Some("AccessDeniedException"), "{}: {}", row.name, answer.body);
    }
}
