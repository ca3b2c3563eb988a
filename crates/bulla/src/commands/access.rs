//! `bulla access`: users, their access keys, and what they may do with keys.

mod add;
mod handout;
mod key_policy;
mod list;
mod permissions;
mod remove;
mod root;
mod rotate;
mod users;

use crate::app::{App, FoundKms};
use crate::cli::Access;
use crate::exit::Failure;

/// Does what the command says.
pub(crate) async fn run(app: &mut App, command: &Access) -> Result<(), Failure> {
    match command {
        Access::Add(command) => add::run(app, command).await,
        Access::List => list::run(app).await,
        Access::Remove { user } => remove::run(app, user).await,
        Access::Rotate(command) => rotate::run(app, command).await,
        Access::ResetRoot => root::reset(app).await,
        Access::DisableRoot => root::disable(app).await,
    }
}

/// The service whose users are meant.
async fn service(app: &mut App, at: Option<&str>) -> Result<FoundKms, Failure> {
    let found = app.kms(at).await?;
    crate::keys::require_store(&found)?;
    match &found.remote {
        Some((_, at)) if at.endpoint.is_none() => Err(Failure::usage(format!(
            "{}: bulla access is about the users of a bulla server; those of AWS are managed with `aws iam`",
            found.kms.describe()
        ))),
        _ => Ok(found),
    }
}
