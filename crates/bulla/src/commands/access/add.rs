//! `bulla access add`: a user, an access key, and the narrowest policy.

use bulla_api as api;
use bulla_api::ErrorCode;
use bulla_api::iam::{ABSENT_POLICY, AccessKey, CreateAccessKeyInput, CreateUserInput, PutUserPolicyInput};
use serde_json::json;

use super::handout::{Prepared, user_name};
use super::key_policy::{self, Lets};
use super::permissions::{Document, POLICY_NAME, Permission};
use super::service;
use super::users::{self, Key, OwnPolicy};
use crate::app::{App, FoundKms};
use crate::cli::{AddAccess, Can};
use crate::exit::{Exit, Failure};
use crate::kms::caller::Caller;
use crate::kms::choice::split_at;
use crate::page::Page;

/// So often a plan is made anew that others have overtaken.
const PLANS_MAX: u32 = 20;

/// What is going to be.
struct Plan {
    user: String,
    account: String,
    /// Of a user that is there.
    user_id: Option<String>,
    user_arn: String,
    is_new_user: bool,
    /// Its access keys.
    keys: Vec<Key>,
    permissions: Vec<Permission>,
    /// The policy as it is written now, if there is one.
    before: Option<String>,
    /// The policy as it will be.
    document: Document,
    /// Whether that is more than it is.
    changes: bool,
    lets: Vec<(String, Lets)>,
}

pub(super) async fn run(app: &mut App, command: &AddAccess) -> Result<(), Failure> {
    let user = user_name(&command.user)?;
    let context = crate::keys::context(&command.context)?;
    let mut can = command.can.clone();
    can.sort();
    can.dedup();
    if !context.is_empty() && can.contains(&Can::Admin) {
        return Err(Failure::usage(
            "-c limits what is encrypted and decrypted, and managing a key has no encryption context; give --can admin in a \
             command of its own",
        ));
    }
    let found = one_service(app, &command.key).await?;
    let arns = arns(&found, &command.key).await?;
    let permissions: Vec<_> =
        arns.iter().flat_map(|arn| can.iter().map(|can| Permission::new(*can, arn, &context))).collect();
    for _ in 0..PLANS_MAX {
        let mut plan =
            found.as_caller(async |caller| Plan::of(caller, user, permissions.clone()).await).await?;
        plan.lets = key_policy::of_keys(&found, &plan.question()).await?;
        if command.dry_run {
            return tell(app, &plan, true, false);
        }
        let prepared = prepare(app, &found, command, &plan)?;
        tell(app, &plan, false, prepared.as_ref().is_some_and(Prepared::is_stdout))?;
        match found.as_caller(async |caller| plan.carry_out(caller).await).await? {
            Outcome::Done(key) => return hand_out(app, &found, &plan, prepared.zip(key)).await,
            Outcome::Overtaken => app.say.note(&format!(
                "bulla: user {user} was changed by another command meanwhile; what it may do is added to what that one gave it"
            )),
        }
    }
    Err(Failure::new(
        Exit::Failed,
        format!(
            "user `{user}` is being changed by others all the time, and was left to them; run this again when they are done"
        ),
    ))
}

/// A place for the access key, if one is going to be made.
fn prepare(
    app: &App,
    found: &FoundKms,
    command: &AddAccess,
    plan: &Plan,
) -> Result<Option<Prepared>, Failure> {
    let user = plan.user.as_str();
    if plan.needs_key() {
        return Prepared::of(app, found, &command.handout, user).map(Some);
    }
    if command.handout.output.is_some() {
        return Err(Failure::usage(format!(
            "user `{user}` has an access key already, which can't be shown again; leave out -o to give it more \
             permissions, or give it a new access key with bulla access rotate"
        )));
    }
    Ok(None)
}

