//! What is recorded of a request while it goes its way.

use crate::authenticate::{AuthFailure, Authenticated, Via};
use crate::change::ChangeRecord;
use crate::core::Core;
use crate::fault::Fault;
use crate::keys::Key;
use crate::pipeline::Recorded;
use crate::request::{RequestId, RequestMeta};
use crate::usage::LastUse;
use bulla_api::{Effect, KeyLastUsageTrackingOperation, Region, Row, Service};
use bulla_audit::{Entry, Parameter, Parameters, Record, Resource, UserIdentity};
use std::borrow::Cow;
use std::sync::Arc;

/// Gathers what the audit record of a request will say.
pub(crate) struct Trail<'m> {
    meta: &'m RequestMeta,
    event_source: &'static str,
    event_name: Cow<'static, str>,
    read_only: bool,
    identity: UserIdentity,
    account: Option<Arc<str>>,
    region: Arc<str>,
    source: String,
    additional: Option<Parameters>,
    parameters: Option<Parameters>,
    response: Option<Parameters>,
    noted: Option<Parameters>,
    uses: Option<(KeyLastUsageTrackingOperation, Vec<Arc<Key>>)>,
    pub(crate) resources: Vec<Resource>,
}

/// Longest name of an operation that doesn't exist in a record.
const EVENT_NAME_MAX: usize = 128;

impl<'m> Trail<'m> {
    /// Of a request whose caller is known.
    pub(crate) fn new(meta: &'m RequestMeta, caller: &Authenticated, event: Event<'_>) -> Self {
        let principal = caller.principal();
        let identity = principal.identity().clone();
        // A web identity is of no account, and its record of the one that it wants into.
        let account = identity.account_id.clone().or_else(|| Some(caller.account().to_string().into()));
        let (source, additional) = match caller.via() {
            Via::Network => (meta.source_ip.map_or_else(|| "unknown".to_owned(), |ip| ip.to_string()), None),
            Via::AdminSocket { uid } => {
                let peer = Parameters::new().maybe_number("peerUid", Some(uid));
                ("admin-socket".to_owned(), Some(peer))
            }
            Via::Embedded => ("embedded".to_owned(), None),
        };
        let region = caller.region().shared();
        Self::of(meta, event, identity, account, region, source, additional)
    }

    /// Of a request whose caller is not known.
    pub(crate) fn unauthenticated(meta: &'m RequestMeta, failure: &AuthFailure, event: Event<'_>) -> Self {
        let claimed = failure.claimed_access_key_id.as_deref();
        let identity = UserIdentity {
            kind: "Unknown",
            access_key_id: claimed.map(|id| id.chars().take(EVENT_NAME_MAX).collect::<String>().into()),
            ..UserIdentity::default()
        };
        let region = failure.claimed_region.as_ref().map_or_else(|| "".into(), Region::shared);
        let source = meta.source_ip.map_or_else(|| "unknown".to_owned(), |ip| ip.to_string());
        Self::of(meta, event, identity, None, region, source, None)
    }

    fn of(
        meta: &'m RequestMeta,
        event: Event<'_>,
        identity: UserIdentity,
        account: Option<Arc<str>>,
        region: Arc<str>,
        source: String,
        additional: Option<Parameters>,
    ) -> Self {
        let (event_source, event_name, read_only) = match event {
            Event::Operation(row) => {
                (row.service.event_source(), Cow::Borrowed(row.name), row.effect == Effect::Reads)
            }
            Event::Admin { name, changes } => (ADMIN_SOURCE, Cow::Owned(name.to_owned()), !changes),
            Event::Unknown { service, name } => {
                let name: String = name.chars().take(EVENT_NAME_MAX).collect();
                (service.event_source(), Cow::Owned(name), true)
            }
        };
        Self {
            meta,
            event_source,
            event_name,
            read_only,
            identity,
            account,
            region,
            source,
            additional,
            parameters: None,
            response: None,
            noted: None,
            uses: None,
            resources: Vec::new(),
        }
    }

