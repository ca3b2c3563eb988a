//! A policy from anywhere, and a whole case: what is read is decided and explained alike, by no panic and in little time, and
//! what is stored is read.
#![no_main]

use bulla_policy::{
    Case, Context, Kind, Policies, Policy, Principal, PrincipalKind, Request, ResourcePolicy, Values, decide,
    explain,
};
use libfuzzer_sys::fuzz_target;
use std::sync::Arc;

/// What a request has: keys with one value, with several, and none of others.
struct Circumstances;

impl Context for Circumstances {
    fn get(&self, key: &str) -> Option<Values<'_>> {
        match key {
            "aws:username" => Some("alice".into()),
            "aws:sourceip" => Some("192.0.2.7".into()),
            "aws:currenttime" => Some("2026-11-23T12:00:00Z".into()),
            "aws:principalarn" => Some(ALICE.into()),
            "aws:securetransport" => Some("true".into()),
            "kms:encryptioncontext:a*b" => Some("*?${aws:username}".into()),
            "aws:tagkeys" => Some(Values::Many(vec!["a".into(), "B".into(), "".into()])),
            "kms:resourcealiases" => Some(Values::Many(Vec::new())),
            _ => None,
        }
    }
}

const ALICE: &str = "arn:aws:iam::111122223333:user/alice";
const KEY: &str = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(case) = Case::read(text) {
        assert_eq!(case.decide().verdict, case.explain().verdict);
        let _ = case.explain().to_string();
    }
    for kind in [Kind::Key, Kind::Identity, Kind::Trust] {
        let stored = Policy::parse_for_storing(text, kind);
        let Ok(policy) = Policy::parse(text, kind) else {
            assert!(stored.is_err(), "what can't be read is stored");
            continue;
        };
        assert_eq!(policy.condition_keys().count(), policy.written_condition_keys().count());
        decided(policy);
    }
});

/// Everybody is answered, and the explanation says the same.
fn decided(policy: Policy) {
    let kind = policy.kind();
    let policy = Arc::new(policy);
    let account = "111122223333".parse().ok();
    let role_arn = "arn:aws:iam::111122223333:role/r";
    let provider = "arn:aws:iam::111122223333:oidc-provider/issuer.example";
    for (account, arn, principal) in [
        (account, ALICE, PrincipalKind::User),
        (account, "arn:aws:iam::111122223333:root", PrincipalKind::Root),
        (account, "arn:aws:sts::111122223333:assumed-role/r/s", PrincipalKind::AssumedRole { role_arn }),
        (None, provider, PrincipalKind::Federated),
    ] {
        let Ok(resource_account) = "111122223333".parse() else { return };
        let request = Request {
            principal: Principal { account, arn, kind: principal, unique_id: Some("AIDAALICEALICEALICE1") },
            action: if kind == Kind::Trust { "sts:AssumeRoleWithWebIdentity" } else { "kms:Decrypt" },
            resource: KEY,
            resource_account,
            context: &Circumstances,
        };
        let identity = [Arc::clone(&policy)];
        let is_identity = kind == Kind::Identity;
        let policies = Policies {
            identity: if is_identity { &identity } else { &[] },
            boundary: is_identity.then_some(&*policy),
            session: &[],
            resource: ResourcePolicy::Decides((!is_identity).then_some(&*policy)),
            grant: None,
        };
        assert_eq!(decide(&request, &policies).verdict, explain(&request, &policies).verdict);
    }
    let Ok(account) = "111122223333".parse() else { return };
    let _ = policy.lets_root_change_it(account, KEY);
}
