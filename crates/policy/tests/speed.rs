//! What decisions cost. `cargo test --release -p bulla-policy --test speed -- --ignored --nocapture` prints it.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use bulla_policy::{
    Context, Kind, Policies, Policy, Principal, PrincipalKind, Request, ResourcePolicy, Values, Verdict,
    decide, default_key_policy,
};
use std::sync::Arc;
use std::time::{Duration, Instant};

const KEY: &str = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";

struct Given;

impl Context for Given {
    fn get(&self, key: &str) -> Option<Values<'_>> {
        match key {
            "aws:sourceip" => Some("203.0.113.7".into()),
            "aws:principaltag/team" => Some("storage".into()),
            "kms:encryptioncontext:team" => Some("storage".into()),
            "kms:viaservice" => Some("s3.us-east-1.amazonaws.com".into()),
            _ => None,
        }
    }
}

fn request(principal: Principal<'_>) -> Request<'_> {
    let resource_account = "111122223333".parse().unwrap();
    Request { principal, action: "kms:Decrypt", resource: KEY, resource_account, context: &Given }
}

fn user() -> Principal<'static> {
    Principal {
        account: "111122223333".parse().ok(),
        arn: "arn:aws:iam::111122223333:user/alice",
        kind: PrincipalKind::User,
        unique_id: Some("AIDAALICEALICEALICE1"),
    }
}

fn each(
    what: &str,
    request: &Request<'_>,
    policies: &Policies<'_>,
    expected: Verdict,
    times: u32,
) -> Duration {
    // The fastest of several runs: others use the processors too.
    let run = || {
        let started = Instant::now();
        for _ in 0..times {
            assert_eq!(
                std::hint::black_box(decide(std::hint::black_box(request), policies)).verdict,
                expected
            );
        }
        started.elapsed() / times
    };
    let each = (0..20).map(|_| run()).min().unwrap();
    println!("{what}: {each:?}");
    each
}

const IDENTITY: &str = r#"{"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Action": ["kms:Encrypt", "kms:Decrypt", "kms:GenerateDataKey*"],
     "Resource": "arn:aws:kms:us-east-1:111122223333:key/*",
     "Condition": {"StringEquals": {"kms:EncryptionContext:Team": "${aws:PrincipalTag/team}"},
                   "IpAddress": {"aws:SourceIp": ["10.0.0.0/8", "203.0.113.0/24"]}}},
    {"Effect": "Deny", "Action": "kms:*", "Resource": "*",
     "Condition": {"StringNotLikeIfExists": {"kms:ViaService": ["s3.*.amazonaws.com", "ec2.*.amazonaws.com"]}}},
    {"Effect": "Allow", "Action": ["kms:List*", "kms:Describe*"], "Resource": "*"}]}"#;

fn key_policy() -> Policy {
    Policy::parse(&default_key_policy("111122223333".parse().unwrap()), Kind::Key).unwrap()
}

#[test]
#[ignore = "a measurement, for a release build"]
fn a_typical_pair_is_decided_within_five_microseconds() {
    let key = key_policy();
    let root = Principal {
        account: "111122223333".parse().ok(),
        arn: "arn:aws:iam::111122223333:root",
        kind: PrincipalKind::Root,
        unique_id: None,
    };
    let resource = ResourcePolicy::Decides(Some(&key));
    let none = Policies { identity: &[], boundary: None, session: &[], resource, grant: None };
    let by_root = each("root, default key policy", &request(root), &none, Verdict::Allowed, 20_000);
    let identity = [Arc::new(Policy::parse(IDENTITY, Kind::Identity).unwrap())];
    let pair = Policies { identity: &identity, ..none };
    let typical = each("user, conditions and a variable", &request(user()), &pair, Verdict::Allowed, 20_000);
    assert!(by_root < Duration::from_micros(1) && typical < Duration::from_micros(5));
}