    pub(crate) const fn meta(&self) -> &'m RequestMeta {
        self.meta
    }

    pub(crate) const fn request_id(&self) -> RequestId {
        self.meta.request_id
    }

    pub(crate) fn parameters(&mut self, parameters: Parameters) {
        self.parameters = (!parameters.is_empty()).then_some(parameters);
    }

    /// Whom the answer is encrypted for, when it is not for the caller.
    pub(crate) fn recipient(&mut self, recipient: Option<Parameter>) {
        if let Some(recipient) = recipient {
            let others = self.additional.take().unwrap_or_default();
            self.additional = Some(others.with("recipient", recipient));
        }
    }

    pub(crate) fn response(&mut self, response: Option<Parameters>) {
        self.response = response;
    }

    /// What there is to tell that is in neither.
    pub(crate) fn note(&mut self, noted: Option<Parameters>) {
        self.noted = noted;
    }

    /// If it succeeds, it is the last use of these keys.
    pub(crate) fn uses(&mut self, operation: KeyLastUsageTrackingOperation, keys: Vec<Arc<Key>>) {
        self.uses = Some((operation, keys));
    }

    pub(crate) fn touch(&mut self, key_arn: &str) {
        if let Some(account_id) = self.account.clone() {
            self.resources.push(Resource { account_id, kind: "AWS::KMS::Key", arn: key_arn.to_owned() });
        }
    }

    /// Records the outcome in the log. When that fails, nothing of it is given.
    pub(crate) async fn record<T>(mut self, core: &Core, outcome: Result<T, Fault>) -> Recorded<T> {
        let uses = self.uses.take().filter(|_| outcome.is_ok());
        let (request_id, at_ms) = (self.meta.request_id, core.clock.wall_ms());
        let (entry, event_id) = self.entry(core, outcome.as_ref().err());
        match core.audit.record(entry).await {
            Ok(()) => {
                if let Some((operation, keys)) = uses {
                    let last = LastUse { operation, at_ms, event_id, request_id };
                    keys.iter().for_each(|key| core.usage.note(key, last));
                }
                Recorded::logged(outcome, Logged(()))
            }
            // Dropping an output wipes it.
            Err(error) => Recorded::refused(error.into()),
        }
    }

    /// Records a refusal before authentication, of which there may be floods: singly, or counted.
    pub(crate) async fn record_refusal(self, core: &Core, fault: Fault) -> Recorded<()> {
        if core.preauth.admit(core.clock.monotonic()) {
            self.record(core, Err(fault)).await
        } else if core.audit.is_failing() {
            // What is only counted could not be recorded either. The next one that is recorded singly tries the log anew.
            Recorded::refused(Fault::AuditFailing)
        } else {
            Recorded::refused(fault)
        }
    }

    /// The record of a change that succeeds, to be committed with it.
    pub(crate) fn change_record(&mut self, core: &Core) -> ChangeRecord {
        let again = Trail {
            meta: self.meta,
            event_source: self.event_source,
            event_name: self.event_name.clone(),
            read_only: self.read_only,
            identity: self.identity.clone(),
            account: self.account.clone(),
            region: self.region.clone(),
            source: self.source.clone(),
            additional: self.additional.clone(),
            parameters: self.parameters.clone(),
            response: self.response.take(),
            noted: self.noted.take(),
            uses: None,
            resources: std::mem::take(&mut self.resources),
        };
        let (entry, event_id) = again.entry(core, None);
        ChangeRecord { event_id: event_id.text(), entry }
    }

    fn entry(mut self, core: &Core, fault: Option<&Fault>) -> (Entry, RequestId) {
        if let Some(Fault::Denied(denial)) = fault {
            let denied = Parameters::new().with("accessDenied", denial.describe());
            self.noted = Some(match self.noted.take() {
                Some(noted) => noted.and(denied),
                None => denied,
            });
        }
        let error = fault.map(Fault::to_answer);
        let event_id = core.ids.next();
        let record = Record {
            user_identity: self.identity,
            event_time: time_text(core.clock.wall_ms()),
            event_source: self.event_source,
            event_name: self.event_name,
            aws_region: self.region,
            source_ip_address: self.source,
            user_agent: self.meta.user_agent.clone(),
            error_code: error.as_ref().map(|error| error.code.name()),
            error_message: error.map(|error| error.message),
            request_parameters: self.parameters,
            response_elements: self.response,
            additional_event_data: match (self.additional, self.noted) {
                (Some(additional), Some(noted)) => Some(additional.and(noted)),
                (additional, noted) => additional.or(noted),
            },
            request_id: self.meta.request_id.text(),
            event_id: event_id.text(),
            read_only: self.read_only,
            resources: self.resources,
            event_type: "AwsApiCall",
            recipient_account_id: self.account,
            service_event_details: None,
            tls_details: self.meta.tls.clone(),
        };
        (record.encode(), event_id)
    }
}

