//! Users, groups, roles, their access keys and policies: made, changed and removed, and who they are afterwards.
#![allow(clippy::unwrap_used, missing_docs)]

use crate::support;

use bulla_api::{Effect, Service, TABLE};
use bulla_engine::{Authenticated, EngineOptions};
use serde_json::{Value, json};
use std::sync::atomic::Ordering;
use std::time::Duration;
use support::iam::{AWS_MANAGED, DOCUMENT, Identities, TRUST, policy_arn};
use support::{ACCOUNT, OPEN_POLICY, OTHER_ACCOUNT, REGION, Read, Signer, World, text};

const MALFORMED_KEY_POLICY: &str = "MalformedPolicyDocumentException";
const INVALID_PRINCIPALS: &str = "Policy contains a statement with one or more invalid principals.";

/// A user with an access key.
async fn user(world: &World, name: &str) -> Signer {
    world.call("CreateUser", json!({"UserName": name})).await.ok();
    access_key(world, name).await
}

async fn access_key(world: &World, name: &str) -> Signer {
    let made = world.call("CreateAccessKey", json!({"UserName": name})).await.ok()["AccessKey"].clone();
    Signer {
        access_key_id: text(&made["AccessKeyId"]),
        secret: text(&made["SecretAccessKey"]),
        region: REGION,
        service: "kms",
    }
}

async fn remove(world: &World, name: &str, key: &Signer) {
    let id = json!({"UserName": name, "AccessKeyId": key.access_key_id});
    world.call("DeleteAccessKey", id).await.ok();
    world.call("DeleteUser", json!({"UserName": name})).await.ok();
}

/// Who signs, if it is somebody.
async fn known(world: &World, signer: &Signer) -> Result<Authenticated, String> {
    let found = world.authenticate(signer, "TrentService.ListKeys", b"{}", |_| ()).await;
    found.map_err(|failure| failure.error().code.name().to_owned())
}

async fn call_as_user(world: &World, key: &Signer, operation: &str, input: Value) -> Read {
    let service = service(operation);
    let signer = Signer {
        access_key_id: key.access_key_id.clone(),
        secret: key.secret.clone(),
        region: REGION,
        service: service.scope_name(),
    };
    let target = format!("{}{operation}", service.target_prefix());
    Read::of(world.call_signed(&signer, &target, &serde_json::to_vec(&input).unwrap()).await)
}

fn service(operation: &str) -> Service {
    TABLE.iter().find(|row| row.name == operation).unwrap().service
}

async fn used_keys(world: &World, name: &str) -> Value {
    world.call("ListAccessKeys", json!({"UserName": name})).await.ok()["AccessKeyMetadata"].clone()
}

#[tokio::test]
async fn a_users_access_key_is_the_user() {
    let world = World::new(1).await;
    let key = user(&world, "ann").await;
    let id = text(&world.call("GetUser", json!({"UserName": "ann"})).await.ok()["User"]["UserId"]);
    let identity = call_as_user(&world, &key, "GetCallerIdentity", json!({})).await.ok();
    let arn = format!("arn:aws:iam::{ACCOUNT}:user/ann");
    assert_eq!(identity, json!({"UserId": id, "Account": ACCOUNT, "Arn": arn}));
    let records = world.records().await;
    let record = records.iter().find(|record| record["eventName"] == "GetCallerIdentity").unwrap();
    assert_eq!(
        record["userIdentity"],
        json!({
            "type": "IAMUser", "principalId": id, "arn": arn, "accountId": ACCOUNT,
            "accessKeyId": key.access_key_id, "userName": "ann",
        })
    );
    // Under another name it is the same user.
    world.call("UpdateUser", json!({"UserName": "ann", "NewUserName": "anna", "NewPath": "/x/"})).await.ok();
    let identity = call_as_user(&world, &key, "GetCallerIdentity", json!({})).await.ok();
    assert_eq!(identity["UserId"], id.as_str());
    assert_eq!(identity["Arn"], format!("arn:aws:iam::{ACCOUNT}:user/x/anna"));
}