#[test]
fn large_policies_do_not_collapse() {
    let key = key_policy();
    let statement =
        |number: usize| format!(r#"{{"Effect":"Allow","Action":"kms:D*t","Resource":"arn:*:key/{number}"}}"#);
    let statements: Vec<String> = (0..1000).map(statement).collect();
    let many = format!(r#"{{"Version":"2012-10-17","Statement":[{}]}}"#, statements.join(","));
    let wild = |pattern: &str, count: usize| {
        let resource = pattern.repeat(count);
        format!(
            r#"{{"Version":"2012-10-17","Statement":{{"Effect":"Allow","Action":"kms:*","Resource":"arn:{resource}"}}}}"#
        )
    };
    for (what, text) in [
        ("1000 statements", many),
        ("10,000 wildcards", wild("*a", 10_000)),
        ("10,000 wildcards of one character", wild("*?", 10_000)),
    ] {
        let identity = [Arc::new(Policy::parse(&text, Kind::Identity).unwrap())];
        let policies = Policies {
            identity: &identity,
            boundary: None,
            session: &[],
            resource: ResourcePolicy::Decides(Some(&key)),
            grant: None,
        };
        let took = each(what, &request(user()), &policies, Verdict::ImplicitlyDenied, 1);
        assert!(took < Duration::from_millis(50), "{what}: {took:?}");
    }
}

#[test]
fn the_worst_pattern_on_the_longest_text_is_bounded() {
    struct Long(String);
    impl Context for Long {
        fn get(&self, _: &str) -> Option<Values<'_>> {
            Some(self.0.as_str().into())
        }
    }
    // As much as an encryption context can hold, and a key policy that does its worst with it.
    let context = Long("a".repeat(8192));
    let pattern = format!("*{}b", "a?".repeat(2048));
    let condition =
        format!(r#"{{"StringLike":{{"kms:EncryptionContext:x":["{}"]}}}}"#, vec![pattern; 7].join("\",\""));
    let text = format!(
        r#"{{"Version":"2012-10-17","Statement":{{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*","Condition":{condition}}}}}"#
    );
    let key = Policy::parse(&text, Kind::Key).unwrap();
    let request = Request { context: &context, ..request(user()) };
    let resource = ResourcePolicy::Decides(Some(&key));
    let policies = Policies { identity: &[], boundary: None, session: &[], resource, grant: None };
    let took = each("the worst key policy", &request, &policies, Verdict::ImplicitlyDenied, 1);
    assert!(took < Duration::from_secs(2), "{took:?}");
}

#[test]
fn variables_cost_no_more_than_what_they_stand_for() {
    /// An encryption context of many names, and none of those that are asked for; looking through it is counted.
    struct Wide(Vec<String>, std::cell::Cell<usize>);
    impl Context for Wide {
        fn get(&self, key: &str) -> Option<Values<'_>> {
            self.1.set(self.1.get() + 1);
            match key {
                "kms:encryptioncontext:c" => Some(Values::One("y".repeat(8100).into())),
                "kms:encryptioncontextkeys" => {
                    Some(Values::Many(self.0.iter().map(|name| name.as_str().into()).collect()))
                }
                _ => None,
            }
        }
    }
    let context = Wide((0..2600).map(|number| format!("n{number}")).collect(), std::cell::Cell::default());
    let with = |condition: String| {
        format!(
            r#"{{"Version":"2012-10-17","Statement":{{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*","Condition":{condition}}}}}"#
        )
    };
    let nothing = format!(r#"{{"StringLike":{{"kms:EncryptionContext:c":"*{}x"}}}}"#, "${a,''}".repeat(4600));
    let many = vec![r#""${kms:EncryptionContext:e,'!'}""#; 880].join(",");
    let many = format!(r#"{{"ForAnyValue:StringEquals":{{"kms:EncryptionContextKeys":[{many}]}}}}"#);
    for (what, text) in [("4600 empty variables", with(nothing)), ("880 variables, 2600 values", with(many))]
    {
        let key = Policy::parse(&text, Kind::Key).unwrap();
        let request = Request { context: &context, ..request(user()) };
        let resource = ResourcePolicy::Decides(Some(&key));
        let policies = Policies { identity: &[], boundary: None, session: &[], resource, grant: None };
        context.1.set(0);
        let took = each(what, &request, &policies, Verdict::ImplicitlyDenied, 1);
        assert!(took < Duration::from_secs(2), "{what}: {took:?}");
        assert!(context.1.get() < 100, "{what}: looked through it {} times", context.1.get());
    }
}
