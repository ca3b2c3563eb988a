//! `bulla access remove`.

use bulla_api as api;
use bulla_api::iam::{
    DeleteAccessKeyInput, DeleteUserInput, DeleteUserPermissionsBoundaryInput, DeleteUserPolicyInput,
    DetachUserPolicyInput, RemoveUserFromGroupInput,
};
use serde_json::json;

use super::{service, users};
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

/// The access keys first, so that the user can do nothing any more whatever becomes of the rest.
async fn remove(caller: &Caller<'_>, name: &str) -> Result<Vec<String>, Failure> {
    let user = users::must_find(caller, name).await?;
    let user_name = || user.user_name.clone();
    let mut keys = Vec::new();
    for key in users::keys(caller, name).await? {
        let access_key_id = key.metadata.access_key_id;
        let input =
            DeleteAccessKeyInput { user_name: Some(user_name()), access_key_id: access_key_id.clone() };
        caller.call::<api::DeleteAccessKey>(&input).await?;
        keys.push(access_key_id);
    }
    for group_name in users::groups(caller, name).await? {
        let input = RemoveUserFromGroupInput { group_name, user_name: user_name() };
        caller.call::<api::RemoveUserFromGroup>(&input).await?;
    }
    for policy_arn in users::attached(caller, name).await? {
        let input = DetachUserPolicyInput { user_name: user_name(), policy_arn };
        caller.call::<api::DetachUserPolicy>(&input).await?;
    }
    for policy_name in users::policies(caller, name).await? {
        let input = DeleteUserPolicyInput { user_name: user_name(), policy_name };
        caller.call::<api::DeleteUserPolicy>(&input).await?;
    }
    if user.permissions_boundary.is_some() {
        let input = DeleteUserPermissionsBoundaryInput { user_name: user_name() };
        caller.call::<api::DeleteUserPermissionsBoundary>(&input).await?;
    }
    caller.call::<api::DeleteUser>(&DeleteUserInput { user_name: user_name() }).await?;
    Ok(keys)
}
