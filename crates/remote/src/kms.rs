//! A KMS across the network, through AWS's own client: profiles, SSO, roles and retries are AWS's own.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_config::BehaviorVersion;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_kms::config::StalledStreamProtectionConfig;
use aws_sdk_kms::config::retry::{RetryPartition, TokenBucket};
use aws_sdk_kms::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::{
    AfterDeserializationInterceptorContextRef, BeforeTransmitInterceptorContextMut,
    FinalizerInterceptorContextRef, InterceptorContext,
};
use aws_smithy_runtime_api::client::interceptors::{Intercept, SharedInterceptor, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::retries::classifiers::{
    ClassifyRetry, RetryAction, SharedRetryClassifier,
};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::ConfigBag;
use aws_types::SigningName;
use aws_types::os_shim_internal::{Env, Fs};
use bulla_api as api;
use bulla_api::{
    ApiError, CallFuture, Effect, ErrorCode, Kms, KmsError, LocalFailure, LocalFailureKind, Operation, Row,
    Service, WipedBuffer, wire,
};
use bytes::Bytes;

use crate::cause::{credentials_cause, innermost, misconfigured, whole};
use crate::credentials::{checked_credentials, credentials_of_profile, wrong_region};
use crate::once::Once;
use crate::{RemoteOptions, trust};

/// So long a connection may take to be made. Within `--kms-wait` it is tried again.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// So long one attempt may take.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(20);
/// Between two attempts at most, so that a server that comes back is noticed soon.
const BACKOFF_MAX: Duration = Duration::from_secs(2);
/// Attempts a second at most, and for the shortest wait: time ends the retries, not their number. The SDK reckons with each of them
/// before a request, so that they must be few enough.
const ATTEMPTS_PER_SECOND: u64 = 4;
const ATTEMPTS_MIN: u64 = 1000;
const ATTEMPTS_MAX: u64 = 1 << 20;

/// More turns than the task of a connection needs to end.
const TURNS_TO_END: usize = 16;

/// The option that names a profile for its credentials.
const PROFILE: &str = "--profile";

/// A KMS across the network.
pub struct RemoteKms {
    kms: aws_sdk_kms::Client,
    sts: aws_sdk_sts::Client,
    described: String,
    region: String,
    last_failure: LastFailure,
    /// Of a call with all its retries.
    wait: Duration,
    /// Whether it is waited for once only.
    waits_once: bool,
    /// Whether the last call has waited in vain.
    in_vain: AtomicBool,
    /// What is wrong with aws's configuration, which the SDK takes for an empty one.
    broken: Option<String>,
}

/// What the last attempt failed of: when the time for retries is over, that says more than that it is over.
#[derive(Debug, Clone, Default)]
struct LastFailure(Arc<Mutex<Option<String>>>);

#[dyn_dispatch_hint]
impl Intercept for LastFailure {
    fn name(&self) -> &'static str {
        "LastFailure"
    }

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        // That an attempt took too long says no more than that there was no answer in time.
        if let Some(Err(error)) = context.output_or_error()
            && !error.is_timeout_error()
        {
            let told = context.response().and_then(said).unwrap_or_else(|| innermost(error));
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(told);
        }
        Ok(())
    }
}

/// How it begins to say what an answer said.
const HTTP: &str = "HTTP ";
/// What to ask oneself of such an answer.
const NOT_A_KMS: &str = ": is a KMS at that URL? check it";

/// What an answer that is an error says.
fn said(answer: &HttpResponse) -> Option<String> {
    let status = answer.status();
    let named = answer.headers().get("x-amzn-errortype");
    let error = wire::decode_error(answer.body().bytes()?, named);
    (!status.is_success()).then(|| match error.code {
        ErrorCode::Other => format!("{HTTP}{status}"),
        _ => format!("{HTTP}{status}, {error}"),
    })
}

/// Has a request not made again that fails in the same way each time.
#[derive(Debug)]
struct Hopeless;

impl ClassifyRetry for Hopeless {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        match context.output_or_error() {
            Some(Err(error))
                if misconfigured(error).is_some() || context.response().is_some_and(is_over_quota) =>
            {
                RetryAction::RetryForbidden
            }
            _ => RetryAction::NoActionIndicated,
        }
    }

    fn name(&self) -> &'static str {
        "Hopeless"
    }
}

