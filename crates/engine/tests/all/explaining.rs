//! Why a request would be decided as it would be, told to the operator of the host; and what simulations answer.
#![allow(clippy::unwrap_used, missing_docs)]

use crate::support;

use bulla_engine::ExplainInput;
use serde_json::{Value, json};
use support::{ACCOUNT, OTHER_ACCOUNT, REGION, Read, World, key_arn, text};

fn user_arn(name: &str) -> String {
    format!("arn:aws:iam::{ACCOUNT}:user/{name}")
}

fn asked(principal: &str, key: &str, context: Value) -> Value {
    json!({"Principal": principal, "Action": "kms:Encrypt", "Key": key, "EncryptionContext": context})
}

async fn explained(world: &World, question: Value) -> Value {
    let input: ExplainInput = serde_json::from_value(question).unwrap();
    world.engine.explain(&world.caller().await, &input).await.unwrap()
}

fn document(statements: Value) -> String {
    json!({"Version": "2012-10-17", "Statement": statements}).to_string()
}

#[tokio::test]
async fn a_denial_is_explained_and_what_is_proposed_helps() {
    let world = World::new(1).await;
    let key = world.new_key().await;
    world.call("CreateUser", json!({"UserName": "ann"})).await.ok();
    let ann = user_arn("ann");
    let grant = json!({
        "KeyId": key, "GranteePrincipal": ann, "Operations": ["Encrypt", "Decrypt"],
        "Constraints": {"EncryptionContextSubset": {"app": "a"}},
    });
    world.call("CreateGrant", grant).await.ok();
    let told = explained(&world, asked(&ann, &key, json!({"app": "b"}))).await;
    assert_eq!(told["Verdict"], "ImplicitlyDenied");
    assert_eq!(told["Because"], "because no identity-based policy allows the kms:Encrypt action");
    assert_eq!(told["Resource"], key_arn(ACCOUNT, REGION, &key));
    assert_eq!(told["Grants"][0]["allows"].as_bool().or(told["Grants"][0]["Allows"].as_bool()), Some(false));
    assert_eq!(told["Grants"][0]["Lacks"], "its constraints don't hold for this encryption context");
    assert!(told["Text"].as_str().unwrap().contains("to allow it"), "{told}");
    let told = explained(&world, asked(&ann, &key, json!({"app": "a"}))).await;
    assert_eq!(told["Verdict"], "Allowed", "{told}");
    let policy = document(json!({"Effect": "Allow", "Action": "kms:Encrypt", "Resource": "*"}));
    let input = json!({"UserName": "ann", "PolicyName": "p", "PolicyDocument": policy});
    world.call("PutUserPolicy", input).await.ok();
    let told = explained(&world, asked(&ann, &key, json!({"app": "b"}))).await;
    assert_eq!((&told["Verdict"], &told["Changes"]), (&json!("Allowed"), &json!([])));
}

#[tokio::test]
async fn what_the_door_refuses_by_itself_is_explained_as_refused() {
    let world = World::with_two_accounts(2).await;
    let key = world.new_key().await;
    let input = json!({"KeyId": key, "Policy": support::OPEN_POLICY});
    world.call("PutKeyPolicy", input).await.ok();
    let other = format!("arn:aws:iam::{OTHER_ACCOUNT}:root");
    let mut question = asked(&other, &key, json!({}));
    assert_eq!(explained(&world, question.clone()).await["Verdict"], "Allowed");
    question["Action"] = json!("kms:DisableKey");
    assert_eq!(explained(&world, question).await["Verdict"], "ImplicitlyDenied");
    let policy = document(json!({"Effect": "Allow", "Principal": "*", "Action": "kms:*", "Resource": "*",
        "Condition": {"StringEquals": {"kms:EncryptionContext:app": "a"}}}));
    let input = json!({"KeyId": key, "Policy": policy, "BypassPolicyLockoutSafetyCheck": true});
    world.call("PutKeyPolicy", input).await.ok();
    let root = format!("arn:aws:iam::{ACCOUNT}:root");
    assert_eq!(explained(&world, asked(&root, &key, json!({"app": "a"}))).await["Verdict"], "Allowed");
    let both = asked(&root, &key, json!({"app": "a", "App": "b"}));
    assert_eq!(explained(&world, both).await["Verdict"], "ImplicitlyDenied");
}

