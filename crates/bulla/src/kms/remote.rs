//! A KMS across the network, through AWS's own client: profiles, SSO, roles and retries are AWS's own.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_config::BehaviorVersion;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_kms::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_kms::primitives::Blob;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::FinalizerInterceptorContextRef;
use aws_smithy_runtime_api::client::interceptors::{Intercept, SharedInterceptor, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;
use bulla_api as api;
use bulla_api::{ApiError, CallFuture, ErrorCode, Kms, KmsError};

use super::choice::Remote;
use super::convert::{self, Converted, Incomplete};
use super::trust;
use crate::opening::failed;

/// So long a connection may take to be made. Within `--kms-wait` it is tried again.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// So long one attempt may take.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(20);
/// Between two attempts at most, so that a server that comes back is noticed soon.
const BACKOFF_MAX: Duration = Duration::from_secs(2);
/// More attempts than any wait allows: time ends the retries, not their number.
const ATTEMPTS_MAX: u32 = 1000;

/// A KMS across the network.
pub(crate) struct RemoteKms {
    kms: aws_sdk_kms::Client,
    sts: aws_sdk_sts::Client,
    described: String,
    last_failure: LastFailure,
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
        if let Some(Err(error)) = context.output_or_error() {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(innermost(error));
        }
        Ok(())
    }
}

impl RemoteKms {
    /// Reads aws's configuration. Makes no request. `wait` bounds a call with all its retries.
    pub(crate) async fn new(to: &Remote, wait: Duration) -> Result<Self, KmsError> {
        let place = match &to.endpoint {
            Some(url) => format!("the KMS at {url} ({})", to.because),
            None => format!("AWS KMS ({})", to.because),
        };
        let http = trust::https_client(&to.ca_files)
            .map_err(|cause| KmsError::Store(failed(format!("{cause} (for {place}); check the path"))))?;
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .http_client(http)
            .retry_config(retries(wait))
            .timeout_config(timeouts(wait));
        if let Some(profile) = &to.profile {
            loader = loader.profile_name(profile);
        }
        if let Some(region) = &to.region {
            loader = loader.region(aws_config::Region::new(region.clone()));
        }
        let shared = loader.load().await;
        let Some(region) = shared.region() else {
            let cause = "no region is configured: give one with --region or in the profile".to_owned();
            return Err(KmsError::Credentials { cause, kms: place });
        };
        let described = match &to.endpoint {
            Some(url) => format!("the KMS at {url} in {region}, chosen by {}", to.because),
            None => format!("AWS KMS in {region}, chosen by {}", to.because),
        };
        // Set or unset, so that what the SDK itself finds configured doesn't lead elsewhere.
        let mut kms = aws_sdk_kms::config::Builder::from(&shared);
        kms.set_endpoint_url(to.endpoint.clone());
        let last_failure = LastFailure::default();
        kms.push_interceptor(SharedInterceptor::new(last_failure.clone()));
        let mut sts = aws_sdk_sts::config::Builder::from(&shared);
        sts.set_endpoint_url(to.sts_endpoint.clone());
        sts.push_interceptor(SharedInterceptor::new(last_failure.clone()));
        Ok(Self {
            kms: aws_sdk_kms::Client::from_conf(kms.build()),
            sts: aws_sdk_sts::Client::from_conf(sts.build()),
            described,
            last_failure,
        })
    }

    fn failed<E>(&self, error: SdkError<E, HttpResponse>) -> KmsError
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let kms = self.described.clone();
        if let Some(cause) = credentials_cause(&error) {
            return KmsError::Credentials { cause, kms };
        }
        let unreachable = |cause: String| KmsError::Unreachable { cause, kms: kms.clone() };
        match &error {
            SdkError::ServiceError(answer) => {
                let Some(name) = answer.err().code() else {
                    let status = answer.raw().status();
                    return unreachable(format!("answered HTTP {status}, not as a KMS does"));
                };
                let text = answer.err().message().unwrap_or_default();
                let code = ErrorCode::from_name(name);
                let message = match code {
                    ErrorCode::Other => format!("{name}: {text}"),
                    _ => text.to_owned(),
                };
                KmsError::Answered { error: ApiError::new(code, message), kms: kms.clone() }
            }
            SdkError::TimeoutError(_) => {
                let last = self.last_failure.0.lock().unwrap_or_else(PoisonError::into_inner).take();
                unreachable(
                    last.map_or("no answer in time".to_owned(), |cause| {
                        format!("no answer in time: {cause}")
                    }),
                )
            }
            SdkError::ResponseError(_) => unreachable("the answer is not one of a KMS".to_owned()),
            SdkError::ConstructionFailure(_) => {
                KmsError::Credentials { cause: innermost(&error), kms: kms.clone() }
            }
            _ => unreachable(innermost(&error)),
        }
    }

    /// What a request or an answer is made into, or which member it lacks.
    fn converted<T>(&self, make: impl FnOnce() -> Converted<T>) -> Result<T, KmsError> {
        make().map_err(|Incomplete(member)| KmsError::Unreachable {
            cause: format!("the answer has no valid {member}"),
            kms: self.described.clone(),
        })
    }
}

