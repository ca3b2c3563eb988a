//! The four ways to name a key, and what comes of names that name none.
#![allow(clippy::unwrap_used, missing_docs)]

use crate::support;

use serde_json::json;
use support::{ACCOUNT, HELLO, OTHER_ACCOUNT, OTHER_REGION, REGION, UNKNOWN_KEY, World, key_arn, text};

#[tokio::test]
async fn all_four_names_reach_the_key_and_the_answer_has_its_arn() {
    let world = World::new(1).await;
    let key = world.new_key().await;
    world.call("CreateAlias", json!({"AliasName": "alias/app/one", "TargetKeyId": key})).await.ok();
    let arn = key_arn(ACCOUNT, REGION, &key);
    let alias_arn = format!("arn:aws:kms:{REGION}:{ACCOUNT}:alias/app/one");
    for name in [key.as_str(), &arn, "alias/app/one", &alias_arn] {
        assert_eq!(
            world.call("DescribeKey", json!({"KeyId": name})).await.ok()["KeyMetadata"]["Arn"],
            arn.as_str()
        );
        let sealed = world.call("Encrypt", json!({"KeyId": name, "Plaintext": HELLO})).await.ok();
        assert_eq!(sealed["KeyId"], arn.as_str());
        assert_eq!(sealed["EncryptionAlgorithm"], "SYMMETRIC_DEFAULT");
        let made = world.call("GenerateDataKey", json!({"KeyId": name, "KeySpec": "AES_256"})).await.ok();
        assert_eq!(made["KeyId"], arn.as_str());
        assert_eq!(made["KeyMaterialId"].as_str().unwrap().len(), 64);
        for stated in [None, Some(name)] {
            let mut input = json!({"CiphertextBlob": made["CiphertextBlob"]});
            if let Some(stated) = stated {
                input["KeyId"] = json!(stated);
            }
            let opened = world.call("Decrypt", input).await.ok();
            assert_eq!(opened["Plaintext"], made["Plaintext"]);
            assert_eq!(opened["KeyId"], arn.as_str());
            assert_eq!(opened["KeyMaterialId"], made["KeyMaterialId"]);
        }
    }
}

#[tokio::test]
async fn names_that_name_nothing_are_answered_in_awss_words() {
    let world = World::new(2).await;
    let key = world.new_key().await;
    let compact = key.replace('-', "");
    let not_found = "NotFoundException";
    for (name, code, message) in [
        (
            UNKNOWN_KEY.to_owned(),
            not_found,
            format!("Key '{}' does not exist", key_arn(ACCOUNT, REGION, UNKNOWN_KEY)),
        ),
        (
            key_arn(ACCOUNT, REGION, UNKNOWN_KEY),
            not_found,
            format!("Key '{}' does not exist", key_arn(ACCOUNT, REGION, UNKNOWN_KEY)),
        ),
        (compact.clone(), not_found, format!("Invalid keyId '{compact}'")),
        ("mrk-12".to_owned(), not_found, "Invalid keyId 'mrk-12'".to_owned()),
        (
            "alias/none".to_owned(),
            not_found,
            format!("Alias arn:aws:kms:{REGION}:{ACCOUNT}:alias/none is not found."),
        ),
        (key_arn(ACCOUNT, OTHER_REGION, &key), not_found, format!("Invalid arn {OTHER_REGION}")),
        (key_arn(ACCOUNT, "us-west-9", &key), not_found, "Invalid arn us-west-9".to_owned()),
    ] {
        for operation in ["DescribeKey", "GenerateDataKey"] {
            let mut input = json!({"KeyId": name});
            if operation == "GenerateDataKey" {
                input["KeySpec"] = json!("AES_256");
            }
            world.call(operation, input).await.fails(code, &message);
        }
    }
}

