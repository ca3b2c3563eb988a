//! Key policies decide who may use a key, under which circumstances, and what is said to everybody else.
#![allow(clippy::unwrap_used, missing_docs)]

use crate::support;

use bulla_engine::{Authenticated, EngineOptions, Via};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use support::{ACCOUNT, CIPHERTEXT_REFUSED, HELLO, OTHER_ACCOUNT, REGION, Read, World, key_arn, text};

fn root(account: &str) -> String {
    format!("arn:aws:iam::{account}:root")
}

/// Keeps the owner able to change the policy, and allows it nothing else.
fn keeper() -> Value {
    json!({
        "Sid": "Keeper", "Effect": "Allow", "Principal": {"AWS": root(ACCOUNT)},
        "Action": ["kms:PutKeyPolicy", "kms:GetKeyPolicy", "kms:ScheduleKeyDeletion"], "Resource": "*",
    })
}

fn statement(effect: &str, account: &str, action: &str, condition: Value) -> Value {
    let mut statement =
        json!({"Effect": effect, "Principal": {"AWS": root(account)}, "Action": action, "Resource": "*"});
    if !condition.is_null() {
        statement["Condition"] = condition;
    }
    statement
}

fn policy(statements: &[Value]) -> String {
    json!({"Version": "2012-10-17", "Statement": statements}).to_string()
}

async fn put(world: &World, key: &str, statements: &[Value]) {
    world.call("PutKeyPolicy", json!({"KeyId": key, "Policy": policy(statements)})).await.ok();
}

async fn stranger(world: &World) -> Authenticated {
    world.caller_of(OTHER_ACCOUNT, REGION).await
}

fn denied(account: &str, action: &str, resource: &str, why: &str) -> String {
    format!("User: {} is not authorized to perform: {action} on {resource} {why}", root(account))
}

#[track_caller]
fn is_denied(answer: Read, message: &str) {
    answer.fails("AccessDeniedException", message);
}

#[tokio::test]
async fn a_key_policy_that_does_not_name_the_account_keeps_even_its_root_out() {
    let world = World::new(1).await;
    let key = world.new_key().await;
    let (arn, blob) = (key_arn(ACCOUNT, REGION, &key), world.sealed(&key).await);
    put(&world, &key, &[keeper()]).await;
    let because = |action: &str| format!("because no resource-based policy allows the {action} action");
    let encrypt = || json!({"KeyId": key, "Plaintext": HELLO});
    let resource = format!("resource: {arn}");
    is_denied(
        world.call("Encrypt", encrypt()).await,
        &denied(ACCOUNT, "kms:Encrypt", &resource, &because("kms:Encrypt")),
    );
    // What the ciphertext is of is not told, but that the account owns it.
    is_denied(
        world.call("Decrypt", json!({"CiphertextBlob": blob})).await,
        &denied(
            ACCOUNT,
            "kms:Decrypt",
            "the resource associated with this ciphertext",
            &because("kms:Decrypt"),
        ),
    );
    for name in ["DescribeKey", "DisableKey", "ListGrants", "ListResourceTags"] {
        let answer = world.call(name, json!({"KeyId": key})).await;
        assert_eq!(answer.error, Some("AccessDeniedException"), "{name}");
    }
    // What concerns no key doesn't ask it.
    world.call("ListKeys", json!({})).await.ok();
    // The next request sees the next policy.
    put(&world, &key, &[keeper(), statement("Allow", ACCOUNT, "kms:Encrypt", Value::Null)]).await;
    world.call("Encrypt", encrypt()).await.ok();
    let deny = statement("Deny", ACCOUNT, "kms:Enc*", Value::Null);
    put(&world, &key, &[keeper(), statement("Allow", ACCOUNT, "kms:*", Value::Null), deny]).await;
    is_denied(
        world.call("Encrypt", encrypt()).await,
        &denied(ACCOUNT, "kms:Encrypt", &resource, "with an explicit deny in a resource-based policy"),
    );
    world.call("Decrypt", json!({"CiphertextBlob": blob})).await.ok();
}

