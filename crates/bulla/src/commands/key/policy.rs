//! `bulla key policy`.

use std::path::Path;

use bulla_api as api;
use bulla_api::Effect;
use bulla_engine::Via;

use super::{done, named};
use crate::app::{App, shown};
use crate::cli::KeyPolicy;
use crate::exit::Failure;
use crate::kms::choice::split_at;
use crate::kms::socket::AdminRequest;

/// The longest policy that the API's model allows; a KMS has its own, shorter, limit.
const POLICY_BYTES_MAX: usize = 128 << 10;

pub(super) async fn run(app: &mut App, command: &KeyPolicy) -> Result<(), Failure> {
    match command {
        KeyPolicy::Get { target } => {
            let (found, arn) = named(app, target).await?;
            let input = api::GetKeyPolicyInput { key_id: arn.clone(), policy_name: None };
            let policy = found.kms.get_key_policy(input).await?.policy;
            // JSON has no use for control characters but white space: no others reach a terminal.
            let text = policy.replace(|c: char| c.is_control() && !c.is_ascii_whitespace(), " ");
            app.say.result(text.trim_end(), &serde_json::json!({ "KeyId": arn, "Policy": policy }))
        }
        KeyPolicy::Put { target, file, bypass_lockout_check } => {
            let policy = read(file)?;
            let (found, arn) = named(app, target).await?;
            let input = api::PutKeyPolicyInput {
                key_id: arn.clone(),
                policy_name: None,
                policy,
                bypass_policy_lockout_safety_check: bypass_lockout_check.then_some(true),
            };
            found.kms.put_key_policy(input).await?;
            done(app, "policy_replaced", "replaced the policy of", &arn)
        }
        KeyPolicy::Reset { target } => reset(app, target).await,
    }
}

/// Not an operation of the API, and asked of no policy.
async fn reset(app: &App, target: &str) -> Result<(), Failure> {
    let (key, at) = split_at(target);
    if at.is_some_and(|at| at != "embedded") {
        return Err(Failure::usage(format!(
            "{target}: a key policy is reset on the host of its store, with --data-dir; leave out what follows the @"
        )));
    }
    let local = app.local()?;
    let (account, region) = (local.place().account, local.place().region.clone());
    let request = AdminRequest {
        name: "ResetKeyPolicy",
        effect: Effect::Changes,
        input: serde_json::json!({ "KeyId": key }),
    };
    let arn = local
        .administer(
            request,
            async |engine| {
                let caller = engine.local_caller(account, region, Via::Embedded).await?;
                engine.reset_key_policy(&caller, key).await
            },
            |answer| Some(answer.get("KeyId")?.as_str()?.to_owned()),
        )
        .await?;
    done(app, "policy_reset", "reset the policy of", &arn)
}

/// A policy's text; `-` is standard input. Whether it is a policy, the KMS says.
pub(super) fn read(path: &Path) -> Result<String, Failure> {
    let name = shown(path, "standard input");
    let bytes = crate::small_file::read(path, POLICY_BYTES_MAX)
        .map_err(|error| Failure::io("cannot read policy", &name, &error))?;
    let text = std::str::from_utf8(bytes.expose())
        .map_err(|_| Failure::usage(format!("policy `{name}`: not UTF-8 text")))?;
    Ok(text.to_owned())
}