fn retries(wait: Duration) -> RetryConfig {
    let attempts = if wait.is_zero() { 1 } else { ATTEMPTS_MAX };
    RetryConfig::standard().with_max_attempts(attempts).with_max_backoff(BACKOFF_MAX)
}

fn timeouts(wait: Duration) -> TimeoutConfig {
    let attempt = if wait.is_zero() { ATTEMPT_TIMEOUT } else { ATTEMPT_TIMEOUT.min(wait) };
    let whole = if wait.is_zero() { ATTEMPT_TIMEOUT } else { wait };
    TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .operation_attempt_timeout(attempt)
        .operation_timeout(whole)
        .build()
}

/// What is wrong with the credentials, when that is why a request was not made.
fn credentials_cause(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    let mut at = Some(error);
    while let Some(error) = at {
        if let Some(found) = error.downcast_ref::<CredentialsError>() {
            return Some(match found {
                CredentialsError::CredentialsNotLoaded(_) => {
                    "no credentials are configured: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile with --profile".to_owned()
                }
                other => format!("the credentials can't be used: {}", innermost(other)),
            });
        }
        at = error.source();
    }
    None
}

/// The cause at the end of the chain, which says most in the fewest words.
fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut at = error;
    while let Some(next) = at.source() {
        at = next;
    }
    let text = at.to_string();
    text.find(" (os error").and_then(|end| text.get(..end)).unwrap_or(&text).to_lowercase()
}

/// Makes a call: sends what `$request` builds, and converts what comes back.
macro_rules! call {
    ($self:ident, $request:expr, $answer:ident => $output:expr) => {
        Box::pin(async move {
            let request = $self.converted(|| Ok($request))?;
            let $answer = request.send().await.map_err(|error| $self.failed(error))?;
            $self.converted(|| Ok($output))
        })
    };
}

