//! Whether a key policy lets a caller change it again: the lockout safety check.
//!
//! A condition is decided where it speaks of what the check knows: who would ask, and the policy's name (the API reference of
//! `PutKeyPolicy`: the check evaluates the new policy with `kms:PolicyName` set to `default`). What speaks of anything else may
//! or may not hold when the time comes: a statement that allows under it doesn't count, one that denies under it does. Policies
//! can be locked out of for good; a check that errs on the other side can be bypassed by a parameter of the request.

use crate::condition::Condition;
use crate::policy::{Asked, Effect, Kind, Policy, Statement};
use crate::request::{Context, Principal, PrincipalKind, Values};
use bulla_api::{AccountId, PARTITION};

/// What must be allowed.
const ACTION: &str = "kms:PutKeyPolicy";

impl Policy {
    /// Whether this key policy, on the key of this ARN, surely lets the caller put another one in its place: itself, or its
    /// account, whose own policies then say whether.
    #[must_use]
    pub fn lets_change_it(&self, caller: &Principal<'_>, key_arn: &str) -> bool {
        let known = Known { caller };
        let asked = Asked {
            principal: caller,
            has_boundary: false,
            action: ACTION,
            resource: key_arn,
            context: &known,
        };
        let effects = |effect| {
            let of_effect = self.statements.iter().filter(move |statement| statement.effect == effect);
            of_effect.map(|statement| known.applies(statement, &asked))
        };
        effects(Effect::Deny).all(|denied| denied == Some(false))
            && effects(Effect::Allow).any(|allowed| allowed == Some(true))
    }

    /// The same of the root of an account.
    #[must_use]
    pub fn lets_root_change_it(&self, account: AccountId, key_arn: &str) -> bool {
        let arn = format!("arn:{PARTITION}:iam::{account}:root");
        let root =
            Principal { account: Some(account), arn: &arn, kind: PrincipalKind::Root, unique_id: None };
        self.lets_change_it(&root, key_arn)
    }
}

/// What is known of the request that would come.
struct Known<'a> {
    caller: &'a Principal<'a>,
}

impl Known<'_> {
    /// Whether a statement applies; `None` where that depends on what isn't known.
    fn applies(&self, statement: &Statement, asked: &Asked<'_>) -> Option<bool> {
        // A resource may hold variables.
        let resources = statement.resources.iter().flat_map(|resources| resources.items());
        let resource_known =
            resources.flat_map(|resource| resource.pattern.keys()).all(|key| self.get(key).is_some());
        if statement.reach(asked).is_none()
            || !statement.names_action(asked)
            || resource_known && !statement.names_resource(asked, Kind::Key)
        {
            return Some(false);
        }
        let mut all_known = resource_known;
        for condition in &statement.conditions {
            match self.holds(condition, statement.effect) {
                Some(true) => {}
                Some(false) => return Some(false),
                None => all_known = false,
            }
        }
        all_known.then_some(true)
    }

    fn holds(&self, condition: &Condition, effect: Effect) -> Option<bool> {
        condition.keys().all(|key| self.get(key).is_some()).then(|| condition.holds(self, effect))
    }
}

