//! Principals of policies, bound to who they are when a policy is put.
//!
//! A policy of a key or a role names users and roles by ARN. Who is made anew under a deleted one's name has the same ARN,
//! but is somebody else: so a policy is stored with the unique id in the place of each ARN, and shown with the ARN as long
//! as there is somebody with the id. What was never bound (of an account that isn't in this store, or in a policy that is
//! older than the users) names nobody: see [`for_decisions`].
//!
//! Source: IAM user guide, "AWS JSON policy elements: Principal".

use crate::core::Core;
use crate::fault::Fault;
use crate::identities::parse_arn;
use crate::record::{EntityKind, identity_owner_path, pointer_of};
use bulla_api::AccountId;
use std::collections::HashMap;

/// No unique id has a zero.
const NOBODY: &str = "AIDA00000000000000000";

/// Whether this stands for whoever was never in this store.
pub(crate) fn is_nobody(id: &str) -> bool {
    id == NOBODY
}

/// Deepest nesting that is looked into; a policy's own bound is lower.
const DEPTH_MAX: usize = 64;

impl Core {
    /// The policy with the ids of the users and roles that it names. Fails with what `invalid` makes of the name when one
    /// of them should be in this store and isn't.
    pub(crate) async fn bind_principals(
        &self,
        text: &str,
        invalid: impl Fn(&str) -> Fault,
    ) -> Result<String, Fault> {
        let accounts = self.account_ids().await?;
        let mut ids = HashMap::new();
        for name in named(text).ok_or_else(|| invalid(""))? {
            if ids.contains_key(&name) {
                continue;
            }
            match kind_of(&name) {
                Naming::Arn(of) if accounts.contains(&of) => {
                    let found = self.entity_by_arn(&name).await?;
                    let id = found.ok_or_else(|| invalid(&name))?.id;
                    ids.insert(name, id);
                }
                Naming::Id(kind) => {
                    self.arn_of_id(kind, &name).await?.ok_or_else(|| invalid(&name))?;
                }
                Naming::Arn(_) | Naming::Other => {}
            }
        }
        rewritten(text, |name| ids.get(name).cloned()).ok_or_else(|| invalid(""))
    }

    /// A stored policy as it is shown: whoever is there, by ARN.
    pub(crate) async fn show_principals(&self, text: &str) -> Result<String, Fault> {
        let mut arns = HashMap::new();
        for name in named(text).ok_or(Fault::Incomplete("a policy"))? {
            if let Naming::Id(kind) = kind_of(&name)
                && !arns.contains_key(&name)
                && let Some(arn) = self.arn_of_id(kind, &name).await?
            {
                arns.insert(name, arn);
            }
        }
        rewritten(text, |name| arns.get(name).cloned()).ok_or(Fault::Incomplete("a policy"))
    }

    /// Whether a unique id that a policy names is somebody's.
    pub(crate) async fn is_there(&self, id: &str) -> Result<bool, Fault> {
        match kind_of(id) {
            Naming::Id(kind) => Ok(self.arn_of_id(kind, id).await?.is_some()),
            Naming::Arn(_) | Naming::Other => Ok(false),
        }
    }

    /// The ARN of whoever has this id, in whichever account.
    async fn arn_of_id(&self, kind: EntityKind, id: &str) -> Result<Option<String>, Fault> {
        let Some(owner) = self.vault.read(&identity_owner_path(id)).await? else { return Ok(None) };
        let account = pointer_of(&owner.fields)?.parse().map_err(|_| Fault::Incomplete("an identity"))?;
        Ok(self.named(account, kind, id).await?.map(|entity| entity.arn()))
    }

