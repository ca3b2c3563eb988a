//! Pagination markers: sealed, so that they tell nothing and can't be made, and bound to the very list they continue.

use crate::authenticate::Authenticated;
use crate::core::Core;
use crate::fault::Fault;
use crate::record::Place;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bulla_api::ErrorCode;

/// How long a marker can be used.
const VALID_MS: i64 = 24 * 60 * 60 * 1000;

const LABEL: &str = "bulla/pagination-marker/v1";

/// What a marker is bound to: who lists, where, what, and with which filters.
pub(crate) struct Listing<'l> {
    pub(crate) caller: &'l Authenticated,
    pub(crate) place: &'l Place,
    pub(crate) operation: &'static str,
    pub(crate) filter: &'l str,
}

impl Listing<'_> {
    fn bound_to(&self) -> Vec<u8> {
        let parts = [
            self.place.account.to_string(),
            self.place.region.to_string(),
            self.caller.principal().arn().to_owned(),
            self.operation.to_owned(),
            self.filter.to_owned(),
        ];
        // None of these holds a NUL byte: ids, ARNs and names don't.
        parts.join("\0").into_bytes()
    }

    /// A marker from which the list goes on after `last`.
    pub(crate) fn marker(&self, core: &Core, last: &str) -> Result<String, Fault> {
        let until = core.clock.wall_ms().saturating_add(VALID_MS);
        let payload = [&until.to_be_bytes(), last.as_bytes()].concat();
        let token = core.vault.barrier().seal_token(LABEL, &self.bound_to(), &payload, core.rng())?;
        Ok(URL_SAFE_NO_PAD.encode(token))
    }

    /// Where a marker says that the list goes on.
    pub(crate) fn after(&self, core: &Core, marker: &str) -> Result<String, Fault> {
        self.read(core, marker)
            .ok_or_else(|| Fault::answer(ErrorCode::InvalidMarkerException, "Invalid marker."))
    }

    fn read(&self, core: &Core, marker: &str) -> Option<String> {
        let token = URL_SAFE_NO_PAD.decode(marker).ok()?;
        let payload = core.vault.barrier().open_token(LABEL, &self.bound_to(), &token).ok()?;
        let (until, last) = payload.expose().split_first_chunk::<8>()?;
        let until = i64::from_be_bytes(*until);
        let now = core.clock.wall_ms();
        (now < until).then(|| String::from_utf8(last.to_vec()).ok()).flatten()
    }
}
