//! UpdatePrimaryRegion.

use super::Executes;
use crate::authorize::{Authorized, KeyName, Names};
use crate::change::Change;
use crate::core::Core;
use crate::fault::Fault;
use crate::keys::{Key, no_such_key};
use crate::pipeline::Executed;
use crate::record::KeyRecord;
use crate::trail::ServiceEvent;
use bulla_api::{Empty, ErrorCode, Role, Service, UpdatePrimaryRegion, UpdatePrimaryRegionInput};
use bulla_audit::Parameters;
use bulla_policy::Values;
use std::sync::Arc;

impl Executes for UpdatePrimaryRegion {
    fn names(input: &UpdatePrimaryRegionInput) -> Names<'_> {
        Names {
            key: Some(KeyName::id_or_arn(&input.key_id)),
            other_region: Some(&input.primary_region),
            ..Names::default()
        }
    }

    fn says<'i>(input: &'i UpdatePrimaryRegionInput, _role: Role, key: &str) -> Option<Values<'i>> {
        match key {
            "kms:primaryregion" => Some(input.primary_region.as_str().into()),
            _ => None,
        }
    }

    fn describe(input: &UpdatePrimaryRegionInput) -> Parameters {
        Parameters::new()
            .text("keyId", input.key_id.as_str())
            .text("primaryRegion", input.primary_region.as_str())
    }

    async fn execute(core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
        let (input, key) = (request.input(), request.key(Role::Key)?);
        key.require_primary()?;
        key.require_enabled()?;
        let place = core.other_place(&key.place, &input.primary_region)?;
        let next = request.related_key().ok_or_else(|| no_such_key(&place, key.id))?;
        next.require_replica()?;
        next.require_enabled()?;
        // It is not among the next one's materials, and would be the pending one of a replica alone.
        if key.record.pending.is_some() {
            return Err(Fault::answer(
                ErrorCode::KMSInvalidStateException,
                format!("{} has key material that is pending rotation.", key.arn),
            ));
        }

        let mut change = Change::new();
        for relative in core.relatives(key).await? {
            let record = relative.record.clone();
            let record = match relative.place.region == place.region {
                // How the keys are rotated is the primary's affair, and goes with the role.
                true => KeyRecord {
                    primary: None,
                    rotation: key.record.rotation,
                    on_demand_rotations: key.record.on_demand_rotations,
                    ..record
                },
                false => KeyRecord { primary: Some(place.region.clone()), ..record },
            };
            change.update_key(&relative, &record);
        }
        let record = KeyRecord {
            primary: Some(place.region.clone()),
            rotation: None,
            on_demand_rotations: 0,
            ..key.record.clone()
        };
        change.update_key(key, &record);
        change.event(became_primary(next));
        let response = Parameters::new().text("keyId", key.arn.as_str());
        Ok(request.done(Empty).changing(change).telling(response))
    }
}

/// What the audit log tells in the new primary key's region, as AWS CloudTrail does.
fn became_primary(key: &Key) -> ServiceEvent {
    let region = key.place.region.to_string();
    let details = Parameters::new().text("keyId", key.arn.as_str()).text("primaryRegion", region.as_str());
    ServiceEvent {
        source: Service::Kms.event_source(),
        name: "UpdatePrimaryRegion",
        account: Some(key.place.account.to_string()),
        region,
        key_arn: Some(key.arn.clone()),
        data: Some(details),
    }
}