#[tokio::test]
async fn an_access_key_that_is_switched_off_or_deleted_is_nobodys_at_once() {
    let mut world = World::new(2).await;
    let key = user(&world, "ann").await;
    let status =
        |status: &str| json!({"UserName": "ann", "AccessKeyId": key.access_key_id, "Status": status});
    let unknown = Err("UnrecognizedClientException".to_owned());
    known(&world, &key).await.unwrap();
    world.call("UpdateAccessKey", status("Inactive")).await.ok();
    assert_eq!(known(&world, &key).await.map(drop), unknown);
    assert_eq!(used_keys(&world, "ann").await[0]["Status"], "Inactive");
    world.restart().await;
    assert_eq!(known(&world, &key).await.map(drop), unknown);
    world.call("UpdateAccessKey", status("Active")).await.ok();
    known(&world, &key).await.unwrap();
    remove(&world, "ann", &key).await;
    assert_eq!(known(&world, &key).await.map(drop), unknown);
    world.call("CreateUser", json!({"UserName": "ann"})).await.ok();
    assert_eq!(known(&world, &key).await.map(drop), unknown);
    assert_eq!(used_keys(&world, "ann").await, json!([]));
    world
        .call("UpdateAccessKey", status("Active"))
        .await
        .fails("NoSuchEntity", &format!("The Access Key with id {} cannot be found.", key.access_key_id));
}

#[tokio::test]
async fn another_process_knows_at_once_that_a_key_is_switched_off() {
    let world = World::new(3).await;
    let key = user(&world, "ann").await;
    let shared = EngineOptions { shared: true, ..EngineOptions::default() };
    let mut other = World::new(99).await;
    other.engine = world.open_with(shared).await.unwrap();
    known(&other, &key).await.unwrap();
    let input = json!({"UserName": "ann", "AccessKeyId": key.access_key_id, "Status": "Inactive"});
    world.call("UpdateAccessKey", input).await.ok();
    assert_eq!(known(&other, &key).await.map(drop), Err("UnrecognizedClientException".to_owned()));
    let caller = known(&other, &access_key(&world, "ann").await).await.unwrap();
    assert_eq!(caller.principal().user_name(), Some("ann"));
    world.call("UpdateUser", json!({"UserName": "ann", "NewUserName": "anna"})).await.ok();
    let keys = used_keys(&world, "anna").await;
    assert_eq!(keys.as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn who_has_no_policy_may_do_nothing() {
    for row in TABLE.iter().filter(|row| row.service == Service::Iam) {
        let world = World::new(4).await;
        let scene = Identities::make(&world).await;
        let nobody = user(&world, "stranger").await;
        let (right, _) = scene.inputs(row.name);
        let answer = call_as_user(&world, &nobody, row.name, right.clone()).await;
        assert_eq!(answer.error, Some("AccessDeniedException"), "{}: {}", row.name, answer.body);
        let said = text(answer.body.get("message").or(answer.body.get("Message")).unwrap());
        let action = row.demands[0].action;
        let told =
            format!("User: arn:aws:iam::{ACCOUNT}:user/stranger is not authorized to perform: {action} ");
        assert!(said.starts_with(&told), "{said}");
        // It was not done, and can be done by who may.
        world.call(row.name, right).await.ok();
    }
}

#[tokio::test]
async fn nobody_reaches_another_accounts_identities() {
    for row in TABLE.iter().filter(|row| row.service == Service::Iam) {
        let world = World::with_two_accounts(5).await;
        let scene = Identities::make(&world).await;
        let stranger = world.caller_of(OTHER_ACCOUNT, REGION).await;
        let (right, _) = scene.inputs(row.name);
        let is_made = row.name.starts_with("Create") && row.demands.len() > 1 || row.name == "CreateGroup";
        let answer = world.call_as(&stranger, row.name, right.clone()).await;
        let shows = format!("{}", answer.body);
        // But what the request itself names.
        let theirs = "arn:aws:iam::111122223333";
        assert!(!shows.contains(theirs) || right.to_string().contains(theirs), "{}: {shows}", row.name);
        let lists = row.demands.iter().all(|demand| demand.action.contains(":List"));
        let is_of_nobody = matches!(row.name, "SimulateCustomPolicy" | "GetContextKeysForCustomPolicy");
        if is_made || is_of_nobody || lists && answer.error.is_none() {
            answer.ok();
        } else if row.name == "GetAccountSummary" {
            assert_eq!(answer.ok()["SummaryMap"]["Users"], 0);
        } else {
            let refused = ["NoSuchEntity", "AccessDeniedException"];
            assert!(answer.error.is_some_and(|code| refused.contains(&code)), "{}: {shows}", row.name);
        }
        // Nothing happened to what is there.
        world.call(row.name, right).await.ok();
    }
}

#[tokio::test]
async fn every_operation_does_what_it_should_and_fails_where_it_should() {
    for row in TABLE.iter().filter(|row| row.service == Service::Iam) {
        let mut world = World::new(6).await;
        let scene = Identities::make(&world).await;
        let (right, wrong) = scene.inputs(row.name);
        let failed = world.call(row.name, wrong).await;
        // It has no input that could be wrong.
        assert!(failed.status != 200 || row.name == "GetAccountSummary", "{}", row.name);
        if row.effect == Effect::Changes {
            world.restart().await;
        }
        world.call(row.name, right).await.ok();
    }
}

fn naming(principal: &str) -> String {
    let root = format!("arn:aws:iam::{ACCOUNT}:root");
    json!({
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"AWS": root}, "Action": "kms:*", "Resource": "*"},
            {"Effect": "Allow", "Principal": {"AWS": [principal]}, "Action": "kms:Decrypt", "Resource": "*"},
        ],
    })
    .to_string()
}