#[tokio::test]
async fn another_account_uses_a_key_whose_policy_names_it_and_does_not_manage_it() {
    let world = World::with_two_accounts(2).await;
    let key = world.new_key().await;
    let arn = key_arn(ACCOUNT, REGION, &key);
    world.call("CreateAlias", json!({"AliasName": "alias/shared", "TargetKeyId": key})).await.ok();
    let all = statement("Allow", OTHER_ACCOUNT, "kms:*", Value::Null);
    let own = statement("Allow", ACCOUNT, "kms:*", Value::Null);
    put(&world, &key, &[own.clone(), all]).await;
    let other = stranger(&world).await;
    let alias_arn = format!("arn:aws:kms:{REGION}:{ACCOUNT}:alias/shared");
    for named in [&arn, &alias_arn] {
        let sealed = world.call_as(&other, "Encrypt", json!({"KeyId": named, "Plaintext": HELLO})).await.ok();
        assert_eq!(sealed["KeyId"], arn.as_str());
        let opened =
            world.call_as(&other, "Decrypt", json!({"CiphertextBlob": sealed["CiphertextBlob"]})).await.ok();
        assert_eq!(opened["Plaintext"], HELLO);
    }
    world.call_as(&other, "DescribeKey", json!({"KeyId": arn})).await.ok();
    world.call_as(&other, "GetKeyRotationStatus", json!({"KeyId": arn})).await.ok();
    // Its id and its alias are those of an account, and the caller has its own.
    for named in [key.as_str(), "alias/shared"] {
        let answer = world.call_as(&other, "Encrypt", json!({"KeyId": named, "Plaintext": HELLO})).await;
        assert_eq!(answer.error, Some("NotFoundException"));
    }
    // Whatever the policy says.
    for (name, action) in [
        ("ScheduleKeyDeletion", "kms:ScheduleKeyDeletion"),
        ("GetKeyPolicy", "kms:GetKeyPolicy"),
        ("DisableKey", "kms:DisableKey"),
    ] {
        is_denied(
            world.call_as(&other, name, json!({"KeyId": arn})).await,
            &denied(
                OTHER_ACCOUNT,
                action,
                &format!("resource: {arn}"),
                &format!("because no resource-based policy allows the {action} action"),
            ),
        );
    }
    // One answer for what is denied explicitly, implicitly, and isn't there.
    let deny = statement("Deny", OTHER_ACCOUNT, "kms:Decrypt", Value::Null);
    let sealed = world.sealed(&key).await;
    put(&world, &key, &[own, statement("Allow", OTHER_ACCOUNT, "kms:*", Value::Null), deny]).await;
    is_denied(world.call_as(&other, "Decrypt", json!({"CiphertextBlob": sealed})).await, CIPHERTEXT_REFUSED);
    let why = "because no resource-based policy allows the kms:Decrypt action";
    for named in [arn, key_arn(ACCOUNT, REGION, support::UNKNOWN_KEY)] {
        is_denied(
            world.call_as(&other, "Decrypt", json!({"CiphertextBlob": sealed, "KeyId": named})).await,
            &denied(OTHER_ACCOUNT, "kms:Decrypt", &format!("resource: {named}"), why),
        );
    }
}

/// For a condition key: an operation, the members of a request that has a value, and one that hasn't.
struct Row {
    key: &'static str,
    operation: &'static str,
    value: Value,
    fits: Value,
    differs: Value,
}

fn row(key: &'static str, operation: &'static str, value: &str, fits: Value, differs: Value) -> Row {
    Row { key, operation, value: json!(value), fits, differs }
}

