//! How long a request is made again that fails.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use aws_smithy_runtime_api::client::interceptors::context::InterceptorContext;
use aws_smithy_runtime_api::client::retries::classifiers::{ClassifyRetry, RetryAction};
use bulla_remote::misconfigured;

use super::failure::plain_http;

/// Has one request not made again once it has failed for so long, or if it fails in the same way each time. The SDK's own
/// limit of time is for all of a request, with the bytes that it moves: that of a part may be minutes.
#[derive(Debug)]
pub(super) struct Deadline {
    wait: Duration,
    failing_since: OnceLock<Instant>,
}

impl Deadline {
    /// For a request that is about to be made.
    pub(super) const fn after(wait: Duration) -> Self {
        Self { wait, failing_since: OnceLock::new() }
    }
}

impl ClassifyRetry for Deadline {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        let Some(Err(error)) = context.output_or_error() else { return RetryAction::NoActionIndicated };
        let over = self.failing_since.get_or_init(Instant::now).elapsed() >= self.wait;
        if over || misconfigured(error).or_else(|| plain_http(error)).is_some() {
            return RetryAction::RetryForbidden;
        }
        RetryAction::NoActionIndicated
    }

    fn name(&self) -> &'static str {
        "Deadline"
    }
}