#[tokio::test]
async fn only_this_host_is_told() {
    let world = World::new(3).await;
    let key = world.new_key().await;
    let question = asked(&format!("arn:aws:iam::{ACCOUNT}:root"), &key, json!({}));
    let ask = async |caller| {
        let mut body = serde_json::to_vec(&question).unwrap();
        Read::of(world.engine.dispatch(caller, world.meta(), "BullaAdmin.ExplainPolicy", &mut body).await)
    };
    assert_eq!(ask(Ok(world.caller().await)).await.ok()["Verdict"], "Allowed");
    let signer = world.signer(ACCOUNT).await;
    let body = serde_json::to_vec(&question).unwrap();
    let caller = world.authenticate(&signer, "BullaAdmin.ExplainPolicy", &body, |_| ()).await;
    assert_eq!(ask(caller).await.error, Some("UnknownOperationException"));
    for (member, value) in [("Principal", user_arn("nobody")), ("Key", support::UNKNOWN_KEY.to_owned())] {
        let mut question = question.clone();
        question[member] = json!(value);
        let input: ExplainInput = serde_json::from_value(question).unwrap();
        let error = world.engine.explain(&world.caller().await, &input).await.unwrap_err();
        assert_eq!(error.code.name(), "NotFoundException");
    }
}

#[tokio::test]
async fn simulations_decide_as_requests_are_decided() {
    let world = World::new(4).await;
    let key = world.new_key().await;
    let arn = key_arn(ACCOUNT, REGION, &key);
    world.call("CreateUser", json!({"UserName": "ann"})).await.ok();
    let policy = document(json!([
        {"Effect": "Allow", "Action": "kms:*", "Resource": arn},
        {"Effect": "Deny", "Action": "kms:Decrypt", "Resource": "*",
         "Condition": {"StringNotEquals": {"kms:EncryptionContext:app": "a"}}},
    ]));
    let input = json!({"UserName": "ann", "PolicyName": "p", "PolicyDocument": policy});
    world.call("PutUserPolicy", input).await.ok();
    let simulate = async |operation: &str, more: Value| {
        let mut input = json!({
            "ActionNames": ["kms:Encrypt", "kms:Decrypt", "s3:GetObject"], "ResourceArns": [arn],
        });
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let answer = world.call(operation, input).await.ok();
        let results = answer["EvaluationResults"].as_array().unwrap().clone();
        let decisions: Vec<String> = results.iter().map(|result| text(&result["EvalDecision"])).collect();
        (decisions, results)
    };
    let of_ann = json!({"PolicySourceArn": user_arn("ann")});
    let (decisions, results) = simulate("SimulatePrincipalPolicy", of_ann.clone()).await;
    assert_eq!(decisions, ["allowed", "explicitDeny", "implicitDeny"]);
    assert_eq!(results[0]["EvalResourceName"], arn.as_str());
    assert_eq!(results[0]["MatchedStatements"][0]["SourcePolicyId"], "p");
    assert_eq!(results[1]["MissingContextValues"], json!(["kms:EncryptionContext:app"]));
    let context = json!([{
        "ContextKeyName": "kms:EncryptionContext:App", "ContextKeyValues": ["a"], "ContextKeyType": "string",
    }]);
    let mut with_context = of_ann.clone();
    with_context["ContextEntries"] = context.clone();
    let (decisions, results) = simulate("SimulatePrincipalPolicy", with_context).await;
    assert_eq!(decisions, ["allowed", "allowed", "implicitDeny"]);
    assert_eq!(results[1]["MissingContextValues"], Value::Null);
    let custom = json!({"PolicyInputList": [policy], "ContextEntries": context});
    let (decisions, _) = simulate("SimulateCustomPolicy", custom).await;
    assert_eq!(decisions, ["allowed", "allowed", "implicitDeny"]);
    let bound = document(json!({"Effect": "Allow", "Action": "kms:Decrypt", "Resource": "*"}));
    let custom = json!({"PolicyInputList": [policy], "PermissionsBoundaryPolicyInputList": [bound]});
    let (decisions, results) = simulate("SimulateCustomPolicy", custom).await;
    assert_eq!(decisions, ["implicitDeny", "explicitDeny", "implicitDeny"]);
    let detail = &results[0]["PermissionsBoundaryDecisionDetail"]["AllowedByPermissionsBoundary"];
    assert_eq!(*detail, json!(false));
    // A denial is told by where it stands.
    let denies = document(json!({"Effect": "Deny", "Action": "kms:Encrypt", "Resource": "*"}));
    let custom = json!({"PolicyInputList": [policy], "PermissionsBoundaryPolicyInputList": [denies]});
    let (decisions, results) = simulate("SimulateCustomPolicy", custom).await;
    assert_eq!(decisions[0], "explicitDeny");
    let sources: Vec<&Value> = results[0]["MatchedStatements"]
        .as_array()
        .unwrap()
        .iter()
        .map(|statement| &statement["SourcePolicyId"])
        .collect();
    assert_eq!(sources, ["PermissionsBoundaryPolicyInputList.1"]);
    let two = json!({
        "PolicyInputList": [policy], "ActionNames": ["kms:Encrypt"],
        "PermissionsBoundaryPolicyInputList": [bound, denies],
    });
    assert_eq!(world.call("SimulateCustomPolicy", two).await.error, Some("InvalidInput"));
    // Pages.
    let first = json!({
        "PolicySourceArn": user_arn("ann"), "ActionNames": ["kms:Encrypt", "kms:Decrypt"], "ResourceArns": [arn],
        "MaxItems": 1,
    });
    let page = world.call("SimulatePrincipalPolicy", first.clone()).await.ok();
    assert_eq!(
        (&page["IsTruncated"], &page["EvaluationResults"][0]["EvalActionName"]),
        (&json!(true), &json!("kms:Encrypt"))
    );
    let mut second = first;
    second["Marker"] = page["Marker"].clone();
    let page = world.call("SimulatePrincipalPolicy", second).await.ok();
    assert_eq!(
        (&page["IsTruncated"], &page["EvaluationResults"][0]["EvalActionName"]),
        (&json!(false), &json!("kms:Decrypt"))
    );
    let keys = world.call("GetContextKeysForPrincipalPolicy", of_ann).await.ok();
    assert_eq!(keys["ContextKeyNames"], json!(["kms:EncryptionContext:app"]));
    let keys = world.call("GetContextKeysForCustomPolicy", json!({"PolicyInputList": [policy]})).await.ok();
    assert_eq!(keys["ContextKeyNames"], json!(["kms:EncryptionContext:app"]));
}