/// Whether an answer says that there can be no more of something. The SDK takes that for throttling, as it is at other
/// services; at KMS it is a quota of resources, and waiting makes no room (AWS KMS Developer Guide, "Quotas": requests over a
/// *rate* get ThrottlingException).
fn is_over_quota(answer: &HttpResponse) -> bool {
    let named = answer.headers().get("x-amzn-errortype");
    answer.status().is_client_error()
        && answer
            .body()
            .bytes()
            .is_some_and(|body| wire::decode_error(body, named).code == ErrorCode::LimitExceededException)
}

/// Puts a request of ours in the place of the SDK's before it is signed, and keeps the answer as it came.
///
/// So the operations are those of the table, whatever operations the SDK has, and are read and written by the one reader
/// and writer of their shapes; while signing, endpoints, credentials, retries and timeouts are the SDK's.
#[derive(Clone)]
struct Exchange {
    target: String,
    signed_for: SigningName,
    /// Wiped when the last reference to it goes.
    body: Bytes,
    answer: Arc<Mutex<WipedBuffer>>,
}

impl std::fmt::Debug for Exchange {
    /// Without what is said: it may be secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Exchange").field("target", &self.target).finish_non_exhaustive()
    }
}

#[dyn_dispatch_hint]
impl Intercept for Exchange {
    fn name(&self) -> &'static str {
        "Exchange"
    }

    fn modify_before_retry_loop(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _components: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        config.interceptor_state().store_put(self.signed_for.clone());
        let request = context.request_mut();
        let headers = request.headers_mut();
        headers.try_insert("content-type", "application/x-amz-json-1.1")?;
        headers.try_insert("content-length", self.body.len().to_string())?;
        headers.try_insert("x-amz-target", self.target.clone())?;
        *request.body_mut() = SdkBody::from(self.body.clone());
        Ok(())
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        // What the SDK holds is given back to the allocator, which the program has wipe it.
        let body = context.response().body().bytes().unwrap_or_default();
        *self.answer.lock().unwrap_or_else(PoisonError::into_inner) = WipedBuffer::from(body.to_vec());
        Ok(())
    }
}

impl RemoteKms {
    /// Reads aws's configuration. Makes no request. `wait` bounds a call with all its retries; zero is one attempt.
    ///
    /// # Errors
    /// [`KmsError::Store`] when there is no region, or an authority's certificate can't be read.
    pub async fn new(to: &RemoteOptions, wait: Duration) -> Result<Self, KmsError> {
        let usage = |message: String| {
            KmsError::Store(LocalFailure { kind: LocalFailureKind::Misconfigured, message })
        };
        let (bracketed, chosen) = match to.because.as_str() {
            "" => (String::new(), String::new()),
            because => (format!(" ({because})"), format!(", chosen by {because}")),
        };
        let place = match &to.endpoint {
            Some(url) => format!("the KMS at {url}{bracketed}"),
            None => format!("AWS KMS{bracketed}"),
        };
        let http = trust::https_client(&to.authorities).map_err(|cause| {
            let message = format!("{cause} (for {place}); check the path");
            KmsError::Store(LocalFailure { kind: LocalFailureKind::Failed, message })
        })?;
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .http_client(http)
            .retry_config(retries(wait))
            .timeout_config(timeouts(wait, ATTEMPT_TIMEOUT));
        if let Some(profile) = &to.profile {
            loader = loader.profile_name(profile);
        }
        if let Some(region) = &to.region {
            loader = loader.region(aws_config::Region::new(region.clone()));
        }
        let mut shared = loader.load().await;
        if let Some(profile) = &to.profile {
            let credentials = credentials_of_profile(profile, &shared).await;
            shared = shared.into_builder().credentials_provider(credentials).build();
        }
        if let Some(credentials) = shared.credentials_provider().map(checked_credentials) {
            shared = shared.into_builder().credentials_provider(credentials).build();
        }
        let broken = unreadable_configuration().await;
        let Some(region) = shared.region().filter(|region| !region.as_ref().trim().is_empty()) else {
            if let Some(cause) = broken {
                return Err(usage(format!("{cause} (for {place})")));
            }
            let cause = "no region is configured: give one with --region, AWS_REGION or in the profile";
            return Err(usage(format!("{cause} (for {place})")));
        };
        if let Some(cause) = wrong_region(region.as_ref()) {
            return Err(usage(format!("{cause}; set --region, AWS_REGION or the profile's (for {place})")));
        }
        let described = match &to.endpoint {
            Some(url) => format!("the KMS at {url} in {region}{chosen}"),
            None => format!("AWS KMS in {region}{chosen}"),
        };
        // Set or unset, so that what the SDK itself finds configured doesn't lead elsewhere.
        let mut kms = aws_sdk_kms::config::Builder::from(&shared);
        kms.set_endpoint_url(to.endpoint.clone());
        kms.set_retry_partition(Some(without_budget()));
        let last_failure = LastFailure::default();
        kms.push_interceptor(SharedInterceptor::new(last_failure.clone()));
        kms.push_retry_classifier(SharedRetryClassifier::new(Hopeless));
        let mut sts = aws_sdk_sts::config::Builder::from(&shared);
        sts.set_endpoint_url(to.sts_endpoint.clone());
        sts.set_retry_partition(Some(without_budget()));
        sts.push_interceptor(SharedInterceptor::new(last_failure.clone()));
        sts.push_retry_classifier(SharedRetryClassifier::new(Hopeless));
        Ok(Self {
            kms: aws_sdk_kms::Client::from_conf(kms.build()),
            sts: aws_sdk_sts::Client::from_conf(sts.build()),
            described,
            region: region.to_string(),
            last_failure,
            wait,
            waits_once: false,
            in_vain: AtomicBool::new(false),
            broken,
        })
    }

