//! The engine as a `Kms` in this process.

use crate::authenticate::Authenticated;
use crate::core::Core;
use crate::fault::Fault;
use crate::operations::Executes;
use crate::parse::Parsed;
use crate::request::RequestMeta;
use crate::trail::{Event, Trail};
use bulla_api::*;
use std::sync::Arc;

/// The engine in this process, called as one caller. Every call goes the way of a request from the network: validated,
/// authorised, recorded.
pub struct EmbeddedKms {
    core: Arc<Core>,
    caller: Authenticated,
    description: String,
}

impl EmbeddedKms {
    pub(crate) fn new(core: Arc<Core>, caller: Authenticated, description: String) -> Self {
        Self { core, caller, description }
    }

    async fn call<O: Executes>(&self, input: O::Input) -> Result<O::Output, KmsError> {
        let request_id = self.core.ids.next();
        let meta = RequestMeta::local(request_id, concat!("bulla/", env!("CARGO_PKG_VERSION")));
        let trail = Trail::new(&meta, &self.caller, Event::Operation(O::ROW));
        let parsed = Parsed::<O>::from_typed(&self.core, self.caller.clone(), &input);
        drop(input);
        let outcome = self.core.run_parsed(parsed, trail).await.into_outcome();
        outcome.map_err(|fault| self.error(&fault))
    }

    /// Calls any operation of the table, of another service too, by way of what local callers speak.
    ///
    /// # Errors
    /// What the service answers.
    pub async fn ask<O: Operation>(&self, input: &O::Input) -> Result<O::Output, KmsError> {
        let meta = RequestMeta::local(self.core.ids.next(), concat!("bulla/", env!("CARGO_PKG_VERSION")));
        let target = format!("{}{}", O::ROW.service.target_prefix(), O::ROW.name);
        let mut body = wire::encode_input::<O>(input);
        let answer = self.core.dispatch(Ok(self.caller.clone()), meta, &target, &mut body).await;
        let kms = self.description.clone();
        if let Some(error) = answer.error() {
            return Err(KmsError::Answered { error: error.clone(), kms });
        }
        wire::decode_output::<O>(&mut answer.into_body())
            .map_err(|_| KmsError::Answered { error: ApiError::internal(), kms })
    }

    fn error(&self, fault: &Fault) -> KmsError {
        match fault.to_local_failure() {
            Some(failure) => KmsError::Store(failure),
            None => KmsError::Answered { error: fault.to_answer(), kms: self.description.clone() },
        }
    }
}

macro_rules! methods {
    ($($name:ident, $method:ident, $input:ident, $output:ident;)*) => {
        impl Kms for EmbeddedKms {
            $(
                fn $method<'a>(&'a self, input: $input) -> CallFuture<'a, $output> {
                    Box::pin(self.call::<$name>(input))
                }
            )*

            fn describe(&self) -> String {
                self.description.clone()
            }
        }
    };
}

for_each_kms_operation!(methods);