#[tokio::test]
async fn a_policy_that_somebody_has_twice_is_told_once() {
    let world = World::new(8).await;
    let policy = document(json!({"Effect": "Allow", "Action": "kms:ListKeys", "Resource": "*"}));
    let made = world.call("CreatePolicy", json!({"PolicyName": "list", "PolicyDocument": policy})).await.ok();
    let arn = made["Policy"]["Arn"].clone();
    world.call("CreateUser", json!({"UserName": "ann"})).await.ok();
    world.call("CreateGroup", json!({"GroupName": "all"})).await.ok();
    world.call("AddUserToGroup", json!({"GroupName": "all", "UserName": "ann"})).await.ok();
    world.call("AttachUserPolicy", json!({"UserName": "ann", "PolicyArn": arn})).await.ok();
    world.call("AttachGroupPolicy", json!({"GroupName": "all", "PolicyArn": arn})).await.ok();
    let question = json!({"Principal": user_arn("ann"), "Action": "kms:ListKeys"});
    let told = explained(&world, question.clone()).await;
    assert_eq!(told["Verdict"], "Allowed");
    assert_eq!(told["Statements"].as_array().unwrap().len(), 1, "{told}");
    // Of the group it still has it.
    world.call("DetachUserPolicy", json!({"UserName": "ann", "PolicyArn": arn})).await.ok();
    assert_eq!(explained(&world, question).await["Verdict"], "Allowed");
}

#[tokio::test]
async fn a_simulation_does_not_tell_who_is_there() {
    let world = World::with_two_accounts(7).await;
    world.call("CreateUser", json!({"UserName": "ann"})).await.ok();
    let stranger = world.caller_of(support::OTHER_ACCOUNT, REGION).await;
    let policy = document(json!({"Effect": "Allow", "Action": "kms:*", "Resource": "*"}));
    let simulate = async |caller_arn: &str| {
        let input = json!({
            "PolicyInputList": [policy], "ActionNames": ["kms:Decrypt"], "CallerArn": caller_arn,
            "ResourceOwner": ACCOUNT,
        });
        world.call_as(&stranger, "SimulateCustomPolicy", input).await
    };
    let (there, nowhere) = (simulate(&user_arn("ann")).await, simulate(&user_arn("bob")).await);
    assert_eq!((there.error, &there.body), (nowhere.error, &nowhere.body));
    assert_eq!(there.ok()["EvaluationResults"][0]["EvalDecision"], "allowed");
    for arn in ["ann", "arn:aws:iam::111122223333:group/g", "arn:aws:sts::111122223333:assumed-role/r/s"] {
        assert_eq!(simulate(arn).await.error, Some("InvalidInput"), "{arn}");
    }
}

