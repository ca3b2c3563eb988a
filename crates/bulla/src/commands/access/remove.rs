//! `bulla access remove`.

use bulla_api as api;
use bulla_api::ErrorCode;
use bulla_api::iam::{
    DeleteAccessKeyInput, DeleteUserInput, DeleteUserPermissionsBoundaryInput, DeleteUserPolicyInput,
    DetachUserPolicyInput, RemoveUserFromGroupInput, User,
};
use serde_json::json;

use super::service;
use super::users::{self, unless_gone};
use crate::app::App;
use crate::exit::Failure;
use crate::kms::caller::Caller;

pub(super) async fn run(app: &mut App, name: &str) -> Result<(), Failure> {
    let found = service(app, None).await?;
    let keys = found.as_caller(async |caller| remove(caller, name).await).await?;
    let event = json!({ "event": "user_removed", "User": name, "AccessKeyIds": keys });
    let told = match keys.as_slice() {
        [] => format!("removed user {name}"),
        keys => format!("removed user {name} with access key {}", keys.join(" and ")),
    };
    app.say.done(&told, &event, false).map_err(|failure| failure.although(&told))
}

/// So often it is looked again for what others have given a user that is being removed.
const ROUNDS_MAX: u32 = 5;

/// The access keys first, so that the user can do nothing any more whatever becomes of the rest. What another takes away at
/// the same time is gone as well, and what another adds is taken away too.
async fn remove(caller: &Caller<'_>, name: &str) -> Result<Vec<String>, Failure> {
    let user = users::must_find(caller, name).await?;
    let mut keys = Vec::new();
    let mut rounds = 1;
    loop {
        strip(caller, &user, &mut keys).await?;
        let input = DeleteUserInput { user_name: user.user_name.clone() };
        match unless_gone(caller.call::<api::DeleteUser>(&input).await) {
            Err(error) if users::is(&error, ErrorCode::DeleteConflict) && rounds < ROUNDS_MAX => rounds += 1,
            removed => return removed.map(|_| keys).map_err(Failure::from),
        }
    }
}

/// Takes away all that belongs to a user. `keys` are the access keys that it had.
async fn strip(caller: &Caller<'_>, user: &User, keys: &mut Vec<String>) -> Result<(), Failure> {
    let name = user.user_name.as_str();
    let user_name = || user.user_name.clone();
    for access_key_id in unless_gone(users::key_ids(caller, name).await)?.unwrap_or_default() {
        let input =
            DeleteAccessKeyInput { user_name: Some(user_name()), access_key_id: access_key_id.clone() };
        unless_gone(caller.call::<api::DeleteAccessKey>(&input).await)?;
        keys.push(access_key_id);
    }
    for group_name in unless_gone(users::groups(caller, name).await)?.unwrap_or_default() {
        let input = RemoveUserFromGroupInput { group_name, user_name: user_name() };
        unless_gone(caller.call::<api::RemoveUserFromGroup>(&input).await)?;
    }
    for policy_arn in unless_gone(users::attached(caller, name).await)?.unwrap_or_default() {
        let input = DetachUserPolicyInput { user_name: user_name(), policy_arn };
        unless_gone(caller.call::<api::DetachUserPolicy>(&input).await)?;
    }
    for policy_name in unless_gone(users::policies(caller, name).await)?.unwrap_or_default() {
        let input = DeleteUserPolicyInput { user_name: user_name(), policy_name };
        unless_gone(caller.call::<api::DeleteUserPolicy>(&input).await)?;
    }
    if user.permissions_boundary.is_some() {
        let input = DeleteUserPermissionsBoundaryInput { user_name: user_name() };
        unless_gone(caller.call::<api::DeleteUserPermissionsBoundary>(&input).await)?;
    }
    Ok(())
}
