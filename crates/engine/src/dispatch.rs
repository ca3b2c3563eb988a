//! From a request's target to its operation, and from an outcome to its answer.

use crate::authenticate::{AuthFailure, Authenticated, Via};
use crate::core::Core;
use crate::fault::Fault;
use crate::operations::Executes;
use crate::parse::Parsed;
use crate::pipeline::Recorded;
use crate::principal::PrincipalKind;
use crate::query;
use crate::request::{Answer, Protocol, RequestMeta};
use crate::trail::{Event, Trail};
use bulla_api::wire::Form;
use bulla_api::{ApiError, ErrorCode, Row, Service, WipedBuffer, for_each_operation, model, row, wire};
use std::pin::Pin;
use std::sync::Arc;

/// What `X-Amz-Target` begins with in this program's own calls.
const ADMIN_TARGET: &str = "BullaAdmin.";
/// The operation whose callers come with a token of their own.
const WEB_IDENTITY: &str = "AssumeRoleWithWebIdentity";

type OutcomeFuture<'a> = Pin<Box<dyn Future<Output = Recorded<WipedBuffer>> + Send + 'a>>;

/// What a request asks for.
enum Route<'t> {
    Operation(&'static Row),
    Admin(&'t str),
    /// AWS has it, this version doesn't.
    Unsupported {
        service: Service,
        name: &'t str,
    },
    Unknown {
        service: Service,
        name: &'t str,
    },
}

impl Core {
    pub(crate) async fn dispatch(
        self: &Arc<Self>,
        caller: Result<Authenticated, AuthFailure>,
        meta: RequestMeta,
        target: &str,
        body: &mut [u8],
    ) -> Answer {
        let service = match &caller {
            Ok(caller) => caller.service(),
            Err(_) => None,
        };
        let asked = query::Asked::by(if target.is_empty() { body } else { &[] }, service);
        let (queried, action) = (asked.service, asked.action.map(str::to_owned));
        let by_query = target.is_empty() && (action.is_some() || service.is_some_and(speaks_query));
        let protocol = if by_query { Protocol::Query } else { Protocol::Json };
        let route = match &action {
            Some(action) => known_or_not(queried, action),
            None => route(target),
        };
        let (operation, event) = match route {
            Route::Operation(row) => (Some(row), Event::Operation(row)),
            Route::Admin(name) => (None, Event::Admin { name, changes: crate::admin::changes(name) }),
            Route::Unsupported { service, name } | Route::Unknown { service, name } => {
                (None, Event::Unknown { service, name })
            }
        };
        let mut form = None;
        let caller = match (caller, operation) {
            (caller, Some(row)) if by_query && row.name == WEB_IDENTITY && may_be_anybody(&caller) => {
                match query::form(body, queried) {
                    Ok(read) => {
                        let caller = self.web_caller(&read).await;
                        form = Some(read);
                        caller
                    }
                    Err(fault) => Err(AuthFailure::of(fault)),
                }
            }
            (caller, _) => caller,
        };
        let outcome = match caller {
            Err(failure) => {
                let trail = Trail::unauthenticated(&meta, &failure, event);
                let refused = trail.record_refusal(self, failure.fault).await;
                refused.map(|()| WipedBuffer::new())
            }
            Ok(caller) => {
                let trail = Trail::new(&meta, &caller, event);
                let form = match form {
                    None if by_query => query::form(body, queried).map(Some),
                    form => Ok(form),
                };
                match form.and_then(|form| self.admissible(&caller, &route).map(|()| form)) {
                    Err(fault) => trail.record(self, Err(fault)).await,
                    Ok(form) => match (route, form) {
                        (Route::Admin(name), _) => self.admin(caller, trail, name, body).await,
                        (Route::Operation(row), None) => self.run_json(row, caller, trail, body).await,
                        (Route::Operation(row), Some(form)) => self.run_query(row, caller, trail, form).await,
                        (Route::Unsupported { .. } | Route::Unknown { .. }, _) => {
                            let fault = Fault::bug("what is not there was admitted");
                            trail.record(self, Err(fault)).await
                        }
                    },
                }
            }
        };
        answer(outcome, protocol, queried, &meta, operation)
    }

    /// Whether there is such a thing, and the caller came the right way for it.
    fn admissible(&self, caller: &Authenticated, route: &Route<'_>) -> Result<(), Fault> {
        match route {
            Route::Operation(row) => match caller.service() {
                Some(signed) if signed != row.service => Err(Fault::answer(
                    ErrorCode::InvalidSignatureException,
                    format!(
                        "Credential should be scoped to correct service: '{}'.",
                        row.service.scope_name()
                    ),
                )),
                _ => within_session(caller, row),
            },
            Route::Admin(_) if caller.via() != Via::Network => Ok(()),
            Route::Admin(_) => Err(Fault::answer(ErrorCode::UnknownOperationException, "")),
            Route::Unsupported { name, .. } => Err(Fault::answer(
                ErrorCode::UnsupportedOperationException,
                format!("{name} is not supported by this version of the service."),
            )),
            Route::Unknown { .. } => Err(Fault::answer(ErrorCode::UnknownOperationException, "")),
        }
    }

    fn run_json<'a>(
        self: &'a Arc<Self>,
        row: &'static Row,
        caller: Authenticated,
        trail: Trail<'a>,
        body: &'a mut [u8],
    ) -> OutcomeFuture<'a> {
        macro_rules! by_name {
            ($($name:ident, $method:ident, $input:ident, $output:ident;)*) => {
                match row.name {
                    $(stringify!($name) => Box::pin(self.json::<bulla_api::$name>(caller, trail, body)),)*
                    _ => self.without_operation(trail),
                }
            };
        }
        for_each_operation!(by_name)
    }

    fn run_query<'a>(
        self: &'a Arc<Self>,
        row: &'static Row,
        caller: Authenticated,
        trail: Trail<'a>,
        form: Form,
    ) -> OutcomeFuture<'a> {
        macro_rules! by_name {
            ($($name:ident, $method:ident, $input:ident, $output:ident;)*) => {
                match row.name {
                    $(stringify!($name) => Box::pin(self.xml::<bulla_api::$name>(caller, trail, form)),)*
                    _ => self.without_operation(trail),
                }
            };
        }
        for_each_operation!(by_name)
    }

    fn without_operation<'a>(self: &'a Arc<Self>, trail: Trail<'a>) -> OutcomeFuture<'a> {
        let fault = Fault::bug("a row of the table has no operation");
        Box::pin(async move { trail.record(self, Err(fault)).await })
    }

    async fn json<O: Executes>(
        self: &Arc<Self>,
        caller: Authenticated,
        trail: Trail<'_>,
        body: &mut [u8],
    ) -> Recorded<WipedBuffer> {
        let parsed = Parsed::<O>::from_json(self, caller, body);
        self.run_parsed(parsed, trail).await.map(|output| wire::encode_output::<O>(&output))
    }

    async fn xml<O: Executes>(
        self: &Arc<Self>,
        caller: Authenticated,
        trail: Trail<'_>,
        form: Form,
    ) -> Recorded<WipedBuffer> {
        let request_id = trail.request_id().text();
        let parsed = Parsed::<O>::from_form(self, caller, form);
        let outcome = self.run_parsed(parsed, trail).await;
        outcome.and_then(|output| Ok(wire::encode_output_xml::<O>(&output, &request_id)?))
    }
}