async fn shown(world: &World, key: &str) -> Value {
    let policy = text(&world.call("GetKeyPolicy", json!({"KeyId": key})).await.ok()["Policy"]);
    serde_json::from_str::<Value>(&policy).unwrap()["Statement"][1]["Principal"]["AWS"][0].clone()
}

#[tokio::test]
async fn a_key_policy_names_who_was_there_when_it_was_put() {
    let world = World::new(7).await;
    let (ann, role) =
        (format!("arn:aws:iam::{ACCOUNT}:user/ann"), format!("arn:aws:iam::{ACCOUNT}:role/deployer"));
    let key = world.new_key().await;
    let put = |policy: &str| json!({"KeyId": key, "Policy": policy});
    for nobody in [&ann, &role, "AIDAAAAAAAAAAAAAAAAAA"] {
        let policy = naming(nobody);
        world.call("PutKeyPolicy", put(&policy)).await.fails(MALFORMED_KEY_POLICY, INVALID_PRINCIPALS);
        world
            .call("CreateKey", json!({"Policy": policy}))
            .await
            .fails(MALFORMED_KEY_POLICY, INVALID_PRINCIPALS);
    }
    let made = world.call("CreateUser", json!({"UserName": "ann"})).await.ok();
    let id = text(&made["User"]["UserId"]);
    let trust = json!({"RoleName": "deployer", "AssumeRolePolicyDocument": TRUST});
    world.call("CreateRole", trust).await.ok();
    world.call("PutKeyPolicy", put(&naming(&role))).await.ok();
    assert_eq!(shown(&world, &key).await, role.as_str());
    world.call("PutKeyPolicy", put(&naming(&ann))).await.ok();
    assert_eq!(shown(&world, &key).await, ann.as_str());
    // Nobody of another path, or in another case.
    for wrong in [format!("arn:aws:iam::{ACCOUNT}:user/x/ann"), format!("arn:aws:iam::{ACCOUNT}:user/Ann")] {
        world
            .call("PutKeyPolicy", put(&naming(&wrong)))
            .await
            .fails(MALFORMED_KEY_POLICY, INVALID_PRINCIPALS);
    }
    world.call("UpdateUser", json!({"UserName": "ann", "NewUserName": "anna"})).await.ok();
    assert_eq!(shown(&world, &key).await, format!("arn:aws:iam::{ACCOUNT}:user/anna"));
    world.call("DeleteUser", json!({"UserName": "anna"})).await.ok();
    assert_eq!(shown(&world, &key).await, id.as_str());
    world.call("CreateUser", json!({"UserName": "ann"})).await.ok();
    assert_eq!(shown(&world, &key).await, id.as_str());
    // What is shown then can't be put again.
    world.call("PutKeyPolicy", put(&naming(&id))).await.fails(MALFORMED_KEY_POLICY, INVALID_PRINCIPALS);
    // Accounts that are not in this store are let pass: nobody here is in them.
    let elsewhere = format!("arn:aws:iam::{OTHER_ACCOUNT}:user/ann");
    world.call("PutKeyPolicy", put(&naming(&elsewhere))).await.ok();
    assert_eq!(shown(&world, &key).await, elsewhere.as_str());
    world.add_account().await;
    world
        .call("PutKeyPolicy", put(&naming(&elsewhere)))
        .await
        .fails(MALFORMED_KEY_POLICY, INVALID_PRINCIPALS);
}