impl Kms for RemoteKms {
    #[expect(deprecated, reason = "a member of the API still, and refused or taken by the service, not here")]
    fn create_key<'a>(&'a self, input: api::CreateKeyInput) -> CallFuture<'a, api::CreateKeyOutput> {
        call!(self, {
            self.kms
                .create_key()
                .set_policy(input.policy)
                .set_description(input.description)
                .set_key_usage(input.key_usage.map(|name| name.as_str().into()))
                .set_customer_master_key_spec(input.customer_master_key_spec.map(|name| name.as_str().into()))
                .set_key_spec(input.key_spec.map(|name| name.as_str().into()))
                .set_origin(input.origin.map(|name| name.as_str().into()))
                .set_custom_key_store_id(input.custom_key_store_id)
                .set_bypass_policy_lockout_safety_check(input.bypass_policy_lockout_safety_check)
                .set_tags(convert::tags(input.tags)?)
                .set_multi_region(input.multi_region)
                .set_xks_key_id(input.xks_key_id)
        }, answer => api::CreateKeyOutput { key_metadata: convert::metadata(answer.key_metadata)? })
    }

    fn describe_key<'a>(&'a self, input: api::DescribeKeyInput) -> CallFuture<'a, api::DescribeKeyOutput> {
        call!(self, {
            self.kms.describe_key().key_id(input.key_id).set_grant_tokens(convert::list(input.grant_tokens))
        }, answer => api::DescribeKeyOutput { key_metadata: convert::metadata(answer.key_metadata)? })
    }

    fn list_keys<'a>(&'a self, input: api::ListKeysInput) -> CallFuture<'a, api::ListKeysOutput> {
        call!(self, {
            self.kms.list_keys().set_limit(convert::number(input.limit)).set_marker(input.marker)
        }, answer => api::ListKeysOutput {
            keys: answer.keys.unwrap_or_default().into_iter().map(convert::key).collect::<Converted<_>>()?,
            next_marker: answer.next_marker,
            truncated: answer.truncated,
        })
    }

    fn enable_key<'a>(&'a self, input: api::EnableKeyInput) -> CallFuture<'a, api::Empty> {
        call!(self, self.kms.enable_key().key_id(input.key_id), _answer => api::Empty)
    }

    fn disable_key<'a>(&'a self, input: api::DisableKeyInput) -> CallFuture<'a, api::Empty> {
        call!(self, self.kms.disable_key().key_id(input.key_id), _answer => api::Empty)
    }

    fn update_key_description<'a>(
        &'a self,
        input: api::UpdateKeyDescriptionInput,
    ) -> CallFuture<'a, api::Empty> {
        call!(self, {
            self.kms.update_key_description().key_id(input.key_id).description(input.description)
        }, _answer => api::Empty)
    }

    fn schedule_key_deletion<'a>(
        &'a self,
        input: api::ScheduleKeyDeletionInput,
    ) -> CallFuture<'a, api::ScheduleKeyDeletionOutput> {
        call!(self, {
            self.kms
                .schedule_key_deletion()
                .key_id(input.key_id)
                .set_pending_window_in_days(convert::number(input.pending_window_in_days))
        }, answer => api::ScheduleKeyDeletionOutput {
            key_id: convert::text(answer.key_id, "KeyId")?,
            deletion_date: answer.deletion_date.map(convert::date).transpose()?,
            key_state: answer.key_state.and_then(|name| name.as_str().parse().ok()),
            pending_window_in_days: answer.pending_window_in_days.and_then(|days| u32::try_from(days).ok()),
        })
    }

    fn cancel_key_deletion<'a>(
        &'a self,
        input: api::CancelKeyDeletionInput,
    ) -> CallFuture<'a, api::CancelKeyDeletionOutput> {
        call!(self, self.kms.cancel_key_deletion().key_id(input.key_id), answer => api::CancelKeyDeletionOutput {
            key_id: convert::text(answer.key_id, "KeyId")?,
        })
    }

    fn rotate_key_on_demand<'a>(
        &'a self,
        input: api::RotateKeyOnDemandInput,
    ) -> CallFuture<'a, api::RotateKeyOnDemandOutput> {
        call!(self, self.kms.rotate_key_on_demand().key_id(input.key_id), answer => api::RotateKeyOnDemandOutput {
            key_id: convert::text(answer.key_id, "KeyId")?,
        })
    }

    fn create_alias<'a>(&'a self, input: api::CreateAliasInput) -> CallFuture<'a, api::Empty> {
        call!(self, {
            self.kms.create_alias().alias_name(input.alias_name).target_key_id(input.target_key_id)
        }, _answer => api::Empty)
    }

    fn update_alias<'a>(&'a self, input: api::UpdateAliasInput) -> CallFuture<'a, api::Empty> {
        call!(self, {
            self.kms.update_alias().alias_name(input.alias_name).target_key_id(input.target_key_id)
        }, _answer => api::Empty)
    }

    fn delete_alias<'a>(&'a self, input: api::DeleteAliasInput) -> CallFuture<'a, api::Empty> {
        call!(self, self.kms.delete_alias().alias_name(input.alias_name), _answer => api::Empty)
    }

    fn list_aliases<'a>(&'a self, input: api::ListAliasesInput) -> CallFuture<'a, api::ListAliasesOutput> {
        call!(self, {
            self.kms
                .list_aliases()
                .set_key_id(input.key_id)
                .set_limit(convert::number(input.limit))
                .set_marker(input.marker)
        }, answer => api::ListAliasesOutput {
            aliases: answer.aliases.unwrap_or_default().into_iter().map(convert::alias).collect::<Converted<_>>()?,
            next_marker: answer.next_marker,
            truncated: answer.truncated,
        })
    }

    fn generate_data_key<'a>(
        &'a self,
        input: api::GenerateDataKeyInput,
    ) -> CallFuture<'a, api::GenerateDataKeyOutput> {
        call!(self, {
            self.kms
                .generate_data_key()
                .key_id(input.key_id)
                .set_encryption_context(convert::context(&input.encryption_context))
                .set_number_of_bytes(convert::number(input.number_of_bytes))
                .set_key_spec(input.key_spec.map(|name| name.as_str().into()))
                .set_grant_tokens(convert::list(input.grant_tokens))
                .set_recipient(convert::recipient(input.recipient))
                .set_dry_run(input.dry_run)
        }, answer => api::GenerateDataKeyOutput {
            plaintext: convert::secret(answer.plaintext),
            ciphertext_blob: convert::bytes(answer.ciphertext_blob, "CiphertextBlob")?,
            key_id: convert::text(answer.key_id, "KeyId")?,
            ciphertext_for_recipient: answer.ciphertext_for_recipient.map(Blob::into_inner),
            key_material_id: answer.key_material_id,
        })
    }

    fn generate_data_key_without_plaintext<'a>(
        &'a self,
        input: api::GenerateDataKeyWithoutPlaintextInput,
    ) -> CallFuture<'a, api::GenerateDataKeyWithoutPlaintextOutput> {
        call!(self, {
            self.kms
                .generate_data_key_without_plaintext()
                .key_id(input.key_id)
                .set_encryption_context(convert::context(&input.encryption_context))
                .set_number_of_bytes(convert::number(input.number_of_bytes))
                .set_key_spec(input.key_spec.map(|name| name.as_str().into()))
                .set_grant_tokens(convert::list(input.grant_tokens))
                .set_dry_run(input.dry_run)
        }, answer => api::GenerateDataKeyWithoutPlaintextOutput {
            ciphertext_blob: convert::bytes(answer.ciphertext_blob, "CiphertextBlob")?,
            key_id: convert::text(answer.key_id, "KeyId")?,
            key_material_id: answer.key_material_id,
        })
    }

    fn encrypt<'a>(&'a self, input: api::EncryptInput) -> CallFuture<'a, api::EncryptOutput> {
        call!(self, {
            self.kms
                .encrypt()
                .key_id(input.key_id)
                .plaintext(Blob::new(input.plaintext.expose()))
                .set_encryption_context(convert::context(&input.encryption_context))
                .set_grant_tokens(convert::list(input.grant_tokens))
                .set_encryption_algorithm(input.encryption_algorithm.map(|name| name.as_str().into()))
                .set_dry_run(input.dry_run)
        }, answer => api::EncryptOutput {
            ciphertext_blob: convert::bytes(answer.ciphertext_blob, "CiphertextBlob")?,
            key_id: convert::text(answer.key_id, "KeyId")?,
            encryption_algorithm: convert::algorithm(answer.encryption_algorithm)?,
        })
    }

    fn decrypt<'a>(&'a self, input: api::DecryptInput) -> CallFuture<'a, api::DecryptOutput> {
        call!(self, {
            self.kms
                .decrypt()
                .ciphertext_blob(Blob::new(input.ciphertext_blob))
                .set_encryption_context(convert::context(&input.encryption_context))
                .set_grant_tokens(convert::list(input.grant_tokens))
                .set_key_id(input.key_id)
                .set_encryption_algorithm(input.encryption_algorithm.map(|name| name.as_str().into()))
                .set_recipient(convert::recipient(input.recipient))
                .set_dry_run(input.dry_run)
                .set_dry_run_modifiers(convert::list(
                    input.dry_run_modifiers.into_iter().map(|name| name.as_str().into()).collect(),
                ))
        }, answer => api::DecryptOutput {
            plaintext: convert::secret(answer.plaintext),
            key_id: convert::text(answer.key_id, "KeyId")?,
            encryption_algorithm: convert::algorithm(answer.encryption_algorithm)?,
            ciphertext_for_recipient: answer.ciphertext_for_recipient.map(Blob::into_inner),
            key_material_id: answer.key_material_id,
        })
    }

    fn re_encrypt<'a>(&'a self, input: api::ReEncryptInput) -> CallFuture<'a, api::ReEncryptOutput> {
        call!(self, {
            self.kms
                .re_encrypt()
                .ciphertext_blob(Blob::new(input.ciphertext_blob))
                .set_source_encryption_context(convert::context(&input.source_encryption_context))
                .set_source_key_id(input.source_key_id)
                .destination_key_id(input.destination_key_id)
                .set_destination_encryption_context(convert::context(&input.destination_encryption_context))
                .set_source_encryption_algorithm(input.source_encryption_algorithm.map(|name| name.as_str().into()))
                .set_destination_encryption_algorithm(
                    input.destination_encryption_algorithm.map(|name| name.as_str().into()),
                )
                .set_grant_tokens(convert::list(input.grant_tokens))
                .set_dry_run(input.dry_run)
                .set_dry_run_modifiers(convert::list(
                    input.dry_run_modifiers.into_iter().map(|name| name.as_str().into()).collect(),
                ))
        }, answer => api::ReEncryptOutput {
            ciphertext_blob: convert::bytes(answer.ciphertext_blob, "CiphertextBlob")?,
            source_key_id: convert::text(answer.source_key_id, "SourceKeyId")?,
            key_id: convert::text(answer.key_id, "KeyId")?,
            source_encryption_algorithm: convert::algorithm(answer.source_encryption_algorithm)?,
            destination_encryption_algorithm: convert::algorithm(answer.destination_encryption_algorithm)?,
            source_key_material_id: answer.source_key_material_id,
            destination_key_material_id: answer.destination_key_material_id,
        })
    }

    fn generate_random<'a>(
        &'a self,
        input: api::GenerateRandomInput,
    ) -> CallFuture<'a, api::GenerateRandomOutput> {
        call!(self, {
            self.kms
                .generate_random()
                .set_number_of_bytes(convert::number(input.number_of_bytes))
                .set_custom_key_store_id(input.custom_key_store_id)
                .set_recipient(convert::recipient(input.recipient))
        }, answer => api::GenerateRandomOutput {
            plaintext: convert::secret(answer.plaintext),
            ciphertext_for_recipient: answer.ciphertext_for_recipient.map(Blob::into_inner),
        })
    }

    fn generate_data_key_pair<'a>(
        &'a self,
        input: api::GenerateDataKeyPairInput,
    ) -> CallFuture<'a, api::GenerateDataKeyPairOutput> {
        call!(self, {
            self.kms
                .generate_data_key_pair()
                .key_id(input.key_id)
                .key_pair_spec(input.key_pair_spec.as_str().into())
                .set_encryption_context(convert::context(&input.encryption_context))
                .set_grant_tokens(convert::list(input.grant_tokens))
                .set_recipient(convert::recipient(input.recipient))
                .set_dry_run(input.dry_run)
        }, answer => api::GenerateDataKeyPairOutput {
            private_key_plaintext: convert::secret(answer.private_key_plaintext),
            private_key_ciphertext_blob: convert::bytes(answer.private_key_ciphertext_blob, "PrivateKeyCiphertextBlob")?,
            public_key: convert::bytes(answer.public_key, "PublicKey")?,
            key_id: convert::text(answer.key_id, "KeyId")?,
            key_pair_spec: convert::value(answer.key_pair_spec.as_ref().map(|name| name.as_str()), "KeyPairSpec")?,
            ciphertext_for_recipient: answer.ciphertext_for_recipient.map(Blob::into_inner),
            key_material_id: answer.key_material_id,
        })
    }

    fn generate_data_key_pair_without_plaintext<'a>(
        &'a self,
        input: api::GenerateDataKeyPairWithoutPlaintextInput,
    ) -> CallFuture<'a, api::GenerateDataKeyPairWithoutPlaintextOutput> {
        call!(self, {
            self.kms
                .generate_data_key_pair_without_plaintext()
                .key_id(input.key_id)
                .key_pair_spec(input.key_pair_spec.as_str().into())
                .set_encryption_context(convert::context(&input.encryption_context))
                .set_grant_tokens(convert::list(input.grant_tokens))
                .set_dry_run(input.dry_run)
        }, answer => api::GenerateDataKeyPairWithoutPlaintextOutput {
            private_key_ciphertext_blob: convert::bytes(answer.private_key_ciphertext_blob, "PrivateKeyCiphertextBlob")?,
            public_key: convert::bytes(answer.public_key, "PublicKey")?,
            key_id: convert::text(answer.key_id, "KeyId")?,
            key_pair_spec: convert::value(answer.key_pair_spec.as_ref().map(|name| name.as_str()), "KeyPairSpec")?,
            key_material_id: answer.key_material_id,
        })
    }

    fn get_public_key<'a>(
        &'a self,
        input: api::GetPublicKeyInput,
    ) -> CallFuture<'a, api::GetPublicKeyOutput> {
        call!(self, {
            self.kms.get_public_key().key_id(input.key_id).set_grant_tokens(convert::list(input.grant_tokens))
        }, answer => convert::public_key(answer)?)
    }

    fn sign<'a>(&'a self, input: api::SignInput) -> CallFuture<'a, api::SignOutput> {
        call!(self, {
            self.kms
                .sign()
                .key_id(input.key_id)
                .message(Blob::new(input.message.expose()))
                .set_message_type(input.message_type.map(|name| name.as_str().into()))
                .signing_algorithm(input.signing_algorithm.as_str().into())
                .set_grant_tokens(convert::list(input.grant_tokens))
                .set_dry_run(input.dry_run)
        }, answer => api::SignOutput {
            key_id: convert::text(answer.key_id, "KeyId")?,
            signature: convert::bytes(answer.signature, "Signature")?,
            signing_algorithm: convert::value(
                answer.signing_algorithm.as_ref().map(|name| name.as_str()),
                "SigningAlgorithm",
            )?,
        })
    }

    fn verify<'a>(&'a self, input: api::VerifyInput) -> CallFuture<'a, api::VerifyOutput> {
        call!(self, {
            self.kms
                .verify()
                .key_id(input.key_id)
                .message(Blob::new(input.message.expose()))
                .set_message_type(input.message_type.map(|name| name.as_str().into()))
                .signature(Blob::new(input.signature))
                .signing_algorithm(input.signing_algorithm.as_str().into())
                .set_grant_tokens(convert::list(input.grant_tokens))
                .set_dry_run(input.dry_run)
        }, answer => api::VerifyOutput {
            key_id: convert::text(answer.key_id, "KeyId")?,
            signature_valid: answer.signature_valid,
            signing_algorithm: convert::value(
                answer.signing_algorithm.as_ref().map(|name| name.as_str()),
                "SigningAlgorithm",
            )?,
        })
    }

    fn generate_mac<'a>(&'a self, input: api::GenerateMacInput) -> CallFuture<'a, api::GenerateMacOutput> {
        call!(self, {
            self.kms
                .generate_mac()
                .key_id(input.key_id)
                .message(Blob::new(input.message.expose()))
                .mac_algorithm(input.mac_algorithm.as_str().into())
                .set_grant_tokens(convert::list(input.grant_tokens))
                .set_dry_run(input.dry_run)
        }, answer => api::GenerateMacOutput {
            mac: convert::bytes(answer.mac, "Mac")?,
            mac_algorithm: convert::value(answer.mac_algorithm.as_ref().map(|name| name.as_str()), "MacAlgorithm")?,
            key_id: convert::text(answer.key_id, "KeyId")?,
        })
    }

    fn verify_mac<'a>(&'a self, input: api::VerifyMacInput) -> CallFuture<'a, api::VerifyMacOutput> {
        call!(self, {
            self.kms
                .verify_mac()
                .key_id(input.key_id)
                .message(Blob::new(input.message.expose()))
                .mac_algorithm(input.mac_algorithm.as_str().into())
                .mac(Blob::new(input.mac))
                .set_grant_tokens(convert::list(input.grant_tokens))
                .set_dry_run(input.dry_run)
        }, answer => api::VerifyMacOutput {
            key_id: convert::text(answer.key_id, "KeyId")?,
            mac_valid: answer.mac_valid,
            mac_algorithm: convert::value(answer.mac_algorithm.as_ref().map(|name| name.as_str()), "MacAlgorithm")?,
        })
    }

    fn get_caller_identity<'a>(
        &'a self,
        _input: api::GetCallerIdentityInput,
    ) -> CallFuture<'a, api::GetCallerIdentityOutput> {
        call!(self, self.sts.get_caller_identity(), answer => api::GetCallerIdentityOutput {
            user_id: convert::text(answer.user_id, "UserId")?,
            account: convert::text(answer.account, "Account")?,
            arn: convert::text(answer.arn, "Arn")?,
        })
    }

    fn describe(&self) -> String {
        self.described.clone()
    }
}