/// What credentials of GetSessionToken may not do, and no session: ask for such credentials. Source: AWS STS API reference,
/// GetSessionToken.
fn within_session(caller: &Authenticated, row: &Row) -> Result<(), Fault> {
    let principal = caller.principal();
    if principal.session().is_none() {
        return Ok(());
    }
    let of_get_session_token = principal.kind() != PrincipalKind::AssumedRole;
    match (row.service, row.name) {
        (Service::Sts, "GetCallerIdentity" | "AssumeRole") => Ok(()),
        (Service::Sts, name) if of_get_session_token || name == "GetSessionToken" => Err(Fault::answer(
            ErrorCode::AccessDeniedException,
            format!("Cannot call {name} with session credentials"),
        )),
        // Without a second factor they are not taken, as at AWS.
        (Service::Iam, _) if of_get_session_token => Err(Fault::answer(
            ErrorCode::UnrecognizedClientException,
            "The security token included in the request is invalid.",
        )),
        _ => Ok(()),
    }
}

/// Whether a request need not say by a signature who calls: one that has none, or has it to no purpose.
fn may_be_anybody(caller: &Result<Authenticated, AuthFailure>) -> bool {
    match caller {
        Ok(caller) => caller.via() == Via::Network,
        Err(failure) => failure.is_unsigned(),
    }
}

fn speaks_query(service: Service) -> bool {
    service != Service::Kms
}

fn route(target: &str) -> Route<'_> {
    let of_service = |service: &Service| Some((*service, target.strip_prefix(service.target_prefix())?));
    if let Some((service, name)) = Service::ALL.iter().find_map(of_service) {
        known_or_not(service, name)
    } else if let Some(name) = target.strip_prefix(ADMIN_TARGET) {
        Route::Admin(name)
    } else {
        Route::Unknown { service: Service::Kms, name: target }
    }
}

fn known_or_not(service: Service, name: &str) -> Route<'_> {
    match row(service, name) {
        Some(row) => Route::Operation(row),
        None if model::operation(service, name).is_some() => Route::Unsupported { service, name },
        None => Route::Unknown { service, name },
    }
}

fn answer(
    outcome: Recorded<WipedBuffer>,
    protocol: Protocol,
    queried: Service,
    meta: &RequestMeta,
    operation: Option<&'static Row>,
) -> Answer {
    match outcome.into_outcome() {
        Ok(body) => Answer::new(200, None, body, protocol, meta.request_id, operation),
        Err(fault) => {
            let error: ApiError = fault.answer_and_log();
            let (status, body) = match protocol {
                Protocol::Json => (fault.status(), WipedBuffer::from(wire::encode_error(&error))),
                Protocol::Query => {
                    (query::status(&error, fault.status()), query::error(queried, &error, meta.request_id))
                }
            };
            Answer::new(status, Some(error), body, protocol, meta.request_id, operation)
        }
    }
}
