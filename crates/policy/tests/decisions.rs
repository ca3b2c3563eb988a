//! The rules of a decision, one test each.
//!
//! Sources: IAM user guide, "Policy evaluation logic", "Cross-account policy evaluation logic", "Permissions boundaries for IAM
//! entities", "AWS JSON policy elements: Principal" and "NotPrincipal"; AWS KMS developer guide, "Key policies", "Grants".

#![allow(clippy::unwrap_used, clippy::panic)]

use bulla_policy::Case;
use serde_json::{Value, json};

const KEY: &str = "arn:aws:kms:us-east-1:111122223333:key/k";
const OWN: &str = "111122223333";
const OTHER: &str = "444455556666";

fn allow(principal: Value) -> Value {
    json!({"Effect": "Allow", "Principal": principal, "Action": "kms:*", "Resource": "*"})
}

fn root(account: &str) -> Value {
    json!({"AWS": format!("arn:aws:iam::{account}:root")})
}

fn policy(statements: &[Value]) -> Value {
    json!({"Version": "2012-10-17", "Statement": statements})
}

fn identity(effect: &str) -> Value {
    policy(&[json!({"Effect": effect, "Action": "kms:*", "Resource": "*"})])
}

fn user(account: &str) -> Value {
    json!({"type": "user", "account": account, "arn": format!("arn:aws:iam::{account}:user/p/alice"), "name": "alice"})
}

fn session(account: &str) -> Value {
    json!({"type": "assumed-role", "account": account, "arn": format!("arn:aws:sts::{account}:assumed-role/app/s1"),
        "role_arn": format!("arn:aws:iam::{account}:role/p/app"), "name": "app", "session": "s1"})
}

fn account_root(account: &str) -> Value {
    json!({"type": "root", "account": account, "arn": format!("arn:aws:iam::{account}:root")})
}

/// A case of one principal and a key policy; more is added by its members' names.
fn asked(principal: Value, key_policy: &[Value]) -> Value {
    json!({
        "request": {"principal": principal, "action": "kms:Decrypt", "resource": KEY, "resource_account": OWN, "context": {}},
        "identity_policies": [], "permission_boundary": null, "key_policy": policy(key_policy),
    })
}

fn with(mut case: Value, member: &str, value: Value) -> Value {
    case[member] = value;
    case
}

fn with_identity(case: Value, effect: &str) -> Value {
    with(case, "identity_policies", json!([{"name": "p", "kind": "inline", "document": identity(effect)}]))
}

fn with_boundary(case: Value, action: &str) -> Value {
    let boundary = policy(&[json!({"Effect": "Allow", "Action": action, "Resource": "*"})]);
    with(case, "permission_boundary", boundary)
}

fn with_session(case: Value, action: &str) -> Value {
    with(
        case,
        "session_policies",
        json!([policy(&[json!({"Effect": "Allow", "Action": action, "Resource": "*"})])]),
    )
}

/// The verdict and the reason.
fn decided(case: &Value) -> (String, String) {
    let case = Case::read(&case.to_string()).unwrap_or_else(|error| panic!("{}: {case}", error.error));
    let answer = case.answer();
    (format!("{:?}", answer.decision), answer.reason)
}

#[track_caller]
fn allowed(case: &Value) {
    assert_eq!(decided(case).0, "Allowed", "{}", Case::read(&case.to_string()).unwrap().explain());
}

#[track_caller]
fn denied(case: &Value, reason: &str) {
    let (verdict, found) = decided(case);
    assert_eq!(found, reason, "{case}");
    let explicitly = reason.starts_with("with an explicit deny");
    assert_eq!(verdict, if explicitly { "ExplicitlyDenied" } else { "ImplicitlyDenied" });
}

const NO_IDENTITY: &str = "because no identity-based policy allows the kms:Decrypt action";
const NO_RESOURCE: &str = "because no resource-based policy allows the kms:Decrypt action";
const NO_BOUNDARY: &str = "because no permissions boundary allows the kms:Decrypt action";
const NO_SESSION: &str = "because no session policy allows the kms:Decrypt action";

