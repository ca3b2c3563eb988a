//! Operations of every service, called as one caller.

use bulla_api::{KmsError, Operation};
use bulla_engine::EmbeddedKms;

use super::local::LocalKms;
use super::remote::RemoteKms;

/// Who calls, and where.
pub(crate) enum Caller<'k> {
    /// The engine in this process, its store held meanwhile: nothing else may be waited for.
    Embedded(&'k EmbeddedKms),
    /// The server that holds the store.
    Served(&'k LocalKms),
    /// A server across the network.
    Remote(&'k RemoteKms),
}

impl Caller<'_> {
    /// Calls an operation.
    pub(crate) async fn call<O: Operation>(&self, input: &O::Input) -> Result<O::Output, KmsError> {
        match self {
            Self::Embedded(engine) => engine.ask::<O>(input).await,
            Self::Served(local) => local.ask::<O>(input).await,
            Self::Remote(remote) => remote.call::<O>(input).await,
        }
    }
}