#[tokio::test]
async fn the_trust_policy_of_a_role_is_asked() {
    let world = World::new(6).await;
    let ann = user_arn("ann");
    world.call("CreateUser", json!({"UserName": "ann"})).await.ok();
    let may = document(json!({"Effect": "Allow", "Action": "sts:*", "Resource": "*"}));
    let input = json!({"UserName": "ann", "PolicyName": "p", "PolicyDocument": may});
    world.call("PutUserPolicy", input).await.ok();
    let trust = document(json!([
        {"Sid": "Asked", "Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole",
         "Condition": {"StringEquals": {"sts:ExternalId": "x1"}}},
        {"Effect": "Allow", "Principal": {"AWS": ann}, "Action": "sts:TagSession",
         "Condition": {"StringEquals": {"aws:RequestTag/Team": "red"},
                       "ForAllValues:StringEquals": {"aws:TagKeys": "Team"}}},
    ]));
    let make = json!({"RoleName": "deployer", "AssumeRolePolicyDocument": trust});
    world.call("CreateRole", make).await.ok();
    let role = format!("arn:aws:iam::{ACCOUNT}:role/deployer");
    let about = |principal: &str, action: &str, parameters: Value| json!({"Principal": principal, "Action": action, "Resource": role, "Parameters": parameters});
    let external = |id: &str| json!({"externalId": [id], "roleSessionName": ["s1"]});
    let told = explained(&world, about(&ann, "sts:AssumeRole", external("x2"))).await;
    assert_eq!(told["Verdict"], "ImplicitlyDenied", "{told}");
    assert_eq!(told["Statements"][0]["policy"], "role trust policy");
    let changes = told["Changes"].to_string();
    assert!(changes.contains("sts:ExternalId") && changes.contains("add to the role trust policy"), "{told}");
    assert_eq!(
        explained(&world, about(&ann, "sts:AssumeRole", json!({}))).await["Verdict"],
        "ImplicitlyDenied"
    );
    let told = explained(&world, about(&ann, "sts:AssumeRole", external("x1"))).await;
    assert_eq!((&told["Verdict"], &told["Changes"]), (&json!("Allowed"), &json!([])));
    // Roots are refused, whatever the role trusts.
    let root = format!("arn:aws:iam::{ACCOUNT}:root");
    let told = explained(&world, about(&root, "sts:AssumeRole", external("x1"))).await;
    assert_eq!((&told["Verdict"], &told["Changes"]), (&json!("ImplicitlyDenied"), &json!([])));
    let tags = |team: &str| json!({"aws:TagKeys": ["Team"], "aws:RequestTag/team": [team]});
    for (team, verdict) in [("red", "Allowed"), ("blue", "ImplicitlyDenied")] {
        assert_eq!(explained(&world, about(&ann, "sts:TagSession", tags(team))).await["Verdict"], verdict);
    }
    // Where no role is named, and of claims that are kept nowhere, there is no verdict.
    let mut nowhere = about(&ann, "sts:AssumeRole", json!({}));
    nowhere.as_object_mut().unwrap().remove("Resource");
    let provider = format!("arn:aws:iam::{ACCOUNT}:oidc-provider/issuer.example");
    for (question, name) in
        [(nowhere, "R"), (about(&provider, "sts:AssumeRoleWithWebIdentity", json!({})), "deployer")]
    {
        let input: ExplainInput = serde_json::from_value(question).unwrap();
        let error = world.engine.explain(&world.caller().await, &input).await.unwrap_err();
        assert_eq!(error.code.name(), "ValidationException");
        let command = format!("aws iam get-role --role-name {name} --query Role.AssumeRolePolicyDocument");
        assert!(error.message.contains(&command), "{}", error.message);
    }
}