    /// For a program that does one thing after another and ends: once a call has waited in vain, each further one is one
    /// attempt, until one succeeds.
    #[must_use]
    pub const fn waiting_once(mut self) -> Self {
        self.waits_once = true;
        self
    }

    /// The retries of the next call, where they are not those of all.
    fn retries_now(&self) -> Option<RetryConfig> {
        let alone = self.waits_once && self.in_vain.load(Ordering::Relaxed);
        alone.then(|| retries(Duration::ZERO))
    }

    /// The region that is asked.
    #[must_use]
    pub fn region(&self) -> &str {
        &self.region
    }

    fn failed<E>(&self, error: SdkError<E, HttpResponse>) -> KmsError
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let kms = self.described.clone();
        if let Some(cause) = credentials_cause(&error, PROFILE) {
            let cause = self.broken.clone().unwrap_or(cause);
            return KmsError::Credentials { cause, kms };
        }
        if let Some(cause) = misconfigured(&error) {
            let message = format!("{cause} (asked {kms})");
            return KmsError::Store(LocalFailure { kind: LocalFailureKind::Misconfigured, message });
        }
        let unreachable = |cause: String| KmsError::Unreachable { cause, kms: kms.clone() };
        match &error {
            SdkError::ServiceError(answer) => {
                let Some(name) = answer.err().code() else {
                    let status = answer.raw().status();
                    let next = if status.is_client_error() { NOT_A_KMS } else { "" };
                    return unreachable(format!("answered HTTP {status}, not as a KMS does{next}"));
                };
                let text = answer.err().message().unwrap_or_default();
                let code = code_of(name);
                let message = match code {
                    ErrorCode::Other if answer.raw().status().as_u16() >= 500 => {
                        return unreachable(format!("answered {name}: {text}"));
                    }
                    ErrorCode::Other => format!("{name}: {text}"),
                    _ => text.to_owned(),
                };
                KmsError::Answered { error: ApiError::new(code, message), kms: kms.clone() }
            }
            SdkError::TimeoutError(_) => {
                // Short of the whole time, an attempt that took too long is made again.
                self.in_vain.store(true, Ordering::Relaxed);
                let last = self.last_failure.0.lock().unwrap_or_else(PoisonError::into_inner).take();
                unreachable(last.map_or(
                    "no answer in time".to_owned(),
                    |cause| match cause.starts_with(HTTP) {
                        true => format!("no other answer in time than {cause}"),
                        false => format!("no answer in time: {cause}"),
                    },
                ))
            }
            SdkError::ResponseError(_) => unreachable(format!("the answer is not one of a KMS{NOT_A_KMS}")),
            SdkError::ConstructionFailure(_) => {
                KmsError::Credentials { cause: innermost(&error), kms: kms.clone() }
            }
            _ => unreachable(innermost(&error)),
        }
    }

    /// Calls an operation of KMS, IAM or, of STS, GetCallerIdentity.
    ///
    /// # Errors
    /// [`KmsError`]: what the KMS answered, or why there is no answer.
    pub async fn call<O: Operation>(&self, input: &O::Input) -> Result<O::Output, KmsError> {
        let mut answer = match O::ROW.service {
            Service::Kms | Service::Iam => self.post(O::ROW, wire::encode_input::<O>(input)).await?,
            // The one operation of STS that is called here: see the test below.
            Service::Sts => self.identity().await?,
        };
        wire::decode_output::<O>(&mut answer).map_err(|_| {
            let (cause, kms) = (format!("the answer is not one of a KMS{NOT_A_KMS}"), self.described.clone());
            match O::ROW.effect {
                Effect::Reads => KmsError::Unreachable { cause, kms },
                Effect::Changes => KmsError::Unanswered { cause, operation: O::ROW.name, kms },
            }
        })
    }

    /// Calls an operation of KMS or, of a server like `bulla serve`, of IAM, by way of one of the SDK's whose answers have no
    /// content that it would read.
    async fn post(&self, row: &'static Row, body: WipedBuffer) -> Result<WipedBuffer, KmsError> {
        let exchange = Exchange {
            target: format!("{}{}", row.service.target_prefix(), row.name),
            signed_for: SigningName::from_static(row.service.scope_name()),
            body: Bytes::from_owner(body),
            answer: Arc::default(),
        };
        let carrier = self.kms.enable_key().customize().interceptor(exchange.clone());
        match row.effect {
            Effect::Reads => {
                let mut config = aws_sdk_kms::config::Builder::default();
                config.set_retry_config(self.retries_now());
                let sent = carrier.config_override(config).send().await;
                sent.map_err(|error| self.failed(error))?
            }
            Effect::Changes => {
                let once = Once::new(exchange.body.clone());
                let mut config = aws_sdk_kms::config::Builder::default();
                config.push_retry_classifier(SharedRetryClassifier::new(once.clone()));
                config.set_retry_config(self.retries_now());
                // One attempt has all the time, as there may be no other.
                config.set_timeout_config(Some(timeouts(self.wait, self.wait)));
                config.set_stalled_stream_protection(Some(StalledStreamProtectionConfig::disabled()));
                let sent = carrier.interceptor(once.clone()).config_override(config).send().await;
                sent.map_err(|error| match (once.is_open(), self.failed(error)) {
                    (true, KmsError::Unreachable { cause, kms }) => {
                        KmsError::Unanswered { cause, operation: row.name, kms }
                    }
                    (true, KmsError::Answered { error, kms }) => {
                        KmsError::Unanswered { cause: error.to_string(), operation: row.name, kms }
                    }
                    (_, error) => error,
                })?
            }
        };
        self.in_vain.store(false, Ordering::Relaxed);
        // So that a connection that has ended gives back its buffers now: its task may not run again before the work is done.
        for _ in 0..TURNS_TO_END {
            tokio::task::yield_now().await;
        }
        Ok(std::mem::take(&mut *exchange.answer.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    /// The one operation of STS, which has another protocol: its answer as JSON.
    async fn identity(&self) -> Result<WipedBuffer, KmsError> {
        let mut config = aws_sdk_sts::config::Builder::default();
        config.set_retry_config(self.retries_now());
        let asked = self.sts.get_caller_identity().customize().config_override(config);
        let found = asked.send().await.map_err(|error| self.failed(error))?;
        self.in_vain.store(false, Ordering::Relaxed);
        let members = [("UserId", found.user_id), ("Account", found.account), ("Arn", found.arn)];
        let object: serde_json::Map<_, _> =
            members.into_iter().filter_map(|(name, text)| Some((name.to_owned(), text?.into()))).collect();
        Ok(WipedBuffer::from(serde_json::Value::Object(object).to_string().into_bytes()))
    }
}

/// The code of an answer. STS, and what all services have in common, name some otherwise than KMS.
/// Source: AWS Security Token Service API reference and AWS KMS API reference, "Common errors".
fn code_of(name: &str) -> ErrorCode {
    match name {
        "SignatureDoesNotMatch" => ErrorCode::InvalidSignatureException,
        "InvalidClientTokenId" => ErrorCode::UnrecognizedClientException,
        "RequestExpired" => ErrorCode::ExpiredTokenException,
        "MissingAuthenticationToken" => ErrorCode::MissingAuthenticationTokenException,
        "IncompleteSignature" => ErrorCode::IncompleteSignatureException,
        "AccessDenied" | "NotAuthorized" | "OptInRequired" | "RegionDisabledException" => {
            ErrorCode::AccessDeniedException
        }
        "Throttling"
        | "ThrottledException"
        | "RequestThrottled"
        | "RequestThrottledException"
        | "RequestLimitExceeded"
        | "TooManyRequestsException"
        | "SlowDown" => ErrorCode::ThrottlingException,
        "InternalFailure" | "InternalError" | "ServiceUnavailable" => ErrorCode::KMSInternalException,
        name => ErrorCode::from_name(name),
    }
}

fn retries(wait: Duration) -> RetryConfig {
    let many = wait.as_secs().saturating_mul(ATTEMPTS_PER_SECOND).clamp(ATTEMPTS_MIN, ATTEMPTS_MAX);
    let attempts = if wait.is_zero() { 1 } else { u32::try_from(many).unwrap_or(u32::MAX) };
    RetryConfig::standard().with_max_attempts(attempts).with_max_backoff(BACKOFF_MAX)
}

/// Nor does a budget of retries end them, of which the SDK gives some 35 to each process.
fn without_budget() -> RetryPartition {
    RetryPartition::custom("kms").token_bucket(TokenBucket::unlimited()).build()
}

fn timeouts(wait: Duration, attempt: Duration) -> TimeoutConfig {
    let attempt = if wait.is_zero() { ATTEMPT_TIMEOUT } else { attempt.min(wait) };
    let whole = if wait.is_zero() { ATTEMPT_TIMEOUT } else { wait };
    TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .operation_attempt_timeout(attempt)
        .operation_timeout(whole)
        .build()
}

/// Why the SDK can't read aws's configuration and credentials files.
async fn unreadable_configuration() -> Option<String> {
    let loaded = aws_config::profile::load(&Fs::real(), &Env::real(), &Default::default(), None).await;
    loaded.err().map(|error| format!("the aws configuration can't be used: {}", whole(&error)))
}

macro_rules! called {
    ($($name:ident, $method:ident, $input:ident, $output:ident;)*) => {
        impl Kms for RemoteKms {
            $(
                fn $method<'a>(&'a self, input: api::$input) -> CallFuture<'a, api::$output> {
                    Box::pin(async move { self.call::<api::$name>(&input).await })
                }
            )*

            fn describe(&self) -> String {
                self.described.clone()
            }
        }
    };
}