fn rows() -> Vec<Row> {
    let context = |value: Value| json!({"Plaintext": HELLO, "EncryptionContext": value});
    let none = || context(json!({}));
    let data_key = |more: Value| {
        let mut input = json!({"KeySpec": "AES_256"});
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        input
    };
    let grant = |more: Value| {
        let mut input = json!({"GranteePrincipal": root(OTHER_ACCOUNT), "Operations": ["Decrypt"]});
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        input
    };
    let tag = |key: &str, value: &str| json!({"Tags": [{"TagKey": key, "TagValue": value}]});
    let policy = |more: Value| {
        let mut input = json!({"Policy": support::OPEN_POLICY});
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        input
    };
    vec![
        row("kms:EncryptionContext:App", "Encrypt", "a", context(json!({"App": "a"})), none()),
        row(
            "kms:encryptioncontext:APP",
            "Encrypt",
            "a",
            context(json!({"app": "a"})),
            context(json!({"app": "A"})),
        ),
        row(
            "kms:EncryptionContext:App",
            "GenerateDataKey",
            "a",
            data_key(json!({"EncryptionContext": {"App": "a"}})),
            data_key(json!({})),
        ),
        row(
            "kms:EncryptionContext:App",
            "CreateGrant",
            "a",
            grant(json!({"Constraints": {"EncryptionContextSubset": {"App": "a"}}})),
            grant(json!({})),
        ),
        row(
            "kms:EncryptionAlgorithm",
            "Encrypt",
            "SYMMETRIC_DEFAULT",
            none(),
            json!({"Plaintext": HELLO, "EncryptionAlgorithm": "RSAES_OAEP_SHA_1"}),
        ),
        row(
            "kms:DataKeyPairSpec",
            "GenerateDataKeyPair",
            "ECC_NIST_P256",
            json!({"KeyPairSpec": "ECC_NIST_P256"}),
            json!({"KeyPairSpec": "ECC_NIST_P384"}),
        ),
        row(
            "kms:GranteePrincipal",
            "CreateGrant",
            &root(OTHER_ACCOUNT),
            grant(json!({})),
            grant(json!({"GranteePrincipal": root(ACCOUNT)})),
        ),
        row(
            "kms:RetiringPrincipal",
            "CreateGrant",
            &root(ACCOUNT),
            grant(json!({"RetiringPrincipal": root(ACCOUNT)})),
            grant(json!({})),
        ),
        row(
            "kms:GrantConstraintType",
            "CreateGrant",
            "EncryptionContextEquals",
            grant(json!({"Constraints": {"EncryptionContextEquals": {"a": "b"}}})),
            grant(json!({"Constraints": {"EncryptionContextSubset": {"a": "b"}}})),
        ),
        row("aws:RequestTag/Team", "TagResource", "red", tag("team", "red"), tag("Team", "blue")),
        row(
            "kms:BypassPolicyLockoutSafetyCheck",
            "PutKeyPolicy",
            "true",
            policy(json!({"BypassPolicyLockoutSafetyCheck": true})),
            policy(json!({})),
        ),
        row(
            "kms:PolicyName",
            "PutKeyPolicy",
            "default",
            policy(json!({})),
            policy(json!({"PolicyName": "other"})),
        ),
        row(
            "kms:ScheduleKeyDeletionPendingWindowInDays",
            "ScheduleKeyDeletion",
            "30",
            json!({}),
            json!({"PendingWindowInDays": 7}),
        ),
        row(
            "kms:RotationPeriodInDays",
            "EnableKeyRotation",
            "100",
            json!({"RotationPeriodInDays": 100}),
            json!({}),
        ),
        row(
            "kms:ReplicaRegion",
            "ReplicateKey",
            support::OTHER_REGION,
            json!({"ReplicaRegion": support::OTHER_REGION}),
            json!({"ReplicaRegion": REGION}),
        ),
        row(
            "kms:WrappingAlgorithm",
            "GetParametersForImport",
            "RSAES_OAEP_SHA_256",
            json!({"WrappingAlgorithm": "RSAES_OAEP_SHA_256", "WrappingKeySpec": "RSA_2048"}),
            json!({"WrappingAlgorithm": "RSAES_OAEP_SHA_1", "WrappingKeySpec": "RSA_2048"}),
        ),
        row(
            "kms:WrappingKeySpec",
            "GetParametersForImport",
            "RSA_2048",
            json!({"WrappingAlgorithm": "RSAES_OAEP_SHA_256", "WrappingKeySpec": "RSA_2048"}),
            json!({"WrappingAlgorithm": "RSAES_OAEP_SHA_256", "WrappingKeySpec": "RSA_3072"}),
        ),
        row(
            "kms:SigningAlgorithm",
            "Sign",
            "ECDSA_SHA_256",
            json!({"Message": HELLO, "SigningAlgorithm": "ECDSA_SHA_256"}),
            json!({"Message": HELLO, "SigningAlgorithm": "ECDSA_SHA_384"}),
        ),
        row(
            "kms:MessageType",
            "Sign",
            "RAW",
            json!({"Message": HELLO, "SigningAlgorithm": "ECDSA_SHA_256"}),
            json!({"Message": HELLO, "SigningAlgorithm": "ECDSA_SHA_256", "MessageType": "DIGEST"}),
        ),
        row(
            "kms:MacAlgorithm",
            "GenerateMac",
            "HMAC_SHA_256",
            json!({"Message": HELLO, "MacAlgorithm": "HMAC_SHA_256"}),
            json!({"Message": HELLO, "MacAlgorithm": "HMAC_SHA_384"}),
        ),
    ]
}