#[tokio::test]
async fn management_operations_refuse_aliases() {
    let world = World::new(3).await;
    let key = world.new_key().await;
    world.call("CreateAlias", json!({"AliasName": "alias/a", "TargetKeyId": key})).await.ok();
    let arn = format!("arn:aws:kms:{REGION}:{ACCOUNT}:alias/a");
    for operation in [
        "EnableKey",
        "DisableKey",
        "ScheduleKeyDeletion",
        "CancelKeyDeletion",
        "EnableKeyRotation",
        "DisableKeyRotation",
        "GetKeyRotationStatus",
        "ListKeyRotations",
        "RotateKeyOnDemand",
    ] {
        let by_name = world.call(operation, json!({"KeyId": "alias/a"})).await;
        by_name.fails("NotFoundException", "Invalid keyId 'alias/a'");
        let by_arn = world.call(operation, json!({"KeyId": arn})).await;
        by_arn.fails("InvalidArnException", &format!("Invalid arn {arn}"));
    }
}

#[tokio::test]
async fn aliases_are_made_moved_listed_and_deleted() {
    let world = World::new(4).await;
    let (one, two) = (world.new_key().await, world.new_key().await);
    let alias = "alias/app";
    let alias_arn = format!("arn:aws:kms:{REGION}:{ACCOUNT}:{alias}");
    let pointing = |key: &str| json!({"AliasName": alias, "TargetKeyId": key});
    let gone = format!("Alias {alias_arn} is not found.");
    world.call("UpdateAlias", pointing(&one)).await.fails("NotFoundException", &gone);
    world.call("DeleteAlias", json!({"AliasName": alias})).await.fails("NotFoundException", &gone);
    world.call("CreateAlias", pointing(&one)).await.ok();
    let twice = format!("An alias with the name {alias_arn} already exists");
    world.call("CreateAlias", pointing(&two)).await.fails("AlreadyExistsException", &twice);
    let of = |key: String| json!({"KeyId": key});
    let listed = world.call("ListAliases", of(one.clone())).await.ok();
    assert_eq!(listed["Truncated"], false);
    assert_eq!(listed["Aliases"][0]["AliasArn"], alias_arn.as_str());
    assert_eq!(listed["Aliases"][0]["TargetKeyId"], one.as_str());
    world.call("UpdateAlias", pointing(&two)).await.ok();
    world.call("UpdateAlias", pointing(&two)).await.ok();
    assert_eq!(world.call("ListAliases", of(one.clone())).await.ok()["Aliases"], json!([]));
    assert_eq!(world.call("ListAliases", of(two.clone())).await.ok()["Aliases"][0]["AliasName"], alias);
    let described = world.call("DescribeKey", of(alias.to_owned())).await.ok();
    assert_eq!(text(&described["KeyMetadata"]["KeyId"]), two);
    // DeleteAlias works also for a key that is pending deletion.
    world.call("ScheduleKeyDeletion", of(two.clone())).await.ok();
    world.call("DeleteAlias", json!({"AliasName": alias})).await.ok();
    world.call("DescribeKey", of(alias.to_owned())).await.fails("NotFoundException", &gone);
    assert_eq!(world.call("ListAliases", json!({})).await.ok()["Aliases"], json!([]));
}

#[tokio::test]
async fn alias_names_are_checked() {
    let world = World::new(5).await;
    let key = world.new_key().await;
    let prefix = "Alias must start with the prefix \"alias/\". Please see \
                  https://docs.aws.amazon.com/kms/latest/developerguide/kms-alias.html";
    let named = |name: &str| json!({"AliasName": name, "TargetKeyId": key});
    world.call("CreateAlias", named("app")).await.fails("ValidationException", prefix);
    for name in ["alias/aws/ebs", "alias/"] {
        assert_eq!(
            world.call("CreateAlias", named(name)).await.error,
            Some("InvalidAliasNameException"),
            "{name}"
        );
    }
    assert_eq!(world.call("CreateAlias", named("alias/a b")).await.error, Some("ValidationException"));
    let foreign = json!({"AliasName": "alias/a", "TargetKeyId": key_arn(OTHER_ACCOUNT, REGION, &key)});
    assert_eq!(world.call("CreateAlias", foreign).await.error, Some("AccessDeniedException"));
}

