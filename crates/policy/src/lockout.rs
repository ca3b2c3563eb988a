//! Whether a key policy lets the root of an account change it again: the lockout safety check.
//!
//! This answers one question and no other. A condition is decided where it speaks of what the check knows: who would ask,
//! and the policy's name (the API reference of `PutKeyPolicy`: the check evaluates the new policy with `kms:PolicyName`
//! set to `default`). What speaks of anything else may or may not hold when the time comes: a statement that allows
//! under it doesn't count, one that denies under it does. Policies can be locked out of for good; a check that errs on
//! the other side can be bypassed by a parameter of the request.

use crate::document::{Condition, Effect, KeyPolicy, OneOf, Statement};
use crate::principal::Principal;
use bulla_api::{AccountId, PARTITION};

/// What must be allowed.
const ACTION: &str = "kms:PutKeyPolicy";

impl KeyPolicy {
    /// Whether this policy, on the key of this ARN, surely allows the root of `account` to put another one in its place.
    #[must_use]
    pub fn lets_root_change_it(&self, account: AccountId, key_arn: &str) -> bool {
        let effects = |effect| {
            let asked = Asked { account, key_arn };
            let of_effect = self.statements.iter().filter(move |statement| statement.effect == effect);
            of_effect.map(move |statement| asked.applies(statement))
        };
        effects(Effect::Deny).all(|denied| denied == Some(false))
            && effects(Effect::Allow).any(|allowed| allowed == Some(true))
    }
}

#[derive(Clone, Copy)]
struct Asked<'a> {
    account: AccountId,
    key_arn: &'a str,
}

impl Asked<'_> {
    /// Whether a statement applies; `None` where that depends on what isn't known.
    fn applies(self, statement: &Statement) -> Option<bool> {
        let is_root = |principal: &Principal| match principal {
            Principal::Anyone => true,
            Principal::Account(account) => *account == self.account,
            Principal::Other => false,
        };
        // Actions don't tell case apart; resources do.
        let is_action =
            |pattern: &String| matches_pattern(&pattern.to_ascii_lowercase(), &ACTION.to_ascii_lowercase());
        let is_key = |pattern: &String| matches_pattern(pattern, self.key_arn);
        let concerned = statement.principals.has(is_root)
            && statement.actions.as_ref().is_some_and(|actions| actions.has(is_action))
            && statement.resources.as_ref().is_some_and(|resources| resources.has(is_key));
        if !concerned {
            return Some(false);
        }
        let mut all_known = true;
        for condition in &statement.conditions {
            match self.holds(condition) {
                Some(true) => {}
                Some(false) => return Some(false),
                None => all_known = false,
            }
        }
        all_known.then_some(true)
    }

    fn holds(self, condition: &Condition) -> Option<bool> {
        let value = self.value_of(&condition.key)?;
        let operator = condition.operator.strip_suffix("IfExists").unwrap_or(&condition.operator);
        // Variables are substituted by who knows what stands for them.
        if condition.values.iter().any(|text| text.contains("${")) {
            return None;
        }
        let any = |fits: &dyn Fn(&str) -> bool| Some(condition.values.iter().any(|text| fits(text)));
        match operator {
            "StringEquals" => any(&|text| text == value),
            "StringNotEquals" => any(&|text| text == value).map(|any| !any),
            "StringLike" => any(&|text| matches_pattern(text, &value)),
            "StringNotLike" => any(&|text| matches_pattern(text, &value)).map(|any| !any),
            "ArnEquals" | "ArnLike" => any(&|text| matches_arn(text, &value)),
            "ArnNotEquals" | "ArnNotLike" => any(&|text| matches_arn(text, &value)).map(|any| !any),
            "Null" => any(&|text| text.eq_ignore_ascii_case("false")),
            _ => None,
        }
    }

    /// What the request that is asked about will have under this key. Names of keys don't tell case apart.
    fn value_of(self, key: &str) -> Option<String> {
        match key.to_ascii_lowercase().as_str() {
            "kms:policyname" => Some("default".to_owned()),
            "kms:calleraccount" | "aws:principalaccount" | "aws:userid" => Some(self.account.to_string()),
            "aws:principalarn" => Some(format!("arn:{PARTITION}:iam::{}:root", self.account)),
            "aws:principaltype" => Some("Account".to_owned()),
            _ => None,
        }
    }
}

impl<T> OneOf<T> {
    fn has(&self, is: impl Fn(&T) -> bool) -> bool {
        match self {
            Self::These(items) => items.iter().any(is),
            Self::AllBut(items) => !items.iter().any(is),
        }
    }
}

