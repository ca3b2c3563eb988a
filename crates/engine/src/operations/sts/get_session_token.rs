//! GetSessionToken: temporary credentials of the caller itself. It demands nothing: they can do no more than the lasting ones.

use super::{Executes, credentials, give, lasting, refuse_mfa, refuse_token_size, told_credentials};
use crate::authorize::{Authorized, Names};
use crate::core::Core;
use crate::fault::Fault;
use crate::pipeline::Executed;
use crate::principal::{Principal, PrincipalKind, Session};
use crate::session_token::Holder;
use bulla_api::sts::{GetSessionTokenInput, GetSessionTokenOutput};
use bulla_api::{ErrorCode, GetSessionToken};
use bulla_audit::Parameters;
use std::sync::Arc;

/// How long a user's lasts that says nothing of it. Seconds.
const USER_SECONDS: u32 = 43_200;

/// How long a root's lasts at most. Seconds.
const ROOT_SECONDS_MAX: u32 = 3600;

impl Executes for GetSessionToken {
    fn check(input: &GetSessionTokenInput) -> Result<(), Fault> {
        refuse_token_size(input.minimum_session_token_size)?;
        refuse_mfa(input.serial_number.as_ref(), input.token_code.as_ref())
    }

    fn names(_input: &GetSessionTokenInput) -> Names<'_> {
        Names::default()
    }

    fn describe(input: &GetSessionTokenInput) -> Parameters {
        Parameters::new().maybe_number("durationSeconds", input.duration_seconds)
    }

    async fn execute(core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
        let principal = request.caller().principal();
        let asked = request.input().duration_seconds.unwrap_or(USER_SECONDS);
        let seconds = match principal.kind() {
            PrincipalKind::Root => asked.min(ROOT_SECONDS_MAX),
            PrincipalKind::User | PrincipalKind::AssumedRole | PrincipalKind::WebIdentity => asked,
        };
        let root_access_key_id = match principal.kind() {
            PrincipalKind::Root => Some(root_access_key(core, principal).await?),
            PrincipalKind::User | PrincipalKind::AssumedRole | PrincipalKind::WebIdentity => None,
        };
        let session = Session { root_access_key_id, ..lasting(core, seconds) };
        let holder = Holder { account: principal.account(), identity: principal.named_id() };
        let temporary = give(core, holder, &session)?;
        let told = Parameters::new().with("credentials", told_credentials(&temporary, &session));
        let output = GetSessionTokenOutput {
            credentials: credentials(&temporary, &session)?,
            ..GetSessionTokenOutput::default()
        };
        Ok(request.done(output).telling(told))
    }
}

/// The access key with which a session of a root ends: that of the caller; of callers of this host, who need none, the
/// account's.
async fn root_access_key(core: &Core, root: &Principal) -> Result<String, Fault> {
    if let Some(id) = root.access_key_id() {
        return Ok(id.to_owned());
    }
    core.root_key_in_use(root.account()).await?.ok_or_else(|| {
        Fault::answer(ErrorCode::AccessDeniedException, "The access key of the account's root is not in use.")
    })
}