#[tokio::test]
async fn each_condition_key_of_a_request_is_what_the_request_says() {
    for Row { key: condition_key, operation, value, fits, differs } in rows() {
        let world = World::with_two_accounts(3).await;
        let key = if world.wants_another(operation) {
            world.new_key_for(operation).await
        } else {
            world.new_key().await
        };
        let condition = json!({"StringEquals": {condition_key: value}});
        let action = format!("kms:{operation}");
        let mut allowed = vec![statement("Allow", ACCOUNT, &action, condition), keeper()];
        if operation == "PutKeyPolicy" || operation == "ScheduleKeyDeletion" {
            allowed.pop();
        }
        let input = json!({"KeyId": key, "Policy": policy(&allowed), "BypassPolicyLockoutSafetyCheck": true});
        world.call("PutKeyPolicy", input).await.ok();
        let with_key = |mut input: Value| {
            input["KeyId"] = json!(key);
            input
        };
        let answer = world.call(operation, with_key(differs)).await;
        assert_eq!(
            answer.error,
            Some("AccessDeniedException"),
            "{condition_key} of {operation}: {}",
            answer.body
        );
        let answer = world.call(operation, with_key(fits)).await;
        assert_eq!(answer.error, None, "{condition_key} of {operation}: {}", answer.body);
    }
}