#[test]
fn within_its_account_a_key_policy_decides_alone() {
    for principal in
        [json!("*"), json!({"AWS": "*"}), json!({"AWS": "arn:aws:iam::111122223333:user/p/alice"})]
    {
        allowed(&asked(user(OWN), &[allow(principal)]));
    }
    denied(
        &asked(user(OWN), &[allow(json!({"AWS": "arn:aws:iam::111122223333:user/p/Alice"}))]),
        NO_RESOURCE,
    );
    denied(&with_identity(asked(user(OWN), &[]), "Allow"), NO_RESOURCE);
    denied(&with_identity(with(asked(user(OWN), &[]), "key_policy", Value::Null), "Allow"), NO_RESOURCE);
}

#[test]
fn an_account_in_a_key_policy_lets_identity_policies_decide() {
    for principal in [root(OWN), json!({"AWS": OWN}), json!({"AWS": [OTHER, OWN]})] {
        let case = asked(user(OWN), &[allow(principal)]);
        denied(&case, NO_IDENTITY);
        allowed(&with_identity(case, "Allow"));
    }
    denied(&with_identity(asked(user(OWN), &[allow(root(OTHER))]), "Allow"), NO_RESOURCE);
}

#[test]
fn a_root_is_its_account() {
    allowed(&asked(account_root(OWN), &[allow(root(OWN))]));
    allowed(&asked(account_root(OTHER), &[allow(json!({"AWS": OTHER}))]));
    denied(
        &asked(account_root(OWN), &[allow(json!({"AWS": "arn:aws:iam::111122223333:user/p/alice"}))]),
        NO_RESOURCE,
    );
    denied(&asked(account_root(OTHER), &[allow(root(OWN))]), NO_RESOURCE);
}

#[test]
fn another_account_must_allow_it_too() {
    for principal in [json!("*"), root(OTHER), json!({"AWS": "arn:aws:iam::444455556666:user/p/alice"})] {
        let case = asked(user(OTHER), &[allow(principal)]);
        denied(&case, NO_IDENTITY);
        let case = with_identity(case, "Allow");
        allowed(&case);
        denied(&with_boundary(case.clone(), "kms:Encrypt"), NO_BOUNDARY);
        allowed(&with_boundary(case, "kms:D*"));
    }
    denied(&with_identity(asked(user(OTHER), &[allow(root(OWN))]), "Allow"), NO_RESOURCE);
}

#[test]
fn a_denial_wins_wherever_it_stands() {
    let case = with_identity(asked(user(OWN), &[allow(json!("*"))]), "Allow");
    denied(&with_identity(case.clone(), "Deny"), "with an explicit deny in an identity-based policy");
    denied(
        &with(case.clone(), "permission_boundary", identity("Deny")),
        "with an explicit deny in a permissions boundary",
    );
    denied(
        &with(case.clone(), "session_policies", json!([identity("Deny")])),
        "with an explicit deny in a session policy",
    );
    for principal in
        [json!("*"), root(OWN), json!({"AWS": OWN}), json!({"AWS": "arn:aws:iam::111122223333:user/p/alice"})]
    {
        let mut denial = allow(principal);
        denial["Effect"] = "Deny".into();
        let key_policy = policy(&[allow(json!("*")), denial]);
        denied(
            &with(case.clone(), "key_policy", key_policy),
            "with an explicit deny in a resource-based policy",
        );
    }
    let mut denial = allow(root(OTHER));
    denial["Effect"] = "Deny".into();
    allowed(&with(case, "key_policy", policy(&[allow(json!("*")), denial])));
}

#[test]
fn a_boundary_limits_what_it_limits_at_aws() {
    let user_arn = json!({"AWS": "arn:aws:iam::111122223333:user/p/alice"});
    let (role_arn, session_arn) = (
        json!({"AWS": "arn:aws:iam::111122223333:role/p/app"}),
        json!({"AWS": "arn:aws:sts::111122223333:assumed-role/app/s1"}),
    );
    allowed(&with_boundary(asked(user(OWN), &[allow(user_arn)]), "kms:Encrypt"));
    allowed(&with_boundary(asked(session(OWN), &[allow(session_arn)]), "kms:Encrypt"));
    allowed(&with_boundary(asked(session(OWN), &[allow(json!("*"))]), "kms:Encrypt"));
    denied(&with_boundary(asked(session(OWN), &[allow(role_arn.clone())]), "kms:Encrypt"), NO_BOUNDARY);
    allowed(&with_boundary(asked(session(OWN), &[allow(role_arn)]), "kms:Decrypt"));
    let by_account = with_identity(asked(user(OWN), &[allow(root(OWN))]), "Allow");
    denied(&with_boundary(by_account.clone(), "kms:Encrypt"), NO_BOUNDARY);
    allowed(&with_boundary(by_account, "kms:Decrypt"));
}