api::for_each_kms_operation!(called);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_sts_are_told_as_those_of_kms() {
        for (name, code) in [
            ("SignatureDoesNotMatch", ErrorCode::InvalidSignatureException),
            ("InvalidClientTokenId", ErrorCode::UnrecognizedClientException),
            ("ExpiredToken", ErrorCode::ExpiredToken),
            ("ExpiredTokenException", ErrorCode::ExpiredTokenException),
            ("AccessDenied", ErrorCode::AccessDeniedException),
            ("InvalidSignatureException", ErrorCode::InvalidSignatureException),
            ("Throttling", ErrorCode::ThrottlingException),
        ] {
            assert_eq!(code_of(name), code, "{name}");
        }
    }

    #[test]
    fn time_ends_the_retries_and_not_their_number() {
        // Half of the longest pause lies between two of them.
        let attempts_of = |wait| u64::from(retries(Duration::from_secs(wait)).max_attempts());
        for wait in [1, 60, 1020, 86_400] {
            assert!(attempts_of(wait) * BACKOFF_MAX.as_secs() / 2 >= 2 * wait, "{wait} s");
        }
        assert_eq!(attempts_of(0), 1);
    }

    #[test]
    fn only_get_caller_identity_is_of_another_service() {
        macro_rules! rows {
            ($($name:ident, $method:ident, $input:ident, $output:ident;)*) => { [$(api::$name::ROW),*] };
        }
        let all = api::for_each_kms_operation!(rows);
        let others = all.iter().filter(|row| row.service != Service::Kms);
        assert!(
            others.map(|row| row.name).eq(["GetCallerIdentity"]),
            "`RemoteKms::identity` answers for all other services"
        );
    }
}