#[tokio::test]
async fn condition_keys_of_the_key_the_caller_and_the_time_are_what_the_service_knows() {
    let world = World::new(4).await;
    let made = world
        .call("CreateKey", json!({"Tags": [{"TagKey": "Team", "TagValue": "red"}], "MultiRegion": true}))
        .await
        .ok();
    let key = text(&made["KeyMetadata"]["KeyId"]);
    for alias in ["alias/a", "alias/b"] {
        world.call("CreateAlias", json!({"AliasName": alias, "TargetKeyId": key})).await.ok();
    }
    let holds = async |condition: Value| {
        put(&world, &key, &[keeper(), statement("Allow", ACCOUNT, "kms:Encrypt", condition)]).await;
        let answer = world.call("Encrypt", json!({"KeyId": "alias/a", "Plaintext": HELLO})).await;
        match answer.error {
            None => true,
            Some("AccessDeniedException") => false,
            _ => unreachable!("{}", answer.body),
        }
    };
    for (name, value, other) in [
        ("kms:KeySpec", "SYMMETRIC_DEFAULT", "RSA_2048"),
        ("kms:CustomerMasterKeySpec", "SYMMETRIC_DEFAULT", "RSA_2048"),
        ("kms:KeyUsage", "ENCRYPT_DECRYPT", "SIGN_VERIFY"),
        ("kms:CustomerMasterKeyUsage", "ENCRYPT_DECRYPT", "SIGN_VERIFY"),
        ("kms:KeyOrigin", "AWS_KMS", "EXTERNAL"),
        ("kms:MultiRegion", "true", "false"),
        ("kms:MultiRegionKeyType", "PRIMARY", "REPLICA"),
        ("kms:RequestAlias", "alias/a", "alias/b"),
        ("kms:CallerAccount", ACCOUNT, OTHER_ACCOUNT),
        ("aws:PrincipalAccount", ACCOUNT, OTHER_ACCOUNT),
        ("aws:ResourceAccount", ACCOUNT, OTHER_ACCOUNT),
        ("aws:PrincipalType", "Account", "User"),
        ("aws:userid", ACCOUNT, OTHER_ACCOUNT),
        ("aws:RequestedRegion", REGION, support::OTHER_REGION),
        ("aws:ResourceTag/team", "red", "blue"),
        ("aws:SecureTransport", "true", "false"),
        ("aws:ViaAWSService", "false", "true"),
        ("aws:PrincipalIsAWSService", "false", "true"),
        ("aws:UserAgent", "test", "other"),
        ("aws:EpochTime", "1795435200", "1795435201"),
        ("aws:CurrentTime", "2026-11-23T12:00:00Z", "2026-11-23T12:00:01Z"),
    ] {
        assert!(holds(json!({"StringEquals": {name: value}})).await, "{name} is {value}");
        assert!(!holds(json!({"StringEquals": {name: other}})).await, "{name} is not {other}");
    }
    assert!(holds(json!({"ArnEquals": {"aws:PrincipalArn": root(ACCOUNT)}})).await);
    assert!(holds(json!({"DateLessThan": {"aws:CurrentTime": "2026-11-23T12:00:01Z"}})).await);
    assert!(!holds(json!({"DateGreaterThan": {"aws:CurrentTime": "2026-11-23T12:00:01Z"}})).await);
    assert!(holds(json!({"ForAnyValue:StringEquals": {"kms:ResourceAliases": "alias/b"}})).await);
    assert!(!holds(json!({"ForAnyValue:StringEquals": {"kms:ResourceAliases": "alias/c"}})).await);
    assert!(holds(json!({"ForAllValues:StringLike": {"kms:ResourceAliases": "alias/?"}})).await);
    // Nobody calls in the name of a service, with a second factor, or from an address.
    for name in
        ["kms:ViaService", "aws:SourceIp", "aws:MultiFactorAuthPresent", "aws:CalledVia", "aws:username"]
    {
        assert!(holds(json!({"Null": {name: "true"}})).await, "{name}");
    }
}

#[tokio::test]
async fn an_encryption_context_whose_names_differ_only_in_case_does_not_pass_for_one_of_them() {
    let world = World::new(5).await;
    let key = world.new_key().await;
    let encrypt = |context: Value| json!({"KeyId": key, "Plaintext": HELLO, "EncryptionContext": context});
    let both = json!({"App": "mine", "app": "theirs"});
    for condition in [
        json!({"StringEquals": {"kms:EncryptionContext:App": "theirs"}}),
        json!({"StringEquals": {"kms:EncryptionContext:App": "mine"}}),
        json!({"StringNotEquals": {"kms:EncryptionContext:App": "others"}}),
    ] {
        put(&world, &key, &[keeper(), statement("Allow", ACCOUNT, "kms:Encrypt", condition.clone())]).await;
        let answer = world.call("Encrypt", encrypt(both.clone())).await;
        assert_eq!(answer.error, Some("AccessDeniedException"), "{condition}");
    }
    // A policy that doesn't ask isn't misled.
    put(&world, &key, &[keeper(), statement("Allow", ACCOUNT, "kms:Encrypt", Value::Null)]).await;
    world.call("Encrypt", encrypt(both)).await.ok();
    // The names themselves are compared to the letter.
    let names = json!({"ForAllValues:StringEquals": {"kms:EncryptionContextKeys": ["App"]}, "Null": {"kms:EncryptionContextKeys": "false"}});
    put(&world, &key, &[keeper(), statement("Allow", ACCOUNT, "kms:Encrypt", names)]).await;
    world.call("Encrypt", encrypt(json!({"App": "x"}))).await.ok();
    for context in [json!({"app": "x"}), json!({"App": "x", "b": "c"}), json!({})] {
        assert_eq!(world.call("Encrypt", encrypt(context)).await.error, Some("AccessDeniedException"));
    }
}