#[tokio::test]
async fn a_grant_is_for_who_was_there_when_it_was_made() {
    let world = World::new(8).await;
    world.makes_principals.store(false, Ordering::SeqCst);
    let key = world.new_key().await;
    let (ann, root) = (format!("arn:aws:iam::{ACCOUNT}:user/ann"), format!("arn:aws:iam::{ACCOUNT}:root"));
    let grant = json!({
        "KeyId": key, "GranteePrincipal": root, "RetiringPrincipal": ann, "Operations": ["Decrypt"],
    });
    let no_principal = format!("ARN does not refer to a valid principal: {ann}");
    world.call("CreateGrant", grant.clone()).await.fails("InvalidArnException", &no_principal);
    let signer = user(&world, "ann").await;
    let make = async || {
        let made = world.call("CreateGrant", grant.clone()).await.ok();
        json!({"KeyId": support::key_arn(ACCOUNT, REGION, &key), "GrantId": made["GrantId"]})
    };
    let (first, second) = (make().await, make().await);
    call_as_user(&world, &signer, "RetireGrant", first).await.ok();
    remove(&world, "ann", &signer).await;
    let again = user(&world, "ann").await;
    let refused = call_as_user(&world, &again, "RetireGrant", second.clone()).await;
    assert_eq!(refused.error, Some("AccessDeniedException"), "{}", refused.body);
    call_as_user(&world, &again, "RetireGrant", make().await).await.ok();
    world.call("RetireGrant", second).await.ok();
}

#[tokio::test]
async fn a_named_grant_for_who_was_made_anew_is_another_grant() {
    let world = World::new(9).await;
    world.makes_principals.store(false, Ordering::SeqCst);
    let key = world.new_key().await;
    let grant = json!({
        "KeyId": key, "GranteePrincipal": format!("arn:aws:iam::{ACCOUNT}:user/ann"), "Operations": ["Decrypt"],
        "Name": "the-same",
    });
    let make = async || text(&world.call("CreateGrant", grant.clone()).await.ok()["GrantId"]);
    world.call("CreateUser", json!({"UserName": "ann"})).await.ok();
    let first = make().await;
    assert_eq!(make().await, first);
    world.call("DeleteUser", json!({"UserName": "ann"})).await.ok();
    world.call("CreateUser", json!({"UserName": "ann"})).await.ok();
    assert_ne!(make().await, first);
}

