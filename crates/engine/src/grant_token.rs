//! Grant tokens: sealed, so that they tell nothing and can't be made. A token names a grant and authorises nothing: the
//! grant must be there, and fit the caller, whenever it is asked.

use crate::core::Core;
use crate::fault::Fault;
use crate::record::{GrantId, Place};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bulla_api::{ErrorCode, KeyId};

const LABEL: &str = "bulla/grant-token/v1";

/// Whoever holds a token may hand it on: it is bound to nobody.
const BOUND_TO: &[u8] = b"";

/// What a token names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NamedGrant {
    pub(crate) place: Place,
    pub(crate) key: KeyId,
    pub(crate) id: GrantId,
}

impl NamedGrant {
    /// A new token. No two are the same.
    pub(crate) fn token(&self, core: &Core) -> Result<String, Fault> {
        let Self { place, key, id } = self;
        let payload = format!("{} {} {key} {id}", place.account, place.region);
        let token = core.vault.barrier().seal_token(LABEL, BOUND_TO, payload.as_bytes(), core.rng())?;
        Ok(URL_SAFE_NO_PAD.encode(token))
    }

    /// What a caller's token names.
    pub(crate) fn of_token(core: &Core, token: &str) -> Result<Self, Fault> {
        Self::read(core, token).ok_or_else(|| Fault::answer(ErrorCode::InvalidGrantTokenException, ""))
    }

    fn read(core: &Core, token: &str) -> Option<Self> {
        let token = URL_SAFE_NO_PAD.decode(token).ok()?;
        let payload = core.vault.barrier().open_token(LABEL, BOUND_TO, &token).ok()?;
        let mut words = std::str::from_utf8(payload.expose()).ok()?.split(' ');
        let mut next = || words.next();
        let place = Place { account: next()?.parse().ok()?, region: next()?.parse().ok()? };
        let (key, id) = (next()?.parse().ok()?, GrantId::parse(next()?)?);
        next().is_none().then_some(Self { place, key, id })
    }
}