impl Context for Known<'_> {
    fn get(&self, key: &str) -> Option<Values<'_>> {
        let account = || self.caller.account.map(|account| Values::from(account.to_string()));
        match (key, self.caller.kind) {
            ("kms:policyname", _) => Some("default".into()),
            ("kms:calleraccount" | "aws:principalaccount", _) => account(),
            ("aws:userid", PrincipalKind::Root) => account(),
            ("aws:userid", PrincipalKind::User) => self.caller.unique_id.map(Values::from),
            // Of a session the role's, which other sessions have too.
            ("aws:principalarn", PrincipalKind::AssumedRole { role_arn }) => Some(role_arn.into()),
            ("aws:principalarn", _) => Some(self.caller.arn.into()),
            ("aws:principaltype", PrincipalKind::Root) => Some("Account".into()),
            ("aws:principaltype", PrincipalKind::User) => Some("User".into()),
            ("aws:principaltype", PrincipalKind::AssumedRole { .. }) => Some("AssumedRole".into()),
            ("aws:principaltype", PrincipalKind::FederatedUser { .. }) => Some("FederatedUser".into()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::default_key_policy;

    const KEY: &str = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";

    fn lets(statements: &str) -> bool {
        let policy =
            Policy::parse(&format!(r#"{{"Version":"2012-10-17","Statement":[{statements}]}}"#), Kind::Key);
        policy.unwrap().lets_root_change_it("111122223333".parse().unwrap(), KEY)
    }

    fn allow(principal: &str, action: &str, more: &str) -> String {
        format!(r#"{{"Effect":"Allow","Principal":{principal},"Action":{action},"Resource":"*"{more}}}"#)
    }

    const ROOT: &str = r#"{"AWS":"arn:aws:iam::111122223333:root"}"#;

    #[test]
    fn the_default_policy_locks_nobody_out() {
        let account = "111122223333".parse().unwrap();
        let policy = Policy::parse(&default_key_policy(account), Kind::Key).unwrap();
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
    fn others_than_the_root_may_be_meant() {
        let account = "111122223333".parse().unwrap();
        let (role_arn, arn) =
            ("arn:aws:iam::111122223333:role/p/admin", "arn:aws:sts::111122223333:assumed-role/admin/s");
        let session = Principal {
            account: Some(account),
            arn,
            kind: PrincipalKind::AssumedRole { role_arn },
            unique_id: None,
        };
        let lets = |statement: &str| {
            let text = format!(r#"{{"Version":"2012-10-17","Statement":[{statement}]}}"#);
            Policy::parse(&text, Kind::Key).unwrap().lets_change_it(&session, KEY)
        };
        for principal in [ROOT, r#"{"AWS":"arn:aws:iam::111122223333:role/p/admin"}"#, r#""*""#] {
            assert!(lets(&allow(principal, r#""kms:*""#, "")), "{principal}");
        }
        assert!(!lets(&allow(r#"{"AWS":"arn:aws:iam::111122223333:role/admin"}"#, r#""kms:*""#, "")));
        let role = r#","Condition":{"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::*:role/p/*"}}"#;
        assert!(lets(&allow(r#""*""#, r#""kms:*""#, role)));
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
            (r#"{"StringEquals":{"kms:CallerAccount":"${aws:PrincipalAccount}"}}"#, true),
            (r#"{"ForAnyValue:StringEquals":{"kms:CallerAccount":"111122223333"}}"#, true),
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
            r#"{"StringEquals":{"kms:CallerAccount":"${aws:PrincipalTag/account}"}}"#,
            r#"{"StringNotEquals":{"aws:PrincipalTag/team":"red"}}"#,
            r#"{"Null":{"aws:username":"true"}}"#,
        ] {
            let under = format!(r#","Condition":{condition}"#);
            assert!(!lets(&allow(ROOT, r#""kms:*""#, &under)), "{condition}");
            let all = allow(ROOT, r#""kms:*""#, "");
            let denial = allow(ROOT, r#""kms:*""#, &under).replace("Allow", "Deny");
            assert!(!lets(&format!("{all},{denial}")), "{condition}");
        }
        let on = |resource: &str| {
            allow(ROOT, r#""kms:*""#, "").replace(r#""Resource":"*""#, &format!(r#""Resource":"{resource}""#))
        };
        assert!(!lets(&on("arn:aws:kms:*:*:key/${aws:username}")), "a variable of a resource");
        let denial = on("${aws:username, '*'}").replace("Allow", "Deny");
        assert!(!lets(&format!("{},{denial}", on("*"))), "a variable of a resource");
        // Of several, one that surely doesn't hold settles it.
        let never = r#","Condition":{"Bool":{"aws:SecureTransport":true},"StringEquals":{"kms:PolicyName":"AWS_RAM"}}"#;
        let all = allow(ROOT, r#""kms:*""#, "");
        let denial = allow(ROOT, r#""kms:*""#, never).replace("Allow", "Deny");
        assert!(lets(&format!("{all},{denial}")));
    }
}