#[tokio::test]
async fn names_are_one_whatever_their_case_and_free_once_they_are_given_up() {
    let world = World::new(10).await;
    world.call("CreateUser", json!({"UserName": "ann"})).await.ok();
    let taken = world.call("CreateUser", json!({"UserName": "ANN"})).await;
    taken.fails("EntityAlreadyExists", "User with name ANN already exists.");
    world.call("UpdateUser", json!({"UserName": "aNN", "NewUserName": "Ann"})).await.ok();
    let found = world.call("GetUser", json!({"UserName": "ann"})).await.ok();
    assert_eq!(found["User"]["UserName"], "Ann");
    world.call("CreateUser", json!({"UserName": "bob"})).await.ok();
    let taken = world.call("UpdateUser", json!({"UserName": "ann", "NewUserName": "BOB"})).await;
    taken.fails("EntityAlreadyExists", "User with name BOB already exists.");
    world.call("UpdateUser", json!({"UserName": "bob", "NewUserName": "carl"})).await.ok();
    world.call("UpdateUser", json!({"UserName": "ann", "NewUserName": "bob"})).await.ok();
    let gone = world.call("GetUser", json!({"UserName": "ann"})).await;
    gone.fails("NoSuchEntity", "The user with name ann cannot be found.");
}

#[tokio::test]
async fn lists_come_in_pages_that_are_each_callers_own() {
    let world = World::with_two_accounts(11).await;
    for index in 0..25 {
        let path = if index % 2 == 0 { "/even/" } else { "/odd/" };
        world.call("CreateUser", json!({"UserName": format!("user{index:02}"), "Path": path})).await.ok();
    }
    let (mut names, mut marker) = (Vec::new(), Value::Null);
    loop {
        let mut input = json!({"PathPrefix": "/even/", "MaxItems": 4});
        if !marker.is_null() {
            input["Marker"] = marker.clone();
        }
        let page = world.call("ListUsers", input).await.ok();
        let users = page["Users"].as_array().unwrap();
        assert!(users.len() <= 4);
        names.extend(users.iter().map(|user| text(&user["UserName"])));
        if page["IsTruncated"] == false {
            assert!(page.get("Marker").is_none());
            break;
        }
        marker = page["Marker"].clone();
    }
    let even: Vec<String> = (0..25).step_by(2).map(|index| format!("user{index:02}")).collect();
    assert_eq!(names, even);
    let stranger = world.caller_of(OTHER_ACCOUNT, REGION).await;
    let input = json!({"PathPrefix": "/even/", "Marker": marker});
    world.call_as(&stranger, "ListUsers", input).await.fails("ValidationException", "Invalid Marker.");
    let input = json!({"Marker": marker});
    world.call("ListUsers", input.clone()).await.fails("ValidationException", "Invalid Marker.");
    world.call("ListGroups", input).await.fails("ValidationException", "Invalid Marker.");
}