#[test]
fn a_session_policy_limits_all_but_what_the_session_is_given() {
    let role_arn = json!({"AWS": "arn:aws:iam::111122223333:role/p/app"});
    let session_arn = json!({"AWS": "arn:aws:sts::111122223333:assumed-role/app/s1"});
    allowed(&with_session(asked(session(OWN), &[allow(session_arn)]), "kms:Encrypt"));
    denied(&with_session(asked(session(OWN), &[allow(role_arn.clone())]), "kms:Encrypt"), NO_SESSION);
    allowed(&with_session(asked(session(OWN), &[allow(role_arn)]), "kms:*"));
    let by_account = with_identity(asked(session(OWN), &[allow(root(OWN))]), "Allow");
    allowed(&by_account);
    denied(&with_session(by_account, "kms:Encrypt"), NO_SESSION);
    let other_role = json!({"AWS": "arn:aws:iam::111122223333:role/app"});
    denied(&asked(session(OWN), &[allow(other_role)]), NO_RESOURCE);
}

#[test]
fn without_a_key_identity_policies_decide() {
    let mut case = asked(user(OWN), &[allow(json!("*"))]);
    case["request"]["action"] = "kms:ListKeys".into();
    case["request"]["resource"] = "*".into();
    denied(&case, "because no identity-based policy allows the kms:ListKeys action");
    let case = with_identity(case, "Allow");
    allowed(&case);
    denied(
        &with_boundary(case.clone(), "kms:Encrypt"),
        "because no permissions boundary allows the kms:ListKeys action",
    );
    let on = |resource: &str| {
        let statement = json!({"Effect": "Allow", "Action": "kms:*", "Resource": resource});
        with(case.clone(), "identity_policies", json!([{"document": policy(&[statement])}]))
    };
    denied(&on(KEY), "because no identity-based policy allows the kms:ListKeys action");
    denied(&on("arn:aws:kms:*"), "because no identity-based policy allows the kms:ListKeys action");
    allowed(&on("*"));
    let mut elsewhere = case.clone();
    elsewhere["request"]["resource_account"] = OTHER.into();
    denied(&elsewhere, "because no resource-based policy allows the kms:ListKeys action");
    let mut by_root = case;
    by_root["request"]["principal"] = account_root(OWN);
    by_root["identity_policies"] = json!([]);
    allowed(&by_root);
}

#[test]
fn a_grant_allows_like_a_key_policy_that_names_the_grantee() {
    let granted = |principal: Value, grant: Value| with(asked(principal, &[]), "grants", json!([grant]));
    let to = |grantee: &str| json!({"grantee": grantee, "operations": ["Encrypt", "Decrypt"]});
    let alice = to("arn:aws:iam::111122223333:user/p/alice");
    let app = to("arn:aws:iam::111122223333:role/p/app");
    allowed(&granted(user(OWN), alice.clone()));
    allowed(&granted(session(OWN), app.clone()));
    denied(&granted(user(OWN), app.clone()), NO_RESOURCE);
    denied(&with_session(granted(session(OWN), app.clone()), "kms:Encrypt"), NO_SESSION);
    denied(&with_boundary(granted(session(OWN), app), "kms:Encrypt"), NO_BOUNDARY);
    denied(
        &with_identity(granted(user(OWN), alice.clone()), "Deny"),
        "with an explicit deny in an identity-based policy",
    );
    let other = to("arn:aws:iam::444455556666:user/p/alice");
    denied(&granted(user(OTHER), other.clone()), NO_IDENTITY);
    allowed(&with_identity(granted(user(OTHER), other), "Allow"));
    let constrained = |constraints: Value, context: Value| {
        let mut grant = alice.clone();
        grant["constraints"] = constraints;
        let mut case = granted(user(OWN), grant);
        case["request"]["context"] = context;
        case
    };
    let context = json!({"kms:EncryptionContext:Team": "red", "kms:EncryptionContext:db": "1"});
    allowed(&constrained(json!({"EncryptionContextSubset": {"Team": "red"}}), context.clone()));
    allowed(&constrained(json!({"EncryptionContextEquals": {"Team": "red", "db": "1"}}), context.clone()));
    for constraints in [
        json!({"EncryptionContextSubset": {"team": "red"}}),
        json!({"EncryptionContextSubset": {"Team": "Red"}}),
        json!({"EncryptionContextEquals": {"Team": "red"}}),
        json!({"EncryptionContextEquals": {}}),
    ] {
        denied(&constrained(constraints, context.clone()), NO_RESOURCE);
    }
}