/// Proof that the audit log has the record. Nothing but writing it makes one.
pub(crate) struct Logged(());

/// What was asked for.
#[derive(Clone, Copy)]
pub(crate) enum Event<'e> {
    /// An operation of the table.
    Operation(&'static Row),
    /// One of this program's own calls.
    Admin {
        /// Its name.
        name: &'e str,
        /// Whether it changes anything.
        changes: bool,
    },
    /// Nothing that exists.
    Unknown {
        /// The service asked.
        service: Service,
        /// What the caller called it.
        name: &'e str,
    },
}

/// `eventSource` of what AWS doesn't have.
pub(crate) const ADMIN_SOURCE: &str = "admin.bulla";

/// What the service did by itself to a key, or to the log.
pub(crate) fn service_record(core: &Core, event: ServiceEvent) -> ChangeRecord {
    let event_id = core.ids.next().text();
    let account: Option<Arc<str>> = event.account.map(Into::into);
    let record = Record {
        user_identity: UserIdentity {
            kind: "AWSService",
            account_id: account.clone(),
            invoked_by: Some("kms.amazonaws.com"),
            ..UserIdentity::default()
        },
        event_time: time_text(core.clock.wall_ms()),
        event_source: event.source,
        event_name: Cow::Borrowed(event.name),
        aws_region: event.region.into(),
        source_ip_address: "kms.amazonaws.com".to_owned(),
        user_agent: "kms.amazonaws.com".to_owned(),
        error_code: None,
        error_message: None,
        request_parameters: None,
        response_elements: None,
        additional_event_data: None,
        request_id: core.ids.next().text(),
        event_id: event_id.clone(),
        read_only: false,
        resources: event
            .key_arn
            .zip(account.clone())
            .map(|(arn, account_id)| Resource { account_id, kind: "AWS::KMS::Key", arn })
            .into_iter()
            .collect(),
        event_type: "AwsServiceEvent",
        recipient_account_id: account,
        service_event_details: event.data,
        tls_details: None,
    };
    ChangeRecord { event_id, entry: record.encode() }
}

/// What the service did by itself.
pub(crate) struct ServiceEvent {
    pub(crate) source: &'static str,
    pub(crate) name: &'static str,
    pub(crate) account: Option<String>,
    pub(crate) region: String,
    pub(crate) key_arn: Option<String>,
    pub(crate) data: Option<Parameters>,
}

impl Core {
    /// What the operator of this host did, without a request.
    pub(crate) fn operator_event(&self, name: &'static str) -> ServiceEvent {
        ServiceEvent {
            source: ADMIN_SOURCE,
            name,
            account: None,
            region: self.regions.first().map(ToString::to_string).unwrap_or_default(),
            key_arn: None,
            data: None,
        }
    }

    /// Records what the operator of this host did, without a request.
    pub(crate) async fn record_operator(&self, name: &'static str) -> Result<(), Fault> {
        let record = service_record(self, self.operator_event(name));
        Ok(self.audit.record(record.entry).await?)
    }
}

/// `2026-11-23T19:53:42.123Z`.
pub(crate) fn time_text(wall_ms: i64) -> String {
    match jiff::Timestamp::from_millisecond(wall_ms) {
        Ok(time) => format!("{time:.3}"),
        // Further from now than any clock can be.
        Err(_) => format!("{wall_ms} ms"),
    }
}
