//! Which actions there are, for whoever misspelt one: a policy with it is one that AWS takes, and it does nothing.

use bulla_api::{Service, TABLE, model};

/// Actions without an operation of their name that this version has. Source: service authorization reference.
const OTHERS: [&str; 4] =
    ["iam:PassRole", "kms:SynchronizeMultiRegionKey", "sts:GetServiceBearerToken", "sts:SetContext"];

/// Longest action that another is suggested for.
const SUGGESTED_FOR_MAX: usize = 64;

/// What is to be said of an action in a policy; nothing of one that there is, or of a service that isn't here.
pub(crate) fn remark(written: &str, fits: impl Fn(&str) -> bool) -> Option<String> {
    let (vendor, name) = written.split_once(':')?;
    let service = Service::ALL.iter().find(|service| service.scope_name().eq_ignore_ascii_case(vendor))?;
    if written.contains(['*', '?']) {
        let fits_none = !known().any(fits);
        return fits_none.then(|| format!("`{written}` fits no action of this service"));
    }
    let is_known = known().any(|known| known.eq_ignore_ascii_case(written));
    if is_known || is_operation(*service, name) {
        return None;
    }
    Some(match nearest(written) {
        Some(meant) => format!("`{written}` is no action; did you mean `{meant}`?"),
        None => format!("`{written}` is no action"),
    })
}

/// What is wrong with an action that is asked about; nothing of one that there is, or of a service that isn't here. Nothing
/// allows what there isn't, and nobody should be told what would.
#[must_use]
pub fn misnamed(action: &str) -> Option<String> {
    if action.contains(['*', '?']) {
        return Some(format!("`{action}` is no action but a pattern of them"));
    }
    remark(action, |_| false)
}

/// Whether AWS has an operation of this name, for which the action of the same name is asked as far as is known here.
fn is_operation(service: Service, name: &str) -> bool {
    let demands_others =
        TABLE.iter().any(|row| row.service == service && row.name == name && !row.demands.is_empty());
    model::operation(service, name).is_some() && !demands_others
}

fn known() -> impl Iterator<Item = &'static str> {
    let demanded = TABLE.iter().flat_map(|row| row.demands.iter().map(|demand| demand.action));
    demanded.chain(OTHERS)
}

/// The action that differs least, if it differs little.
fn nearest(written: &str) -> Option<&'static str> {
    if written.len() > SUGGESTED_FOR_MAX {
        return None;
    }
    let written = written.to_ascii_lowercase();
    let apart = |known: &&'static str| distance(&written, &known.to_ascii_lowercase());
    // Of two as near, the one whose end was left out.
    let begun = |known: &str| known.to_ascii_lowercase().starts_with(&written);
    let nearest = known().min_by_key(|known| (apart(known), !begun(known)))?;
    (apart(&nearest) <= 2 + written.len() / 10).then_some(nearest)
}

/// How many letters have to be put in, left out or changed.
fn distance(one: &str, other: &str) -> usize {
    let mut before: Vec<usize> = (0..=other.len()).collect();
    for (index, byte) in one.bytes().enumerate() {
        let mut now = vec![index + 1];
        for (at, (with, both)) in other.bytes().zip(before.windows(2)).enumerate() {
            let [left_up, up] = both else { continue };
            let left = now.get(at).copied().unwrap_or_default();
            now.push((left_up + usize::from(byte != with)).min(up + 1).min(left + 1));
        }
        before = now;
    }
    before.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::pattern::{Letters, Pattern, Syntax};

    fn said(written: &str) -> Option<String> {
        let syntax = Syntax { wildcards: true, variables: false };
        let pattern = Pattern::new(written, syntax, Letters::EitherCase);
        remark(written, |action| pattern.matches(action, &crate::NoContext))
    }

    #[test]
    fn misspelt_actions_are_told_with_what_was_meant() {
        for (written, meant) in [
            ("kms:Decrpt", "kms:Decrypt"),
            ("kms:GenerateDatakeys", "kms:GenerateDataKey"),
            ("KMS:encript", "kms:Encrypt"),
            ("kms:ReEncrypt", "kms:ReEncryptTo"),
            ("iam:CreateUsers", "iam:CreateUser"),
            ("sts:AsumeRole", "sts:AssumeRole"),
        ] {
            assert_eq!(said(written).unwrap(), format!("`{written}` is no action; did you mean `{meant}`?"));
        }
        assert_eq!(said("kms:SomethingElse").unwrap(), "`kms:SomethingElse` is no action");
        assert_eq!(said("kms:Decrpt*").unwrap(), "`kms:Decrpt*` fits no action of this service");
    }

    #[test]
    fn what_is_asked_about_is_one_action() {
        assert_eq!(misnamed("kms:Decrpt"), said("kms:Decrpt"));
        assert_eq!(misnamed("kms:*").unwrap(), "`kms:*` is no action but a pattern of them");
        assert_eq!((misnamed("kms:decrypt"), misnamed("s3:GetObjekt")), (None, None));
    }

    #[test]
    fn nothing_is_said_of_actions_that_there_are_or_may_be() {
        for written in [
            "*",
            "kms:*",
            "kms:Decrypt",
            "KMS:DECRYPT",
            "kms:ReEncrypt*",
            "kms:?ecrypt",
            "iam:PassRole",
            "s3:GetObjekt",
            // Of AWS, and not in this version.
            "iam:CreateSAMLProvider",
        ] {
            assert_eq!(said(written), None, "{written}");
        }
    }
}