#[tokio::test]
async fn quotas_are_those_of_aws() {
    let world = World::new(12).await;
    let call = async |operation: &str, input: Value| world.call(operation, input).await;
    call("CreateUser", json!({"UserName": "ann"})).await.ok();
    for index in 0..11 {
        let name = format!("n{index}");
        call("CreateGroup", json!({"GroupName": name})).await.ok();
        call("CreatePolicy", json!({"PolicyName": name, "PolicyDocument": DOCUMENT})).await.ok();
        let joined = call("AddUserToGroup", json!({"UserName": "ann", "GroupName": name})).await;
        let attach = json!({"UserName": "ann", "PolicyArn": policy_arn(&name)});
        let attached = call("AttachUserPolicy", attach).await;
        if index < 10 {
            joined.ok();
            attached.ok();
        } else {
            joined.fails("LimitExceeded", "Cannot exceed quota for GroupsPerUser: 10");
            attached.fails("LimitExceeded", "Cannot exceed quota for PoliciesPerUser: 10");
        }
    }
    let arn = policy_arn("n0");
    for version in 2..=6 {
        let input = json!({"PolicyArn": arn, "PolicyDocument": DOCUMENT, "SetAsDefault": true});
        let made = call("CreatePolicyVersion", input).await;
        if version < 6 {
            assert_eq!(made.ok()["PolicyVersion"]["VersionId"], format!("v{version}"));
        } else {
            assert_eq!(made.error, Some("LimitExceeded"));
        }
    }
    // White space doesn't count; what was replaced doesn't either.
    let long = |characters: usize| {
        let policy = |sid: &str| {
            json!({"Statement": {"Sid": sid, "Effect": "Allow", "Action": "kms:Decrypt", "Resource": "*"}})
                .to_string()
        };
        let rest = characters - policy("").len();
        policy(&"a".repeat(rest)) + &" \n".repeat(5000)
    };
    let put = |name: &str, characters: usize| json!({"UserName": "ann", "PolicyName": name, "PolicyDocument": long(characters)});
    call("PutUserPolicy", put("one", 1000)).await.ok();
    call("PutUserPolicy", put("one", 1500)).await.ok();
    let over = "Maximum policy size of 2048 bytes exceeded for user ann";
    call("PutUserPolicy", put("two", 600)).await.fails("LimitExceeded", over);
    call("PutUserPolicy", put("two", 548)).await.ok();
    call("PutUserPolicy", put("three", 100)).await.fails("LimitExceeded", over);
    call("DeleteUserPolicy", json!({"UserName": "ann", "PolicyName": "one"})).await.ok();
    call("PutUserPolicy", put("three", 1500)).await.ok();
    let managed = |characters: usize| json!({"PolicyName": "long", "PolicyDocument": long(characters)});
    let over = "Cannot exceed quota for PolicySize: 6144";
    call("CreatePolicy", managed(6145)).await.fails("LimitExceeded", over);
    call("CreatePolicy", managed(6144)).await.ok();
}

#[tokio::test]
async fn what_is_used_is_not_deleted() {
    let world = World::new(13).await;
    let call = async |operation: &str, input: Value| world.call(operation, input).await;
    let arn = policy_arn("p");
    call("CreatePolicy", json!({"PolicyName": "p", "PolicyDocument": DOCUMENT})).await.ok();
    call("CreateUser", json!({"UserName": "ann", "PermissionsBoundary": arn})).await.ok();
    let attached = "Cannot delete a policy attached to entities.";
    call("DeletePolicy", json!({"PolicyArn": arn})).await.fails("DeleteConflict", attached);
    let other = json!({"UserName": "ann", "PermissionsBoundary": AWS_MANAGED});
    call("PutUserPermissionsBoundary", other).await.ok();
    call("AttachUserPolicy", json!({"UserName": "ann", "PolicyArn": arn})).await.ok();
    call("DeletePolicy", json!({"PolicyArn": arn})).await.fails("DeleteConflict", attached);
    let policy = call("GetPolicy", json!({"PolicyArn": arn})).await.ok();
    assert_eq!(policy["Policy"]["AttachmentCount"], 1);
    assert_eq!(policy["Policy"]["PermissionsBoundaryUsageCount"], 0);
    let aws = call("GetPolicy", json!({"PolicyArn": AWS_MANAGED})).await.ok();
    assert_eq!(aws["Policy"]["PermissionsBoundaryUsageCount"], 1);
    call("DetachUserPolicy", json!({"UserName": "ann", "PolicyArn": arn})).await.ok();
    call("DeletePolicy", json!({"PolicyArn": arn})).await.ok();
    call("DeleteUser", json!({"UserName": "ann"})).await.ok();
    let aws = call("GetPolicy", json!({"PolicyArn": AWS_MANAGED})).await.ok();
    assert_eq!(aws["Policy"]["PermissionsBoundaryUsageCount"], 0);
    let summary = call("GetAccountSummary", json!({})).await.ok();
    assert_eq!((&summary["SummaryMap"]["Users"], &summary["SummaryMap"]["Policies"]), (&json!(0), &json!(0)));
}