    /// The id of the user or role that an ARN names, to be kept beside it: none of others, such as roots and sessions.
    /// Fails with `missing` when one should be in this store and isn't.
    pub(crate) async fn principal_id(
        &self,
        arn: &str,
        missing: impl FnOnce() -> Fault,
    ) -> Result<Option<String>, Fault> {
        let Naming::Arn(account) = kind_of(arn) else { return Ok(None) };
        if !self.account_ids().await?.contains(&account) {
            return Ok(None);
        }
        let found = self.entity_by_arn(arn).await?.ok_or_else(missing)?;
        Ok(Some(found.id))
    }
}

/// A stored policy as it is decided by: a user or role that is named by ARN was never bound, and names nobody.
pub(crate) fn for_decisions(text: &str) -> Result<String, Fault> {
    let nobody = |name: &str| matches!(kind_of(name), Naming::Arn(_)).then(|| NOBODY.to_owned());
    rewritten(text, nobody).ok_or(Fault::Incomplete("a policy"))
}

/// How a policy names a principal.
enum Naming {
    /// A user or a role of this account.
    Arn(AccountId),
    /// A user or a role.
    Id(EntityKind),
    Other,
}

fn kind_of(name: &str) -> Naming {
    if let Some((account, EntityKind::User | EntityKind::Role, _)) = parse_arn(name) {
        return Naming::Arn(account);
    }
    match EntityKind::of_id(name) {
        Some(kind @ (EntityKind::User | EntityKind::Role)) => Naming::Id(kind),
        _ => Naming::Other,
    }
}

/// The principals that a policy names under `AWS`, as often as it does. `None` of what is no JSON.
fn named(text: &str) -> Option<Vec<String>> {
    let mut names = Vec::new();
    rewritten(text, |name| {
        names.push(name.to_owned());
        None
    })?;
    Some(names)
}

/// The policy with other names for the principals under `AWS`, where there are other names. All else stays as it is, byte for
/// byte. `None` of what is no JSON.
fn rewritten(text: &str, other: impl FnMut(&str) -> Option<String>) -> Option<String> {
    let mut walk = Walk { rest: text, out: String::with_capacity(text.len()), other };
    walk.value(Place::Document, 0)?;
    walk.space();
    walk.rest.is_empty().then_some(walk.out)
}

/// Where in a policy a value stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Document,
    Statement,
    Principals,
    Aws,
    Elsewhere,
}

impl Place {
    /// Of a member's value. In whatever case: a name more that is looked at does no harm.
    fn of_member(self, name: &str) -> Self {
        let is = |wanted: &str| name.eq_ignore_ascii_case(wanted);
        match self {
            Self::Document if is("Statement") => Self::Statement,
            Self::Statement if is("Principal") || is("NotPrincipal") => Self::Principals,
            Self::Principals if is("AWS") => Self::Aws,
            _ => Self::Elsewhere,
        }
    }
}

/// Copies JSON, and looks at what it copies.
struct Walk<'t, F> {
    rest: &'t str,
    out: String,
    other: F,
}

impl<'t, F: FnMut(&str) -> Option<String>> Walk<'t, F> {
    fn value(&mut self, place: Place, depth: usize) -> Option<()> {
        if depth > DEPTH_MAX {
            return None;
        }
        self.space();
        match self.rest.bytes().next()? {
            b'{' => self.items(b'}', |walk| {
                let name = walk.text(false)?;
                walk.space();
                walk.copy(':')?;
                walk.value(place.of_member(&name), depth + 1)
            }),
            b'[' => self.items(b']', |walk| walk.value(place, depth + 1)),
            b'"' => self.text(place == Place::Aws).map(drop),
            _ => {
                let end = self.rest.find([',', '}', ']', ' ', '\t', '\r', '\n']).unwrap_or(self.rest.len());
                let scalar = self.take(end)?;
                serde_json::from_str::<serde::de::IgnoredAny>(scalar).ok().map(drop)
            }
        }
    }