#[test]
fn not_principal_leaves_out_whoever_is_named() {
    let statement = |effect: &str, principals: Value| json!({"Effect": effect, "NotPrincipal": principals, "Action": "kms:*", "Resource": "*"});
    let (alice, bob) = ("arn:aws:iam::111122223333:user/p/alice", "arn:aws:iam::111122223333:user/bob");
    let but = |names: Value| asked(user(OWN), &[allow(json!("*")), statement("Deny", json!({"AWS": names}))]);
    let denial = "with an explicit deny in a resource-based policy";
    denied(&but(json!(bob)), denial);
    allowed(&but(json!([alice, "arn:aws:iam::111122223333:root"])));
    allowed(&but(json!(alice)));
    // The account stands there for whom it is named beside, not for everybody of it.
    denied(&but(json!([bob, "arn:aws:iam::111122223333:root"])), denial);
    allowed(&but(json!("111122223333")));
    let by_role =
        |names: Value| asked(session(OWN), &[allow(json!("*")), statement("Deny", json!({"AWS": names}))]);
    let (role, other) =
        ("arn:aws:iam::111122223333:role/p/app", "arn:aws:sts::111122223333:assumed-role/app/other");
    allowed(&by_role(json!([role, "111122223333"])));
    denied(&by_role(json!([other, role, "111122223333"])), denial);
    // A boundary makes such a denial one to everybody: IAM user guide, "NotPrincipal".
    denied(&with_boundary(but(json!(alice)), "kms:*"), denial);
    allowed(&asked(user(OWN), &[statement("Allow", json!({"AWS": bob}))]));
    denied(&asked(user(OWN), &[statement("Allow", json!({"AWS": alice}))]), NO_RESOURCE);
    denied(&asked(user(OWN), &[statement("Allow", json!("*"))]), NO_RESOURCE);
}

#[test]
fn values_smuggle_nothing_in() {
    let tagged = |resource: &str, version: &str, tag: &str| {
        let statement = json!({"Effect": "Allow", "Action": "kms:*", "Resource": resource});
        let document = json!({"Version": version, "Statement": statement});
        let case =
            with(asked(user(OWN), &[allow(root(OWN))]), "identity_policies", json!([{"document": document}]));
        let mut case = case;
        case["request"]["context"] = json!({"aws:PrincipalTag/Key": tag});
        case
    };
    let resource = "arn:aws:kms:us-east-1:111122223333:key/${AWS:principaltag/key}";
    allowed(&tagged(resource, "2012-10-17", "k"));
    for smuggled in ["*", "?", "K", "${aws:PrincipalTag/Key}", ""] {
        denied(&tagged(resource, "2012-10-17", smuggled), NO_IDENTITY);
    }
    denied(&tagged(resource, "2008-10-17", "k"), NO_IDENTITY);
    denied(&tagged("arn:aws:kms:*:key/${aws:username}", "2012-10-17", "k"), NO_IDENTITY);
    allowed(&tagged("arn:aws:kms:*:key/${aws:username, 'k'}", "2012-10-17", "x"));
}

