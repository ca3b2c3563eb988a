//! From a request's target to its operation, and from an outcome to its answer.

use crate::authenticate::{AuthFailure, Authenticated, Via};
use crate::core::Core;
use crate::fault::Fault;
use crate::operations::Executes;
use crate::pipeline::Recorded;
use crate::query;
use crate::request::{Answer, Protocol, RequestMeta};
use crate::trail::{Event, Trail};
use bulla_api::{ApiError, ErrorCode, Row, Service, WipedBuffer, for_each_operation, model, row, wire};
use std::pin::Pin;
use std::sync::Arc;

/// What `X-Amz-Target` begins with.
const KMS_TARGET: &str = "TrentService.";
/// For local callers, who speak JSON to every service.
const STS_TARGET: &str = "AWSSecurityTokenServiceV20110615.";
/// This program's own calls.
const ADMIN_TARGET: &str = "BullaAdmin.";

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
        let action = if target.is_empty() { query::action(body) } else { None };
        let by_query = target.is_empty() && (action.is_some() || service == Some(Service::Sts));
        let protocol = if by_query { Protocol::Query } else { Protocol::Json };
        let route = match &action {
            Some(action) => known_or_not(Service::Sts, action),
            None => route(target),
        };
        let (operation, event) = match route {
            Route::Operation(row) => (Some(row), Event::Operation(row)),
            Route::Admin(name) => (None, Event::Admin { name, changes: crate::admin::changes(name) }),
            Route::Unsupported { service, name } | Route::Unknown { service, name } => {
                (None, Event::Unknown { service, name })
            }
        };
        let outcome = match caller {
            Err(failure) => {
                let trail = Trail::unauthenticated(&meta, &failure, event);
                let refused = trail.record_refusal(self, failure.fault).await;
                refused.map(|()| WipedBuffer::new())
            }
            Ok(caller) => {
                let trail = Trail::new(&meta, &caller, event);
                let form = if by_query { query::refuse_repeated(body) } else { Ok(()) };
                match form.and_then(|()| self.admissible(&caller, &route)) {
                    Err(fault) => trail.record(self, Err(fault)).await,
                    Ok(()) => match route {
                        Route::Admin(name) => self.admin(caller, trail, name, body).await,
                        Route::Operation(row) if protocol == Protocol::Json => {
                            self.run_json(row, caller, trail, body).await
                        }
                        Route::Operation(row) => self.run_query(row, caller, trail, &meta).await,
                        Route::Unsupported { .. } | Route::Unknown { .. } => {
                            let fault = Fault::bug("what is not there was admitted");
                            trail.record(self, Err(fault)).await
                        }
                    },
                }
            }
        };
        answer(outcome, protocol, &meta, operation)
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
                _ => Ok(()),
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
                    $(stringify!($name) => Box::pin(self.encoded::<bulla_api::$name>(caller, trail, body)),)*
                    _ => Box::pin(async move {
                        trail.record(self, Err(Fault::bug("a row of the table has no operation"))).await
                    }),
                }
            };
        }
        for_each_operation!(by_name)
    }

    async fn encoded<O: Executes>(
        self: &Arc<Self>,
        caller: Authenticated,
        trail: Trail<'_>,
        body: &mut [u8],
    ) -> Recorded<WipedBuffer> {
        self.run::<O>(caller, trail, body).await.map(|output| wire::encode_output::<O>(&output))
    }

    /// The Query protocol has one operation so far, and it has no input.
    async fn run_query(
        self: &Arc<Self>,
        row: &'static Row,
        caller: Authenticated,
        trail: Trail<'_>,
        meta: &RequestMeta,
    ) -> Recorded<WipedBuffer> {
        if row.name != "GetCallerIdentity" {
            return trail.record(self, Err(Fault::answer(ErrorCode::UnknownOperationException, ""))).await;
        }
        let outcome = self.run::<bulla_api::GetCallerIdentity>(caller, trail, &mut b"{}".to_owned()).await;
        outcome.map(|identity| query::caller_identity(&identity, meta.request_id))
    }
}

fn route(target: &str) -> Route<'_> {
    if let Some(name) = target.strip_prefix(KMS_TARGET) {
        known_or_not(Service::Kms, name)
    } else if let Some(name) = target.strip_prefix(STS_TARGET) {
        known_or_not(Service::Sts, name)
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
                    (query::status(&error, fault.status()), query::error(&error, meta.request_id))
                }
            };
            Answer::new(status, Some(error), body, protocol, meta.request_id, operation)
        }
    }
}
