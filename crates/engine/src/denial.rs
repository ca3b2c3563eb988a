//! Denied requests: what the caller is told, and what only the audit log is told.

use crate::fault::Fault;
use bulla_api::{ApiError, ErrorCode};
use bulla_audit::{Parameter, Parameters};
use bulla_policy::Reason;

/// What a request wasn't allowed, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Denial {
    /// What the caller is told: to callers of another account, the same whatever the reason.
    answer: ApiError,
    action: String,
    resource: String,
    /// As AWS's messages say it.
    why: String,
}

impl Denial {
    pub(crate) const fn answer(&self) -> &ApiError {
        &self.answer
    }

    /// What the audit log is told, of a request to another account's key too: enough to ask again why.
    pub(crate) fn describe(&self) -> Parameter {
        let parameters = Parameters::new()
            .text("action", self.action.as_str())
            .text("resource", self.resource.as_str())
            .text("reason", self.why.as_str());
        Parameter::Object(parameters)
    }
}

/// To a caller of another account, or without a key to speak of, all these are one.
const CIPHERTEXT_REFUSED: &str = "The ciphertext refers to a customer master key that does not exist, does not exist in \
                                  this region, or you are not allowed to access.";

/// How much a caller may know of why it is denied.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Tells<'t> {
    /// The resource and the reason: to whoever is of the account that owns it.
    All,
    /// The reason alone, and nothing of the key but that the ciphertext is its: likewise.
    Reason,
    /// What the request says itself. The answer is the same for what isn't there.
    Nothing {
        /// The resource, as the request names it.
        named: &'t str,
    },
    /// The same without a reason, as AWS STS says it of a role.
    NeitherReason {
        /// The resource, as the request names it.
        named: &'t str,
    },
    /// The same, of a ciphertext.
    NothingOfCiphertext,
}

/// What was denied: an action on a resource.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Denied<'d> {
    pub(crate) caller_arn: &'d str,
    pub(crate) action: &'d str,
    pub(crate) resource: &'d str,
}

impl Denied<'_> {
    /// As AWS says it. Source: IAM user guide, "Troubleshoot access denied error messages".
    pub(crate) fn because(self, reason: Reason, tells: Tells<'_>) -> Fault {
        self.with(reason.because(self.action), tells)
    }

    /// Of what isn't there, to a caller who must not know.
    pub(crate) fn absent(self, tells: Tells<'_>) -> Fault {
        self.with("because the resource does not exist".to_owned(), tells)
    }

    /// Of a request that can be understood in two ways.
    pub(crate) fn ambiguous(self, tells: Tells<'_>) -> Fault {
        self.with(
            format!("because the request has condition keys that differ only in case, so that no policy allows the {} action", self.action),
            tells,
        )
    }

    /// Of a key of another account, for what only its own account can do.
    pub(crate) fn across_accounts(self, tells: Tells<'_>) -> Fault {
        self.with("because the operation is not for keys of other accounts".to_owned(), tells)
    }

    fn with(self, why: String, tells: Tells<'_>) -> Fault {
        let Self { caller_arn, action, resource } = self;
        let said = |what: &str, why: &str| {
            format!("User: {caller_arn} is not authorized to perform: {action} on {what} {why}")
        };
        let message = match tells {
            Tells::All => said(&format!("resource: {resource}"), &why),
            Tells::Reason => said("the resource associated with this ciphertext", &why),
            Tells::Nothing { named } => said(
                &format!("resource: {named}"),
                &format!("because no resource-based policy allows the {action} action"),
            ),
            // Who asks is nobody whom the service would name.
            Tells::NeitherReason { .. } if action == "sts:AssumeRoleWithWebIdentity" => {
                format!("Not authorized to perform {action}")
            }
            Tells::NeitherReason { named } => said(&format!("resource: {named}"), "").trim_end().to_owned(),
            Tells::NothingOfCiphertext => CIPHERTEXT_REFUSED.to_owned(),
        };
        Fault::Denied(Box::new(Denial {
            answer: ApiError::new(ErrorCode::AccessDeniedException, message),
            action: action.to_owned(),
            resource: resource.to_owned(),
            why,
        }))
    }
}