#[tokio::test]
async fn when_an_access_key_was_last_used_is_told() {
    let mut world = World::new(14).await;
    let key = user(&world, "ann").await;
    let asked = json!({"AccessKeyId": key.access_key_id});
    let never = world.call("GetAccessKeyLastUsed", asked.clone()).await.ok();
    assert_eq!(
        never,
        json!({"UserName": "ann", "AccessKeyLastUsed": {"ServiceName": "N/A", "Region": "N/A"}})
    );
    world.clock.advance(Duration::from_secs(5));
    known(&world, &key).await.unwrap();
    let at = f64::from(u32::try_from(support::START_MS / 1000).unwrap() + 5);
    let told = async |world: &World| {
        world.call("GetAccessKeyLastUsed", asked.clone()).await.ok()["AccessKeyLastUsed"].clone()
    };
    let last = json!({"LastUsedDate": at, "ServiceName": "kms", "Region": REGION});
    assert_eq!(told(&world).await, last);
    world.engine.tick().await;
    world.restart().await;
    assert_eq!(told(&world).await, last);
}

#[tokio::test]
async fn policies_of_the_api_itself_name_who_is_known() {
    // A policy for everybody names nobody who has to be known.
    let world = World::new(15).await;
    let key = world.new_key().await;
    world.call("PutKeyPolicy", json!({"KeyId": key, "Policy": OPEN_POLICY})).await.ok();
    let shown = world.call("GetKeyPolicy", json!({"KeyId": key})).await.ok();
    assert_eq!(shown["Policy"], OPEN_POLICY);
}

/// A policy that allows this on that.
fn allowing(action: &str, resource: &str) -> String {
    json!({
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": action, "Resource": resource}],
    })
    .to_string()
}

#[tokio::test]
async fn who_renames_must_be_allowed_what_comes_of_it_too() {
    let world = World::new(16).await;
    let key = user(&world, "ann").await;
    let resource = format!("arn:aws:iam::{ACCOUNT}:user/low/*");
    let policy = allowing("iam:UpdateUser", &resource);
    let put = json!({"UserName": "ann", "PolicyName": "p", "PolicyDocument": policy});
    world.call("PutUserPolicy", put).await.ok();
    world.call("CreateUser", json!({"UserName": "bob", "Path": "/low/"})).await.ok();
    let moved = |path: &str| json!({"UserName": "bob", "NewPath": path});
    let refused = call_as_user(&world, &key, "UpdateUser", moved("/high/")).await;
    assert_eq!(refused.error, Some("AccessDeniedException"), "{}", refused.body);
    call_as_user(&world, &key, "UpdateUser", moved("/low/er/")).await.ok();
    let renamed = json!({"UserName": "bob", "NewUserName": "carl"});
    call_as_user(&world, &key, "UpdateUser", renamed).await.ok();
    let found = world.call("GetUser", json!({"UserName": "carl"})).await.ok();
    assert_eq!(found["User"]["Path"], "/low/er/");
}

