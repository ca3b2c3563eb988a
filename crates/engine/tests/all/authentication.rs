//! Signed requests: whose they are, and why they are refused.
#![allow(clippy::unwrap_used, missing_docs)]

use crate::support;

use bulla_engine::{Answer, AuthFailure, Authenticated};
use serde_json::json;
use std::time::Duration;
use support::{ACCOUNT, OTHER_ACCOUNT, OTHER_REGION, REGION, Read, Signer, World};

const LIST_KEYS: &str = "TrentService.ListKeys";

fn refused(outcome: Result<Authenticated, AuthFailure>) -> (&'static str, String) {
    let error = outcome.unwrap_err().error();
    (error.code.name(), error.message)
}

fn xml(answer: Answer) -> (u16, String) {
    assert_eq!(answer.content_type(), "text/xml");
    let status = answer.status();
    (status, String::from_utf8(answer.into_body().to_vec()).unwrap())
}

#[tokio::test]
async fn a_signature_makes_the_caller_the_root_of_its_account_in_its_region() {
    let world = World::with_two_accounts(1).await;
    for account in [ACCOUNT, OTHER_ACCOUNT] {
        for region in [REGION, OTHER_REGION] {
            let signer = Signer { region, ..world.signer(account).await };
            let caller = world.authenticate(&signer, LIST_KEYS, b"{}", |_| ()).await.unwrap();
            assert_eq!(caller.account().to_string(), account);
            assert_eq!(caller.region().as_str(), region);
            assert_eq!(caller.principal().arn(), format!("arn:aws:iam::{account}:root"));
            Read::of(world.call_signed(&signer, LIST_KEYS, b"{}").await).ok();
        }
    }
}

#[tokio::test]
async fn the_identity_is_told_by_query_and_by_json() {
    let world = World::with_two_accounts(2).await;
    let signer = Signer { service: "sts", ..world.signer(OTHER_ACCOUNT).await };
    let form = b"Action=GetCallerIdentity&Version=2011-06-15";
    let (status, text) = xml(world.call_signed(&signer, "", form).await);
    assert_eq!(status, 200);
    assert!(text.contains(&format!("<Arn>arn:aws:iam::{OTHER_ACCOUNT}:root</Arn>")), "{text}");
    assert!(text.contains(&format!("<Account>{OTHER_ACCOUNT}</Account>")), "{text}");
    assert!(text.contains(&format!("<UserId>{OTHER_ACCOUNT}</UserId>")), "{text}");
    let local = world.call("GetCallerIdentity", json!({})).await.ok();
    assert_eq!(local["Arn"], format!("arn:aws:iam::{ACCOUNT}:root"));
    let (status, text) = xml(world.call_signed(&signer, "", b"Action=AssumeRole").await);
    assert_eq!(status, 400);
    assert!(text.contains("<Code>"), "{text}");
    let twice = b"Action=GetCallerIdentity&Version=2011-06-15&Action=GetCallerIdentity";
    let (status, text) = xml(world.call_signed(&signer, "", twice).await);
    assert_eq!(status, 400);
    assert!(text.contains("<Code>InvalidQueryParameter</Code>"), "{text}");
    let wrong = Signer { secret: "x".repeat(40), ..signer };
    let (_, text) = xml(world.call_signed(&wrong, "", form).await);
    assert!(text.contains("<Code>SignatureDoesNotMatch</Code>"), "{text}");
}

#[tokio::test]
async fn what_is_wrong_is_said_in_awss_words() {
    let world = World::new(3).await;
    let signer = world.signer(ACCOUNT).await;
    let authenticate = |signer: Signer| {
        let world = &world;
        async move { refused(world.authenticate(&signer, LIST_KEYS, b"{}", |_| ()).await) }
    };
    let again =
        || Signer { access_key_id: signer.access_key_id.clone(), secret: signer.secret.clone(), ..signer };

    let (code, text) = authenticate(Signer { secret: "x".repeat(40), ..again() }).await;
    assert_eq!(code, "InvalidSignatureException");
    assert!(
        text.starts_with("The request signature we calculated does not match the signature you provided.")
    );
    let (code, text) =
        authenticate(Signer { access_key_id: "AKIAAAAAAAAAAAAAAAAA".to_owned(), ..again() }).await;
    assert_eq!(
        (code, text.as_str()),
        ("UnrecognizedClientException", "The security token included in the request is invalid.")
    );
    let (code, text) = authenticate(Signer { region: "us-west-9", ..again() }).await;
    assert_eq!(code, "InvalidSignatureException");
    assert_eq!(text, "Credential should be scoped to a valid region, not 'us-west-9'.");
    let (code, text) = authenticate(Signer { service: "s3", ..again() }).await;
    assert_eq!(
        (code, text.as_str()),
        ("InvalidSignatureException", "Credential should be scoped to correct service: 'kms'.")
    );
    let unsigned = world.authenticate(&signer, LIST_KEYS, b"{}", |headers| {
        headers.retain(|(name, _)| name != "authorization");
    });
    assert_eq!(
        refused(unsigned.await),
        ("MissingAuthenticationTokenException", "Missing Authentication Token".to_owned())
    );
    let token = world.authenticate(&signer, LIST_KEYS, b"{}", |headers| {
        headers.push(("x-amz-security-token".to_owned(), "t".to_owned()));
    });
    assert_eq!(refused(token.await).0, "InvalidSignatureException");
    let changed = world.authenticate(&signer, LIST_KEYS, b"{}", |headers| {
        headers.iter_mut().find(|(name, _)| name == "x-amz-target").unwrap().1 =
            "TrentService.Decrypt".to_owned();
    });
    assert_eq!(refused(changed.await).0, "InvalidSignatureException");
}

