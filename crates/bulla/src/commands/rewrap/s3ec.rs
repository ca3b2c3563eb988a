//! `bulla rewrap` of an object of the S3 Encryption Client. Its key is in its metadata, which the server writes anew; its
//! content stays where it is.

use std::collections::BTreeMap;

use bulla_envelope::{EnvelopeError, Keyring, S3ecObject};
use serde_json::json;

use super::Rewrapping;
use crate::exit::{Failure, one_line};
use crate::keys;
use crate::recipients::{Changes, Wanted};
use crate::storage::{Incoming, sealed};
use crate::work;

impl Rewrapping<'_> {
    /// Gives an object of the S3 Encryption Client another key.
    pub(super) async fn s3ec(
        &mut self,
        source: &Incoming,
        object: S3ecObject,
        changes: &Changes,
    ) -> Result<(), Failure> {
        let arguments = &self.command.opening;
        let shown = &source.shown;
        let failed = |error: &EnvelopeError| Failure::envelope(error, shown, shown);
        let Some((storage, pinned)) = source.object() else {
            return Err(Failure::usage(format!("`{shown}` is no object")));
        };
        if let Some(given) = &arguments.keys {
            return Err(Failure::usage(format!(
                "--keys {}: `{shown}` was not sealed with detached keys; leave it out",
                given.display()
            )));
        }
        let to = self.only_key(shown, changes)?;
        let policy = work::policy(&arguments.work)?;
        let required = keys::context(&arguments.context)?;
        sealed::refuse_context(&object, !arguments.context.is_empty(), shown)?;
        if object.context().next().is_some() && object.is_for_kms() != matches!(to.keyring, Keyring::Kms(_)) {
            return Err(Failure::usage(format!(
                "`{shown}` has an encryption context, which is bound to it under a KMS key and not under a raw one; decrypt it and \
                 seal it anew"
            )));
        }
        let opened = self.unlocking.open_object(self.app, &object, (policy, &required), failed).await?;
        let (was, is) = (opened.opened_by().to_owned(), to.name.shown());
        let event = |what: &str| {
            json!({
                "event": what, "input": shown, "added": [&is], "removed": [&was], "keys": [&is], "sealed_anew": false,
            })
        };
        if was == is {
            self.count.unchanged += 1;
            let event = json!({ "event": "unchanged", "input": shown, "keys": [&is], "sealed_anew": false });
            return self.app.say.done(&format!("`{shown}` has the wanted recipients already"), &event, false);
        }
        self.count.changed += 1;
        let words = format!("also for {is}, no longer for {was}");
        if self.command.dry_run {
            let text = one_line(&format!("`{shown}` would be {words}"));
            return self.app.say.result(&text, &event("would_rewrap"));
        }
        let metadata: BTreeMap<_, _> = pinned.metadata.clone().into_iter().collect();
        let rewrapped = object.rewrap(&metadata, &opened, &to.keyring).await;
        let rewrapped = rewrapped.map_err(|error| failed(&error))?;
        storage.replace_metadata(pinned, rewrapped.into_iter().collect())?;
        self.app.say.done(&format!("`{shown}` is now {words}"), &event("rewrapped"), false)
    }

    /// The format has room for one key.
    fn only_key<'c>(&self, shown: &str, changes: &'c Changes) -> Result<&'c Wanted, Failure> {
        let mut wanted = changes.at_hand();
        match (wanted.next(), wanted.next()) {
            (Some(one), None) if self.command.add.is_empty() && self.command.remove.is_empty() => Ok(one),
            _ => Err(Failure::usage(format!(
                "`{shown}` is an object of the S3 Encryption Client, which has one key; name that with --to, and nothing else"
            ))),
        }
    }
}