#[tokio::test]
async fn policies_take_effect_at_once_and_end_at_once_also_in_another_process() {
    let world = World::new(17).await;
    let key = user(&world, "ann").await;
    let shared = EngineOptions { shared: true, ..EngineOptions::default() };
    let mut other = World::new(98).await;
    other.engine = world.open_with(shared).await.unwrap();
    let may = async || {
        let (here, there) = (
            call_as_user(&world, &key, "ListKeys", json!({})).await,
            call_as_user(&other, &key, "ListKeys", json!({})).await,
        );
        assert_eq!(here.error, there.error);
        assert!(here.error.is_none_or(|code| code == "AccessDeniedException"), "{}", here.body);
        here.error.is_none()
    };
    let call = async |operation: &str, input: Value| world.call(operation, input).await.ok();
    let (allow, arn) = (allowing("kms:ListKeys", "*"), policy_arn("p"));
    assert!(!may().await);
    let inline = json!({"UserName": "ann", "PolicyName": "p"});
    let mut put = inline.clone();
    put["PolicyDocument"] = allow.clone().into();
    call("PutUserPolicy", put).await;
    assert!(may().await);
    call("DeleteUserPolicy", inline).await;
    assert!(!may().await);
    call("CreatePolicy", json!({"PolicyName": "p", "PolicyDocument": allow})).await;
    call("CreateGroup", json!({"GroupName": "g"})).await;
    call("AttachGroupPolicy", json!({"GroupName": "g", "PolicyArn": arn})).await;
    call("AddUserToGroup", json!({"GroupName": "g", "UserName": "ann"})).await;
    assert!(may().await);
    let none =
        json!({"PolicyArn": arn, "PolicyDocument": allowing("kms:ListAliases", "*"), "SetAsDefault": true});
    call("CreatePolicyVersion", none).await;
    assert!(!may().await);
    call("SetDefaultPolicyVersion", json!({"PolicyArn": arn, "VersionId": "v1"})).await;
    assert!(may().await);
    call("PutUserPermissionsBoundary", json!({"UserName": "ann", "PermissionsBoundary": AWS_MANAGED})).await;
    assert!(may().await);
    let deny = allow.replace("Allow", "Deny");
    call("PutGroupPolicy", json!({"GroupName": "g", "PolicyName": "d", "PolicyDocument": deny})).await;
    assert!(!may().await);
    call("DeleteGroupPolicy", json!({"GroupName": "g", "PolicyName": "d"})).await;
    assert!(may().await);
    call("RemoveUserFromGroup", json!({"GroupName": "g", "UserName": "ann"})).await;
    assert!(!may().await);
}

#[tokio::test]
async fn a_policy_replaces_the_one_that_was_read_and_no_other() {
    let world = World::new(21).await;
    user(&world, "ann").await;
    world.call("CreateGroup", json!({"GroupName": "ann"})).await.ok();
    let trust = json!({"Version": "2012-10-17", "Statement": {
        "Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole",
    }});
    let made = json!({"RoleName": "ann", "AssumeRolePolicyDocument": trust.to_string()});
    world.call("CreateRole", made).await.ok();
    for kind in ["User", "Group", "Role"] {
        let (one, two) = (allowing("kms:ListKeys", "*"), allowing("kms:ListAliases", "*"));
        let put = async |document: &str, replacing: &str| {
            let (operation, name) = (format!("Put{kind}Policy"), format!("{kind}Name"));
            let input = json!({name: "ann", "PolicyName": "p", "PolicyDocument": document, "IfPolicyDocument": replacing});
            world.call(&operation, input).await
        };
        let stays = async |document: &str, replacing: &str| {
            let answer = put(document, replacing).await;
            let told = format!(
                "The policy p of the {} ann is not the one that is to be replaced.",
                kind.to_lowercase()
            );
            answer.fails("ConcurrentModification", &told);
        };
        stays(&one, &two).await;
        put(&one, "absent").await.ok();
        stays(&two, "absent").await;
        stays(&two, &two).await;
        put(&two, &one).await.ok();
        stays(&one, &one).await;
        let name = format!("{kind}Name");
        let read =
            world.call(&format!("Get{kind}Policy"), json!({name: "ann", "PolicyName": "p"})).await.ok();
        assert!(text(&read["PolicyDocument"]).contains("ListAliases"), "{read}");
    }
}

#[tokio::test]
async fn an_inline_policy_that_was_removed_from_the_store_is_missed() {
    let mut world = World::new(18).await;
    let key = user(&world, "ann").await;
    for (name, effect) in [("allow", "Allow"), ("deny", "Deny")] {
        let policy = allowing("kms:ListKeys", "*").replace("Allow", effect);
        let put = json!({"UserName": "ann", "PolicyName": name, "PolicyDocument": policy});
        world.call("PutUserPolicy", put).await.ok();
    }
    let denied = call_as_user(&world, &key, "ListKeys", json!({})).await;
    assert_eq!(denied.error, Some("AccessDeniedException"));
    assert_eq!(world.disk.remove(|path| path.to_string().ends_with("/deny")), 1);
    world.restart().await;
    let failed = call_as_user(&world, &key, "ListKeys", json!({})).await;
    assert_eq!((failed.status, failed.error), (500, Some("KMSInternalException")));
}