/// Each of the six parts by itself: a wildcard doesn't reach over a colon.
fn matches_arn(pattern: &str, arn: &str) -> bool {
    let (patterns, parts) = (pattern.splitn(6, ':'), arn.splitn(6, ':'));
    patterns.clone().count() == parts.clone().count()
        && patterns.zip(parts).all(|(pattern, part)| matches_pattern(pattern, part))
}

/// `*` stands for any number of characters, `?` for one.
fn matches_pattern(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut at, mut in_text) = (0, 0);
    // Where the last `*` stands, and how much of the text it has taken.
    let mut star: Option<(usize, usize)> = None;
    while in_text < text.len() {
        match (pattern.get(at), text.get(in_text)) {
            (Some('*'), _) => {
                star = Some((at, in_text));
                at += 1;
            }
            (Some('?'), Some(_)) => (at, in_text) = (at + 1, in_text + 1),
            (Some(wanted), Some(given)) if wanted == given => (at, in_text) = (at + 1, in_text + 1),
            _ => match star {
                Some((star_at, taken)) => {
                    star = Some((star_at, taken + 1));
                    (at, in_text) = (star_at + 1, taken + 1);
                }
                None => return false,
            },
        }
    }
    pattern.get(at..).unwrap_or_default().iter().all(|rest| *rest == '*')
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::default_key_policy;

    const KEY: &str = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";

    fn lets(statements: &str) -> bool {
        let policy = KeyPolicy::parse(&format!(r#"{{"Version":"2012-10-17","Statement":[{statements}]}}"#));
        policy.unwrap().lets_root_change_it("111122223333".parse().unwrap(), KEY)
    }

    fn allow(principal: &str, action: &str, more: &str) -> String {
        format!(r#"{{"Effect":"Allow","Principal":{principal},"Action":{action},"Resource":"*"{more}}}"#)
    }

    const ROOT: &str = r#"{"AWS":"arn:aws:iam::111122223333:root"}"#;

    #[test]
    fn the_default_policy_locks_nobody_out() {
        let account = "111122223333".parse().unwrap();
        let policy = KeyPolicy::parse(&default_key_policy(account)).unwrap();
        assert!(policy.lets_root_change_it(account, KEY));
        assert!(!policy.lets_root_change_it("444455556666".parse().unwrap(), KEY));
    }

    #[test]
    fn the_root_must_be_meant() {
        for principal in [
            r#""*""#,
            r#"{"AWS":"*"}"#,
            r#"{"AWS":"111122223333"}"#,
            ROOT,
            r#"{"AWS":["arn:aws:iam::444455556666:root","111122223333"],"Service":"x.amazonaws.com"}"#,
        ] {
            assert!(lets(&allow(principal, r#""kms:*""#, "")), "{principal}");
        }
        for principal in [
            r#"{"AWS":"444455556666"}"#,
            r#"{"AWS":"arn:aws:iam::111122223333:user/alice"}"#,
            r#"{"AWS":"arn:aws:iam::111122223333:role/root"}"#,
            r#"{"Service":"kms.amazonaws.com"}"#,
        ] {
            assert!(!lets(&allow(principal, r#""kms:*""#, "")), "{principal}");
        }
    }

    #[test]
    fn the_action_must_be_meant() {
        for action in [
            r#""*""#,
            r#""kms:*""#,
            r#""KMS:putkeypolicy""#,
            r#"["kms:Decrypt","kms:Put*"]"#,
            r#""kms:P?tKey*y""#,
        ] {
            assert!(lets(&allow(ROOT, action, "")), "{action}");
        }
        for action in [
            r#""kms:Get*""#,
            r#""kms:PutKeyPolicies""#,
            r#""kms:PutKeyPolic""#,
            r#""s3:*""#,
            r#"["kms:Put","kms:?"]"#,
        ] {
            assert!(!lets(&allow(ROOT, action, "")), "{action}");
        }
        assert!(lets(r#"{"Effect":"Allow","Principal":"*","NotAction":"kms:Decrypt","Resource":"*"}"#));
        assert!(!lets(r#"{"Effect":"Allow","Principal":"*","NotAction":"kms:Put*","Resource":"*"}"#));
    }

    #[test]
    fn a_statement_without_action_or_resource_has_no_effect() {
        assert!(!lets(r#"{"Effect":"Allow","Principal":"*","Action":"kms:*"}"#));
        assert!(!lets(r#"{"Effect":"Allow","Principal":"*","Resource":"*"}"#));
        let all = allow(ROOT, r#""kms:*""#, "");
        assert!(lets(&format!(r#"{all},{{"Effect":"Deny","Principal":"*","Action":"kms:*"}}"#)));
    }

    #[test]
    fn the_resource_must_be_the_key() {
        let on = |resource: &str| {
            allow(ROOT, r#""kms:*""#, "").replace(r#""Resource":"*""#, &format!(r#""Resource":"{resource}""#))
        };
        assert!(lets(&on(KEY)));
        assert!(lets(&on("arn:aws:kms:*:111122223333:key/*")));
        assert!(!lets(&on("arn:aws:kms:eu-west-1:111122223333:key/*")));
        assert!(!lets(&on(&KEY.to_uppercase())));
    }

    #[test]
    fn a_denial_wins_wherever_it_stands() {
        let all = allow(ROOT, r#""kms:*""#, "");
        for denial in [
            allow(r#""*""#, r#""kms:PutKeyPolicy""#, ""),
            allow(r#"{"AWS":"111122223333"}"#, r#""*""#, ""),
            allow(r#"{"AWS":"arn:aws:iam::111122223333:user/alice"}"#, r#""*""#, "")
                .replace("Principal", "NotPrincipal"),
        ] {
            let denial = denial.replace("Allow", "Deny");
            assert!(!lets(&format!("{all},{denial}")), "{denial}");
            assert!(!lets(&format!("{denial},{all}")), "{denial}");
        }
        for denial in [
            allow(r#"{"AWS":"444455556666"}"#, r#""kms:*""#, ""),
            allow(ROOT, r#""kms:Decrypt""#, ""),
            allow(ROOT, r#""kms:*""#, "").replace("Principal", "NotPrincipal"),
        ] {
            let denial = denial.replace("Allow", "Deny");
            assert!(lets(&format!("{all},{denial}")), "{denial}");
        }
    }

    #[test]
    fn conditions_on_who_asks_are_decided() {
        for (condition, holds) in [
            (r#"{"StringEquals":{"kms:PolicyName":"default"}}"#, true),
            (r#"{"StringEquals":{"KMS:policyname":"AWS_RAM"}}"#, false),
            (r#"{"StringEquals":{"kms:CallerAccount":["444455556666","111122223333"]}}"#, true),
            (r#"{"StringNotEquals":{"kms:CallerAccount":["444455556666"]}}"#, true),
            (
                r#"{"StringNotEqualsIfExists":{"aws:PrincipalAccount":["444455556666","111122223333"]}}"#,
                false,
            ),
            (r#"{"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::111122223333:ro*"}}"#, true),
            (r#"{"ArnLike":{"aws:PrincipalArn":"arn:aws:*:root"}}"#, false),
            (r#"{"StringLike":{"aws:PrincipalArn":"arn:aws:*:root"}}"#, true),
            (r#"{"ArnNotEquals":{"aws:PrincipalArn":"arn:aws:iam::111122223333:role/admin"}}"#, true),
            (r#"{"Null":{"kms:CallerAccount":false}}"#, true),
            (r#"{"Null":{"kms:CallerAccount":"true"}}"#, false),
            (r#"{"StringEquals":{"kms:PolicyName":"default","kms:CallerAccount":"444455556666"}}"#, false),
        ] {
            let under = format!(r#","Condition":{condition}"#);
            assert_eq!(lets(&allow(ROOT, r#""kms:*""#, &under)), holds, "{condition}");
            let all = allow(ROOT, r#""kms:*""#, "");
            let denial = allow(ROOT, r#""kms:*""#, &under).replace("Allow", "Deny");
            assert_eq!(lets(&format!("{all},{denial}")), !holds, "{condition}");
        }
    }

    #[test]
    fn what_depends_on_anything_else_is_not_counted_on() {
        for condition in [
            r#"{"IpAddress":{"aws:SourceIp":"192.0.2.0/24"}}"#,
            r#"{"Bool":{"aws:SecureTransport":true}}"#,
            r#"{"StringEquals":{"kms:ViaService":"ec2.us-east-1.amazonaws.com"}}"#,
            r#"{"StringEquals":{"kms:CallerAccount":"${aws:PrincipalAccount}"}}"#,
            r#"{"ForAnyValue:StringEquals":{"kms:CallerAccount":"111122223333"}}"#,
            r#"{"NumericEquals":{"kms:CallerAccount":"111122223333"}}"#,
        ] {
            let under = format!(r#","Condition":{condition}"#);
            assert!(!lets(&allow(ROOT, r#""kms:*""#, &under)), "{condition}");
            let all = allow(ROOT, r#""kms:*""#, "");
            let denial = allow(ROOT, r#""kms:*""#, &under).replace("Allow", "Deny");
            assert!(!lets(&format!("{all},{denial}")), "{condition}");
        }
        // Of several, one that surely doesn't hold settles it.
        let never = r#","Condition":{"Bool":{"aws:SecureTransport":true},"StringEquals":{"kms:PolicyName":"AWS_RAM"}}"#;
        let all = allow(ROOT, r#""kms:*""#, "");
        let denial = allow(ROOT, r#""kms:*""#, never).replace("Allow", "Deny");
        assert!(lets(&format!("{all},{denial}")));
    }
}