#[tokio::test]
async fn reencrypting_asks_for_both_keys_and_knows_whether_they_are_one() {
    let world = World::new(6).await;
    let (from, to) = (world.new_key().await, world.new_key().await);
    let blob = world.sealed(&from).await;
    let same = json!({"Bool": {"kms:ReEncryptOnSameKey": "true"}});
    for key in [&from, &to] {
        let statements = [keeper(), statement("Allow", ACCOUNT, "kms:ReEncrypt*", same.clone())];
        put(&world, key, &statements).await;
    }
    let reencrypt = |to: &str| json!({"CiphertextBlob": blob, "DestinationKeyId": to});
    world.call("ReEncrypt", reencrypt(&from)).await.ok();
    assert_eq!(world.call("ReEncrypt", reencrypt(&to)).await.error, Some("AccessDeniedException"));
    let contexts = |role: &str| json!({"StringEquals": {"kms:EncryptionContext:of": role}});
    let sides = |source: &str, destination: &str| {
        [
            keeper(),
            statement("Allow", ACCOUNT, "kms:ReEncryptFrom", contexts(source)),
            statement("Allow", ACCOUNT, "kms:ReEncryptTo", contexts(destination)),
            statement("Allow", ACCOUNT, "kms:Encrypt", Value::Null),
        ]
    };
    put(&world, &from, &sides("source", "destination")).await;
    let input = json!({"KeyId": from, "Plaintext": HELLO, "EncryptionContext": {"of": "source"}});
    let blob = text(&world.call("Encrypt", input).await.ok()["CiphertextBlob"]);
    let input = |source: &str, destination: &str| {
        json!({
            "CiphertextBlob": blob, "DestinationKeyId": from,
            "SourceEncryptionContext": {"of": source}, "DestinationEncryptionContext": {"of": destination},
        })
    };
    world.call("ReEncrypt", input("source", "destination")).await.ok();
    for (source, destination) in [("destination", "source"), ("source", "source")] {
        let answer = world.call("ReEncrypt", input(source, destination)).await;
        assert_eq!(answer.error, Some("AccessDeniedException"));
    }
}

#[tokio::test]
async fn reencrypting_does_not_tell_whether_an_alias_of_another_account_is_there() {
    let world = World::with_two_accounts(8).await;
    let from = world.new_key().await;
    let blob = world.sealed(&from).await;
    let other = json!({"Bool": {"kms:ReEncryptOnSameKey": "false"}});
    put(&world, &from, &[keeper(), statement("Allow", ACCOUNT, "kms:ReEncrypt*", other)]).await;
    let stranger = stranger(&world).await;
    let made = world.call_as(&stranger, "CreateKey", json!({})).await.ok();
    let alias = json!({"AliasName": "alias/there", "TargetKeyId": made["KeyMetadata"]["KeyId"]});
    world.call_as(&stranger, "CreateAlias", alias).await.ok();
    let mut told = Vec::new();
    for name in ["there", "nobody"] {
        let arn = format!("arn:aws:kms:{REGION}:{OTHER_ACCOUNT}:alias/{name}");
        let answer = world.call("ReEncrypt", json!({"CiphertextBlob": blob, "DestinationKeyId": arn})).await;
        assert_eq!(answer.error, Some("AccessDeniedException"));
        told.push(answer.body.to_string().replace(name, ""));
    }
    assert_eq!(told[0], told[1]);
}