#[tokio::test]
async fn a_key_has_at_most_fifty_aliases() {
    let world = World::new(6).await;
    let (key, other) = (world.new_key().await, world.new_key().await);
    for index in 0..50 {
        let alias = json!({"AliasName": format!("alias/{index}"), "TargetKeyId": key});
        world.call("CreateAlias", alias).await.ok();
    }
    let more = json!({"AliasName": "alias/more", "TargetKeyId": key});
    assert_eq!(world.call("CreateAlias", more.clone()).await.error, Some("LimitExceededException"));
    world.call("UpdateAlias", json!({"AliasName": "alias/7", "TargetKeyId": other})).await.ok();
    world.call("CreateAlias", more).await.ok();
    world.call("DeleteAlias", json!({"AliasName": "alias/8"})).await.ok();
    world.call("UpdateAlias", json!({"AliasName": "alias/7", "TargetKeyId": key})).await.ok();
}

#[tokio::test]
async fn an_alias_moves_between_keys_that_do_the_same() {
    let world = World::new(7).await;
    let key = async |spec: &str, usage: &str| {
        let made = world.call("CreateKey", json!({"KeySpec": spec, "KeyUsage": usage})).await.ok();
        text(&made["KeyMetadata"]["KeyId"])
    };
    let symmetric = world.new_key().await;
    let hmac = key("HMAC_256", "GENERATE_VERIFY_MAC").await;
    let other_hmac = key("HMAC_512", "GENERATE_VERIFY_MAC").await;
    let ecc = key("ECC_NIST_P256", "SIGN_VERIFY").await;
    let agreeing = key("ECC_NIST_P256", "KEY_AGREEMENT").await;
    let rsa = key("RSA_2048", "SIGN_VERIFY").await;
    let encrypting = key("RSA_2048", "ENCRYPT_DECRYPT").await;
    for (from, to, moves) in [
        // Of one usage, and not of one type.
        (&symmetric, &encrypting, false),
        (&encrypting, &symmetric, false),
        (&symmetric, &hmac, false),
        (&hmac, &ecc, false),
        // Of one type, and not of one usage.
        (&ecc, &agreeing, false),
        (&rsa, &encrypting, false),
        (&rsa, &ecc, true),
        (&hmac, &other_hmac, true),
    ] {
        let pointing = |key: &str| json!({"AliasName": "alias/a", "TargetKeyId": key});
        world.call("CreateAlias", pointing(from)).await.ok();
        let moved = world.call("UpdateAlias", pointing(to)).await;
        let refused = (!moves).then_some("ValidationException");
        assert_eq!(moved.error, refused, "{from} {to}: {}", moved.body);
        let at = world.call("DescribeKey", json!({"KeyId": "alias/a"})).await.ok();
        assert_eq!(at["KeyMetadata"]["KeyId"], **(if moves { to } else { from }));
        world.call("DeleteAlias", json!({"AliasName": "alias/a"})).await.ok();
    }
    world.assert_whole().await;
}

#[tokio::test]
async fn a_page_of_aliases_has_at_most_a_hundred() {
    let world = World::new(8).await;
    for number in 0..3 {
        let key = world.new_key().await;
        for index in 0..35 {
            let alias = json!({"AliasName": format!("alias/{number}-{index}"), "TargetKeyId": key});
            world.call("CreateAlias", alias).await.ok();
        }
    }
    let first = world.call("ListAliases", json!({"Limit": 1000})).await.ok();
    assert_eq!(first["Aliases"].as_array().unwrap().len(), 100);
    let rest = json!({"Limit": 1000, "Marker": first["NextMarker"]});
    let rest = world.call("ListAliases", rest).await.ok();
    assert_eq!((rest["Aliases"].as_array().unwrap().len(), &rest["Truncated"]), (5, &json!(false)));
}