#[test]
fn what_is_no_case_is_told() {
    let good = with_identity(asked(user(OWN), &[allow(root(OWN))]), "Allow").to_string();
    let error = |text: String| {
        assert_ne!(text, good);
        Case::read(&text).map(|case| case.decide()).unwrap_err().error
    };
    let replaced = |from: &str, to: &str| error(good.replace(from, to));
    assert!(replaced(r#""name":"p""#, r#""Name":"p""#).contains("unknown field `Name`"));
    assert!(replaced(r#""kind":"inline""#, r#""kind":"outline""#).contains("outline"));
    assert!(replaced(r#""type":"user""#, r#""type":"group""#).contains("group"));
    assert!(replaced(r#""type":"user""#, r#""type":"root""#).contains("not of its `type`"));
    assert!(replaced(r#""account":"111122223333""#, r#""account":"1111""#).contains("12 digits"));
    assert!(
        replaced(r#""account":"111122223333""#, r#""account":"444455556666""#).contains("another account")
    );
    assert!(replaced(r#""context":{}"#, r#""context":{"a":{}}"#).contains("condition key"));
    assert!(replaced(r#""context":{}"#, r#""context":{"a":"1","A":"1"}"#).contains("twice"));
    assert!(
        replaced(
            r#""Principal":{"AWS":"#,
            r#""Principal":{"AWS":"arn:aws:iam::111122223333:role/*","Service":"#
        )
        .contains("key policy")
    );
    assert!(
        replaced(r#""Effect":"Allow","Principal""#, r#""Effect":"Permit","Principal""#)
            .contains("key policy: A statement's Effect")
    );
    assert!(error(format!("{good} {{}}")).contains("trailing"));
}

#[test]
fn each_change_that_is_told_would_do() {
    let case = asked(user(OTHER), &[]);
    let changes = |case: &Value| Case::read(&case.to_string()).unwrap().explain().changes;
    let told = changes(&case);
    assert_eq!(told.len(), 2, "{told:?}");
    let statement = |told: &str| -> Value { serde_json::from_str(&told[told.find('{').unwrap()..]).unwrap() };
    let changed = with(case.clone(), "key_policy", policy(&[statement(&told[0])]));
    assert_eq!(changes(&changed).len(), 1);
    let changed = with(changed, "identity_policies", json!([{"document": policy(&[statement(&told[1])])}]));
    allowed(&changed);
    assert!(changes(&changed).is_empty());

    let limited = with_session(with_boundary(changed, "kms:Encrypt"), "kms:Encrypt");
    let told = changes(&limited);
    assert_eq!(told.len(), 2, "{told:?}");
    let wider = with(limited, "permission_boundary", policy(&[statement(&told[0])]));
    allowed(&with(wider, "session_policies", json!([policy(&[statement(&told[1])])])));

    let mut conditional = allow(json!("*"));
    conditional["Condition"] = json!({"StringEquals": {"kms:ViaService": "ec2.us-east-1.amazonaws.com"}});
    let told = changes(&asked(user(OWN), &[conditional]));
    assert!(
        told[0].contains("kms:ViaService")
            && told[0].contains("the request has none")
            && told[1].starts_with("or add"),
        "{told:?}"
    );
}

#[test]
fn what_can_not_hold_without_a_quantifier_is_told() {
    let mut conditional = allow(json!("*"));
    conditional["Condition"] = json!({"StringEquals": {"kms:EncryptionContextKeys": ["db"]}});
    let mut case = asked(user(OWN), &[conditional.clone()]);
    case["request"]["context"] = json!({"kms:EncryptionContextKeys": ["db"]});
    let advice = "the key has several values: use ForAnyValue: or ForAllValues:";
    let text = Case::read(&case.to_string()).unwrap().explain().to_string();
    assert!(text.contains(advice) && !text.contains("make the request meet"), "{text}");
    conditional["Condition"] = json!({"ForAllValues:StringEquals": {"kms:EncryptionContextKeys": ["table"]}});
    let mut case = asked(user(OWN), &[conditional]);
    case["request"]["context"] = json!({"kms:EncryptionContextKeys": ["db"]});
    let text = Case::read(&case.to_string()).unwrap().explain().to_string();
    assert!(!text.contains(advice) && text.contains("make the request meet"), "{text}");
}

#[test]
fn changes_that_are_all_needed_are_told_as_such() {
    let text = |case: &Value| Case::read(&case.to_string()).unwrap().explain().to_string();
    let two = text(&asked(user(OTHER), &[]));
    assert!(two.contains("all of these are needed:\n  to allow it: "), "{two}");
    let one = text(&asked(user(OWN), &[]));
    assert!(one.contains("to allow it: ") && !one.contains("all of these"), "{one}");
}