#[tokio::test]
async fn a_deny_for_everybody_but_one_spares_nobody_else() {
    let world = World::with_two_accounts(7).await;
    let key = world.new_key().await;
    let arn = key_arn(ACCOUNT, REGION, &key);
    let everybody = json!({"Effect": "Allow", "Principal": "*", "Action": "kms:*", "Resource": "*"});
    let but =
        json!({"Effect": "Deny", "NotPrincipal": {"AWS": root(ACCOUNT)}, "Action": "kms:*", "Resource": "*"});
    put(&world, &key, &[everybody, but]).await;
    let encrypt = json!({"KeyId": arn, "Plaintext": HELLO});
    world.call("Encrypt", encrypt.clone()).await.ok();
    let answer = world.call_as(&stranger(&world).await, "Encrypt", encrypt).await;
    assert_eq!(answer.error, Some("AccessDeniedException"));
}

#[tokio::test]
async fn what_another_process_puts_is_what_is_decided_by() {
    let world = World::new(8).await;
    let key = world.new_key().await;
    let shared = EngineOptions { shared: true, ..EngineOptions::default() };
    let other = world.open_with(shared).await.unwrap();
    let encrypt = async || {
        let caller = other.local_caller(Some(ACCOUNT.parse().unwrap()), None, Via::Embedded).await.unwrap();
        let mut body = serde_json::to_vec(&json!({"KeyId": key, "Plaintext": HELLO})).unwrap();
        Read::of(other.dispatch(Ok(caller), world.meta(), "TrentService.Encrypt", &mut body).await).error
    };
    assert_eq!(encrypt().await, None);
    put(&world, &key, &[keeper()]).await;
    assert_eq!(encrypt().await, Some("AccessDeniedException"));
    put(&world, &key, &[keeper(), statement("Allow", ACCOUNT, "kms:Encrypt", Value::Null)]).await;
    assert_eq!(encrypt().await, None);
}

#[tokio::test]
async fn the_largest_policy_full_of_wildcards_decides_in_time() {
    let world = World::new(9).await;
    let key = world.new_key().await;
    let stars = format!("kms:{}x", "*a".repeat(500));
    let many: Vec<String> = (0..24).map(|_| stars.clone()).collect();
    let mut wide = keeper();
    wide["Action"] = json!(["kms:PutKeyPolicy", "kms:Encrypt"]);
    let deny = json!({"Effect": "Deny", "Principal": "*", "Action": many, "Resource": "*"});
    let document = policy(&[wide, deny]);
    assert!(document.len() > 24_000 && document.len() <= 32 * 1024);
    world.call("PutKeyPolicy", json!({"KeyId": key, "Policy": document})).await.ok();
    let value = "a".repeat(4000);
    let start = Instant::now();
    for _ in 0..10 {
        let input = json!({"KeyId": key, "Plaintext": HELLO, "EncryptionContext": {"a": value}});
        world.call("Encrypt", input).await.ok();
    }
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_denied_request_is_recorded_with_what_explains_it() {
    let world = World::with_two_accounts(10).await;
    let key = world.new_key().await;
    let arn = key_arn(ACCOUNT, REGION, &key);
    put(&world, &key, &[keeper()]).await;
    world.records().await;
    let encrypt = json!({"KeyId": arn, "Plaintext": HELLO, "EncryptionContext": {"app": "x"}});
    let denied = [
        world.call("Encrypt", encrypt.clone()).await,
        world.call_as(&stranger(&world).await, "Encrypt", encrypt).await,
    ];
    let records = world.records().await;
    assert_eq!(records.len(), 2);
    for (record, answer) in records.iter().zip(denied) {
        assert_eq!(record["errorCode"], "AccessDeniedException");
        assert_eq!(record["errorMessage"], answer.body["message"]);
        assert_eq!(record["requestParameters"]["encryptionContext"], json!({"app": "x"}));
        assert_eq!(record["resources"][0]["ARN"], arn.as_str());
        let expected = json!({
            "action": "kms:Encrypt", "resource": arn,
            "reason": "because no resource-based policy allows the kms:Encrypt action",
        });
        assert_eq!(record["additionalEventData"]["accessDenied"], expected);
        assert!(!record.to_string().contains(HELLO));
    }
}