/// Gives the access key that was made, and says what was done.
async fn hand_out(
    app: &App,
    found: &FoundKms,
    plan: &Plan,
    made: Option<(Prepared, AccessKey)>,
) -> Result<(), Failure> {
    let user = plan.user.as_str();
    let Some((prepared, key)) = made else {
        if let [only] = plan.keys.as_slice()
            && only.used.is_none()
        {
            app.say.note(&format!(
                "bulla: user {user} has access key {}, which was never used; if it reached nobody, make another with bulla access \
                 rotate {user}",
                only.metadata.access_key_id
            ));
        }
        let done = if plan.changes { "may do that now" } else { "could do that before" };
        let event = json!({ "event": "access_given", "User": user, "Changed": plan.changes });
        return app.say.done(&format!("user {user} {done}"), &event, true);
    };
    let (shown, usage, needs) = (prepared.shown(), prepared.usage(), prepared.needs());
    prepared.give(found, &key).await?;
    app.say.note(&format!("bulla: the access key of user {user} is in {shown}, this once: {usage}"));
    if let Some(needs) = needs {
        app.say.note(&format!("bulla: {needs}"));
    }
    Ok(())
}

/// The server at which all keys are.
async fn one_service(app: &mut App, keys: &[String]) -> Result<FoundKms, Failure> {
    let mut places = keys.iter().map(|key| split_at(key).1);
    let at = places.next().flatten();
    if places.any(|other| other != at) {
        return Err(Failure::usage("the keys are of several KMS; give one command for each"));
    }
    service(app, at).await
}

/// The keys' ARNs. What another account has can be named by its ARN alone, and isn't looked up.
async fn arns(found: &FoundKms, keys: &[String]) -> Result<Vec<String>, Failure> {
    let identity = found.kms.get_caller_identity(api::GetCallerIdentityInput::default()).await?;
    let mut arns = Vec::new();
    for text in keys {
        let (key, _) = split_at(text);
        let arn = match key.parse() {
            Ok(api::KeyRef::Arn(arn)) if arn.account.to_string() != identity.account => key.to_owned(),
            Ok(_) => {
                let input = api::DescribeKeyInput { key_id: key.to_owned(), ..Default::default() };
                found.kms.describe_key(input).await?.key_metadata.arn
            }
            Err(_) => {
                return Err(Failure::usage(format!(
                    "`{key}` names no key; use a key id, a key ARN, alias/NAME or an alias ARN"
                )));
            }
        };
        if !arns.contains(&arn) {
            arns.push(arn);
        }
    }
    Ok(arns)
}

impl Plan {
    async fn of(caller: &Caller<'_>, user: &str, permissions: Vec<Permission>) -> Result<Self, Failure> {
        let account =
            caller.call::<api::GetCallerIdentity>(&api::GetCallerIdentityInput::default()).await?.account;
        let known = users::find(caller, user).await?;
        let (mut document, mut before, mut keys) = (Document::default(), None, Vec::new());
        if known.is_some() {
            (document, before) = match users::own_policy(caller, user).await? {
                OwnPolicy::Ours(document, text) => (document, Some(text)),
                OwnPolicy::None => (document, None),
                OwnPolicy::Another => {
                    return Err(Failure::new(
                        Exit::Failed,
                        format!(
                            "the policy {POLICY_NAME} of user `{user}` was changed by another hand, and is left to it; change it \
                             there, or delete it with `aws iam delete-user-policy`"
                        ),
                    ));
                }
            };
            keys = users::keys(caller, user).await?;
        }
        let mut changes = false;
        for permission in &permissions {
            changes |= document.allow(permission);
        }
        Ok(Self {
            user: user.to_owned(),
            user_arn: match &known {
                Some(known) => known.arn.clone(),
                None => format!("arn:{}:iam::{account}:user/{user}", api::PARTITION),
            },
            account,
            is_new_user: known.is_none(),
            user_id: known.map(|known| known.user_id),
            keys,
            permissions,
            before,
            document,
            changes,
            lets: Vec::new(),
        })
    }

