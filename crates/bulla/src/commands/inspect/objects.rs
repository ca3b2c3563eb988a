//! `bulla inspect s3://BUCKET/PREFIX/`: which objects need which key. Of each only the start is read.

use std::collections::BTreeSet;
use std::sync::Arc;

use bulla_envelope::HeaderLimits;

use super::Tally;
use crate::app::App;
use crate::cli::Inspect;
use crate::detached::{self, Found};
use crate::exit::{Failure, one_line};
use crate::storage::{Format, Incoming, Listed, Listing, Look, Prefix, Storage, sealed};
use crate::work::Worst;

/// Shows what is sealed behind a prefix, and which keys open it.
pub(super) async fn behind(
    app: &mut App,
    command: &Inspect,
    prefix: Prefix,
    limits: HeaderLimits,
    worst: &mut Worst,
) {
    if let Err(failure) = detached::refuse_for_directory(command.keys.as_deref()) {
        return worst.add(failure);
    }
    let storage = match app.storage(&command.storage, prefix.provider()).await {
        Ok(storage) => storage,
        Err(failure) => return worst.add(failure),
    };
    let shown = prefix.to_string();
    let mut listing = Listing::of(Arc::clone(&storage), prefix);
    let mut objects =
        Objects { app, storage: &storage, tally: Tally::default(), told: BTreeSet::new(), limits };
    loop {
        let some = match listing.next(limits, |listed| keys_of(&storage, listed, limits)) {
            Ok(Some(some)) => some,
            Ok(None) => break,
            // What was told before is not all, and no summary says that it is.
            Err(failure) => return worst.add(failure),
        };
        for (listed, keys) in some {
            let result = objects.one(listed, keys, command.storage.format);
            objects.tally.failed += u64::from(result.is_err());
            worst.see(result);
        }
    }
    let Objects { tally, .. } = objects;
    worst.see(app.say.result(&tally.text(&shown), &tally.json(&shown)));
}

/// The detached keys of a message that has such.
fn keys_of(storage: &Arc<Storage>, listed: &Listed, limits: HeaderLimits) -> Option<Result<Found, Failure>> {
    let Ok(Look::Message(object, found)) = &listed.look else { return None };
    found.header.file_key_id()?;
    Some(detached::object::find_beside(storage, object, &found.header, limits))
}

struct Objects<'a> {
    app: &'a App,
    storage: &'a Arc<Storage>,
    tally: Tally,
    /// Objects with keys that were told of with the one that they open, and may be listed yet.
    told: BTreeSet<String>,
    limits: HeaderLimits,
}

impl Objects<'_> {
    fn one(
        &mut self,
        listed: Listed,
        keys: Option<Result<Found, Failure>>,
        format: Option<Format>,
    ) -> Result<(), Failure> {
        let shown = listed.name.to_string();
        let was_told = self.told.remove(&shown);
        // What comes before was not listed, and will not be.
        self.told = self.told.split_off(&shown);
        match listed.look? {
            Look::Other => self.tally.others += 1,
            Look::Object(object) => {
                let source = Incoming::of_object(self.storage, object);
                let Some(object) = sealed::object_of(&source, format)? else {
                    self.tally.others += 1;
                    return Ok(());
                };
                self.tally.sealed += 1;
                self.tally.unnamed += 1;
                let (_, json) = sealed::inspection(&source, &object);
                let line = format!("{}: {}", one_line(&shown), one_line(&object.describe()));
                self.app.say.result(&line, &json)?;
            }
            Look::Message(_, found) => {
                // They are told of with their object.
                if found.header.detached_keys_id().is_some()
                    && (was_told
                        || detached::object::is_beside_a_message(self.storage, &listed.name, self.limits)?)
                {
                    return Ok(());
                }
                if let Some(Ok(found)) = &keys {
                    self.told.insert(found.shown());
                }
                self.tally.message(self.app, &shown, &found, keys)?;
            }
        }
        Ok(())
    }
}