#[tokio::test]
async fn the_clock_may_differ_by_five_minutes() {
    let world = World::new(4).await;
    let signer = world.signer(ACCOUNT).await;
    let body = b"{}";
    // Signed now, seen later: a caller that replays headers keeps them.
    let mut kept = Vec::new();
    let kept_cell = std::sync::Mutex::new(&mut kept);
    world
        .authenticate(&signer, LIST_KEYS, body, |headers| **kept_cell.lock().unwrap() = headers.clone())
        .await
        .unwrap();
    for (after, code) in [(300, None), (1, Some("InvalidSignatureException"))] {
        world.clock.advance(Duration::from_secs(after));
        let outcome = world.authenticate(&signer, LIST_KEYS, body, |headers| *headers = kept.clone()).await;
        match code {
            None => drop(outcome.unwrap()),
            Some(code) => {
                let (said, text) = refused(outcome);
                assert_eq!(said, code);
                assert!(text.starts_with("Signature expired: "), "{text}");
            }
        }
    }
}

#[tokio::test]
async fn a_signature_for_one_service_is_not_one_for_another() {
    let world = World::new(5).await;
    let sts = Signer { service: "sts", ..world.signer(ACCOUNT).await };
    let answer = Read::of(world.call_signed(&sts, LIST_KEYS, b"{}").await);
    answer.fails("InvalidSignatureException", "Credential should be scoped to correct service: 'kms'.");
    let kms = world.signer(ACCOUNT).await;
    let form = b"Action=GetCallerIdentity&Version=2011-06-15";
    let (_, text) = xml(world.call_signed(&kms, "", form).await);
    assert!(text.contains("SignatureDoesNotMatch"), "{text}");
}

#[tokio::test]
async fn targets_that_are_none_are_unknown() {
    let world = World::new(6).await;
    let signer = world.signer(ACCOUNT).await;
    for target in [
        "TrentService.Nonsense",
        "TrentService.",
        "Other.ListKeys",
        "BullaAdmin.ListAccounts",
        "BullaAdmin.CreateAccount",
    ] {
        let answer = Read::of(world.call_signed(&signer, target, b"{}").await);
        assert_eq!(answer.error, Some("UnknownOperationException"), "{target}");
    }
    for body in [&b""[..], b"[", b"[]", b"{\"Limit\":\"x\"}"] {
        let answer = Read::of(world.call_signed(&signer, LIST_KEYS, body).await);
        // An empty body is an empty input.
        assert!(body.is_empty() || answer.error == Some("SerializationException"), "{body:?}: {answer:?}");
    }
}

#[tokio::test]
async fn admin_calls_are_for_callers_of_this_host() {
    let world = World::new(7).await;
    let caller =
        world.engine.local_caller(None, None, bulla_engine::Via::AdminSocket { uid: 1000 }).await.unwrap();
    let call = |name: &'static str, input: serde_json::Value| {
        let (world, caller) = (&world, caller.clone());
        async move {
            let mut body = serde_json::to_vec(&input).unwrap();
            Read::of(world.engine.dispatch(Ok(caller), world.meta(), name, &mut body).await)
        }
    };
    let made = call("BullaAdmin.CreateAccount", json!({"Name": "n"})).await.ok();
    assert_eq!(made["SecretAccessKey"].as_str().unwrap().len(), 40);
    let listed = call("BullaAdmin.ListAccounts", json!({})).await.ok();
    assert_eq!(listed["Accounts"].as_array().unwrap().len(), 2);
    assert_eq!(listed["Accounts"][1]["AccountId"], made["AccountId"]);
    call("BullaAdmin.RecoveryKeyExported", json!({})).await.ok();
    assert!(world.engine.recovery_exported());
    assert_eq!(call("BullaAdmin.Status", json!({})).await.ok()["RecoveryExported"], true);
    assert_eq!(call("BullaAdmin.Nonsense", json!({})).await.error, Some("UnknownOperationException"));
    let records = world.records().await;
    let of_socket: Vec<_> =
        records.iter().filter(|record| record["sourceIPAddress"] == "admin-socket").collect();
    assert_eq!(of_socket.len(), 5);
    assert!(of_socket.iter().all(|record| record["additionalEventData"]["peerUid"] == 1000));
    // The store's first account, and this one; each recorded once.
    let made_accounts = records.iter().filter(|record| record["eventName"] == "CreateAccount").count();
    assert_eq!(made_accounts, 2);
    let all = records.iter().map(ToString::to_string).collect::<String>();
    assert!(!all.contains(made["SecretAccessKey"].as_str().unwrap()));
}