    fn question(&self) -> key_policy::Question<'_> {
        key_policy::Question {
            account: &self.account,
            user_arn: &self.user_arn,
            user_id: self.user_id.as_deref(),
            document: &self.document,
            permissions: &self.permissions,
        }
    }

    /// Whether it gets an access key.
    fn needs_key(&self) -> bool {
        self.keys.is_empty()
    }

    /// Makes it so: user, policy, access key, so that wherever it stops, nobody has more than was asked for, and the same
    /// command goes on from there. Whoever else changes the policy meanwhile is not overwritten.
    async fn carry_out(&self, caller: &Caller<'_>) -> Result<Outcome, Failure> {
        let user_name = self.user.clone();
        if self.is_new_user {
            let input = CreateUserInput { user_name: user_name.clone(), ..Default::default() };
            match caller.call::<api::CreateUser>(&input).await {
                Err(error) if users::is(&error, ErrorCode::EntityAlreadyExists) => {
                    return Ok(Outcome::Overtaken);
                }
                made => made?,
            };
        }
        let rest = self.carry_out_rest(caller, user_name).await;
        rest.map_err(|failure| match self.is_new_user {
            true => failure.although(&format!("user {} was made; run this again for the rest", self.user)),
            false => failure,
        })
    }

    async fn carry_out_rest(&self, caller: &Caller<'_>, user_name: String) -> Result<Outcome, Failure> {
        if self.changes {
            let input = PutUserPolicyInput {
                user_name: user_name.clone(),
                policy_name: POLICY_NAME.to_owned(),
                policy_document: self.document.text(),
                if_policy_document: Some(self.before.clone().unwrap_or_else(|| ABSENT_POLICY.to_owned())),
            };
            match caller.call::<api::PutUserPolicy>(&input).await {
                // Another policy, or no user any more.
                Err(error)
                    if users::is(&error, ErrorCode::ConcurrentModification)
                        || users::is(&error, ErrorCode::NoSuchEntity) =>
                {
                    return Ok(Outcome::Overtaken);
                }
                put => put?,
            };
        }
        if !self.needs_key() {
            return Ok(Outcome::Done(None));
        }
        let input = CreateAccessKeyInput { user_name: Some(user_name) };
        match caller.call::<api::CreateAccessKey>(&input).await {
            Err(error) if users::is(&error, ErrorCode::NoSuchEntity) => Ok(Outcome::Overtaken),
            made => Ok(Outcome::Done(Some(made?.access_key))),
        }
    }
}

/// What became of a plan.
enum Outcome {
    /// It is so; with the access key that was made.
    Done(Option<AccessKey>),
    /// Something is otherwise than it was when the plan was made, which has to be made anew.
    Overtaken,
}

/// Says what the user will be able to do, and every statement that says so.
fn tell(app: &App, plan: &Plan, dry_run: bool, beside_key: bool) -> Result<(), Failure> {
    let kind = if plan.is_new_user { "new user" } else { "user" };
    let page = Page::new();
    let mut text = format!("{kind} {} of account {} may\n", plan.user, plan.account);
    for permission in &plan.permissions {
        page.hanging(&mut text, "  ", &permission.told());
    }
    text.push_str(&format!("\nby its policy {POLICY_NAME}\n{}\n", plan.document.shown()));
    for (arn, lets) in &plan.lets {
        lets.tell(&page, &mut text, arn);
    }
    if plan.permissions.iter().any(|permission| permission.can == Can::Admin) {
        text.push('\n');
        let text = &mut text;
        page.hanging(
            text,
            "",
            "whoever manages a key can change its policy and make grants, and so give itself and others more",
        );
    }
    let json = json!({
        "User": plan.user,
        "UserArn": plan.user_arn,
        "IsNew": plan.is_new_user,
        "Permissions": plan.permissions.iter().map(Permission::as_json).collect::<Vec<_>>(),
        "PolicyName": POLICY_NAME,
        "Policy": plan.document,
        "KeyPolicies": plan.lets.iter().map(|(arn, lets)| lets.as_json(arn)).collect::<Vec<_>>(),
    });
    if !beside_key {
        // What is only asked for is always told.
        return if app.say.quiet && !dry_run { Ok(()) } else { app.say.result(text.trim_end(), &json) };
    }
    // Standard output is the access key's.
    if app.say.quiet {
        return Ok(());
    }
    if app.say.json {
        crate::say::error_event(&json);
    } else {
        text.trim_end().lines().for_each(crate::say::error_line);
    }
    Ok(())
}