    /// What stands between brackets.
    fn items(&mut self, close: u8, mut item: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.take(1)?;
        self.space();
        if self.rest.as_bytes().first() == Some(&close) {
            return self.take(1).map(drop);
        }
        loop {
            self.space();
            item(self)?;
            self.space();
            match self.take(1)?.bytes().next()? {
                b',' => {}
                end if end == close => return Some(()),
                _ => return None,
            }
        }
    }

    /// A text; one that names a principal may get another name.
    fn text(&mut self, is_principal: bool) -> Option<String> {
        let mut escaped = false;
        let closes = |byte: u8| {
            let ends = byte == b'"' && !escaped;
            escaped = byte == b'\\' && !escaped;
            ends
        };
        let end = self.rest.strip_prefix('"')?.bytes().position(closes)? + 2;
        let name: String = serde_json::from_str(self.rest.get(..end)?).ok()?;
        match is_principal.then(|| (self.other)(&name)).flatten() {
            Some(other) => {
                self.rest = self.rest.get(end..)?;
                self.out.push_str(&serde_json::to_string(&other).ok()?);
            }
            None => drop(self.take(end)?),
        }
        Some(name)
    }

    fn copy(&mut self, wanted: char) -> Option<()> {
        self.rest.starts_with(wanted).then(|| self.take(wanted.len_utf8())).flatten().map(drop)
    }

    fn space(&mut self) {
        let end = self.rest.find(|c: char| !c.is_ascii_whitespace()).unwrap_or(self.rest.len());
        let _ = self.take(end);
    }

    fn take(&mut self, bytes: usize) -> Option<&'t str> {
        let (taken, rest) = self.rest.split_at_checked(bytes)?;
        self.out.push_str(taken);
        self.rest = rest;
        Some(taken)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const POLICY: &str = r#" {"Statement" : [ {"Sid": "arn:aws:iam::111122223333:user/a", "Principal":{"AWS":["arn:aws:iam::111122223333:user/a",
        "arn:aws:iam::111122223333:root", "arn:aws:iam::444455556666:role/r\u0061", "*"], "Service": "x"},
        "Condition": {"StringEquals": {"aws:PrincipalArn": "arn:aws:iam::111122223333:user/a", "n": 1e3, "t": true}}},
        {"NotPrincipal": {"AWS" : "AIDAX"}, "Resource": []}, {"Principal": "*"} ], "Principal": {"AWS": "b"}} "#;

    #[test]
    fn only_principals_are_looked_at() {
        let names = named(POLICY).unwrap();
        let user = "arn:aws:iam::111122223333:user/a";
        assert_eq!(
            names,
            [user, "arn:aws:iam::111122223333:root", "arn:aws:iam::444455556666:role/ra", "*", "AIDAX"]
        );
        assert_eq!(named(r#"{"Statement":{"Principal":{"AWS":"a"}}}"#).unwrap(), ["a"]);
        assert_eq!(rewritten(POLICY, |_| None).as_deref(), Some(POLICY));
    }

    #[test]
    fn only_principals_are_renamed() {
        let out = rewritten(POLICY, |name| (name.ends_with("user/a")).then(|| "ID\"".to_owned())).unwrap();
        assert_eq!(out, POLICY.replacen(r#":["arn:aws:iam::111122223333:user/a""#, r#":["ID\"""#, 1));
    }

    #[test]
    fn whoever_was_not_bound_is_nobody() {
        let out = for_decisions(POLICY).unwrap();
        assert_eq!(named(&out).unwrap(), [NOBODY, "arn:aws:iam::111122223333:root", NOBODY, "*", "AIDAX"]);
    }

    #[test]
    fn what_is_no_json_is_refused() {
        for text in ["", "{", r#"{"a":}"#, r#"{"a" "b"}"#, r#"{"a":1}}"#, r#"{"a":"\"}"#, r#"["a",]"#] {
            assert_eq!(named(text), None, "{text}");
        }
        assert_eq!(named(&("[".repeat(1000) + &"]".repeat(1000))), None);
    }
}
