//! `bulla access list`.

use std::fmt::Write as _;

use bulla_api::Timestamp;
use serde_json::json;

use super::permissions::Permission;
use super::service;
use super::users::{self, Key, OwnPolicy, Whole};
use crate::app::App;
use crate::exit::{Failure, one_line};

pub(super) async fn run(app: &mut App) -> Result<(), Failure> {
    let found = service(app, None).await?;
    // Told after the store has been let go of: a terminal or a pipe may keep us waiting.
    let users = found
        .as_caller(async |caller| {
            let mut all = Vec::new();
            for user in users::all(caller).await? {
                // One that is being removed is none any more.
                all.extend(users::unless_gone(users::whole(caller, user).await)?);
            }
            Ok(all)
        })
        .await?;
    for user in users {
        app.say.result(&told(&user), &as_json(&user))?;
    }
    Ok(())
}

fn permissions(user: &Whole) -> Vec<Permission> {
    match &user.own {
        OwnPolicy::Ours(document, _) => document.permissions(),
        OwnPolicy::None | OwnPolicy::Another => Vec::new(),
    }
}

fn told(user: &Whole) -> String {
    let mut out = one_line(&user.user.user_name);
    // Writing to a string doesn't fail.
    for key in &user.keys {
        let _ = write!(
            out,
            "\n  access key {}  {}  {}",
            key.metadata.access_key_id,
            key.metadata.status,
            used(key)
        );
    }
    if user.keys.is_empty() {
        out.push_str("\n  no access key");
    }
    let permissions = permissions(user);
    for permission in &permissions {
        let _ = write!(out, "\n  may {}", one_line(&permission.told()));
    }
    for (kind, names) in
        [("policy", &user.policies), ("managed policy", &user.attached), ("member of group", &user.groups)]
    {
        for name in names {
            let _ = write!(out, "\n  {kind} {}", one_line(name));
        }
    }
    if permissions.is_empty()
        && user.policies.is_empty()
        && user.attached.is_empty()
        && user.groups.is_empty()
    {
        out.push_str("\n  no policy of its own; key policies and grants may still allow it");
    }
    if let Some(boundary) = boundary(user) {
        let _ = write!(out, "\n  within permissions boundary {}", one_line(boundary));
    }
    if !user.knows_boundary {
        out.push_str("\n  whether within a permissions boundary is not known: iam:GetUser is denied");
    }
    out
}

fn boundary(user: &Whole) -> Option<&str> {
    user.user.permissions_boundary.as_ref().map(|boundary| boundary.permissions_boundary_arn.as_str())
}

fn used(key: &Key) -> String {
    match &key.used {
        Some((at, service)) => format!("last used {} for {}", date(*at), one_line(service)),
        None => "never used".to_owned(),
    }
}

fn as_json(user: &Whole) -> serde_json::Value {
    let keys: Vec<_> = user
        .keys
        .iter()
        .map(|key| {
            json!({
                "AccessKeyId": key.metadata.access_key_id,
                "Status": key.metadata.status.as_str(),
                "CreateDate": date(key.metadata.create_date),
                "LastUsedDate": key.used.as_ref().map(|(at, _)| date(*at)),
                "LastUsedService": key.used.as_ref().map(|(_, service)| service),
            })
        })
        .collect();
    json!({
        "UserName": user.user.user_name,
        "Arn": user.user.arn,
        "CreateDate": date(user.user.create_date),
        "AccessKeys": keys,
        "Permissions": permissions(user).iter().map(Permission::as_json).collect::<Vec<_>>(),
        "Policies": user.policies,
        "AttachedPolicies": user.attached,
        "Groups": user.groups,
        "PermissionsBoundary": boundary(user),
        "PermissionsBoundaryKnown": user.knows_boundary,
    })
}

pub(super) fn date(at: Timestamp) -> String {
    jiff::Timestamp::from_millisecond(at.millis()).map(|at| at.to_string()).unwrap_or_default()
}
