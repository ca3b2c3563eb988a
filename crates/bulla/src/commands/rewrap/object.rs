//! `bulla rewrap` of objects: the keys beside one are written anew, or its metadata; or it is sealed anew in full.

use std::path::Path;
use std::sync::Arc;

use bulla_envelope::{EnvelopeError, Header, Message, Output};

use super::super::open::nothing_behind;
use super::Rewrapping;
use crate::at::At;
use crate::detached;
use crate::exit::{Exit, Failure};
use crate::progress::Progress;
use crate::recipients::Changes;
use crate::storage::{
    Access, Condition, Incoming, Listed, Listing, Look, ObjectName, Prefix, Upload, sealed,
};
use crate::work::{self, Worst};

impl Rewrapping<'_> {
    /// All that is sealed behind a prefix; an object's keys with the object.
    pub(super) async fn prefix(&mut self, prefix: Prefix, changes: &Changes, worst: &mut Worst) {
        if let Err(failure) = detached::refuse_for_directory(self.command.opening.keys.as_deref()) {
            return worst.add(failure);
        }
        self.count = super::Count::default();
        let storage = match self.app.storage(&self.command.opening.storage, prefix.provider()).await {
            Ok(storage) => storage,
            Err(failure) => return worst.add(failure),
        };
        let shown = prefix.to_string();
        let mut listing = Listing::of(Arc::clone(&storage), prefix);
        loop {
            let some = match listing.next(self.limits, |_| ()) {
                Ok(Some(some)) => some,
                Ok(None) => break,
                Err(failure) => return worst.add(failure),
            };
            for (listed, ()) in some {
                let result = self.listed(listed, changes).await;
                self.count.failed += u64::from(result.is_err());
                worst.see(result);
            }
        }
        worst.see(self.summary(&shown, "object"));
        if self.count.found_nothing() {
            worst.add(nothing_behind(&shown));
        }
    }

    async fn listed(&mut self, listed: Listed, changes: &Changes) -> Result<(), Failure> {
        let storage = self.app.storage(&self.command.opening.storage, listed.name.provider).await?;
        match listed.look? {
            Look::Other => {
                self.count.not_sealed += 1;
                Ok(())
            }
            Look::Message(_, found)
                if found.header.detached_keys_id().is_some()
                    && detached::object::is_beside_a_message(&storage, &listed.name, self.limits)? =>
            {
                self.count.not_sealed += 1;
                Ok(())
            }
            Look::Message(object, _) | Look::Object(object) => {
                self.opened(Incoming::of_object(&storage, object), changes).await
            }
        }
    }

    /// One object.
    pub(super) async fn object(&mut self, input: &Path, changes: &Changes) -> Result<(), Failure> {
        let source = Incoming::open(self.app, &self.command.opening.storage, input).await?;
        self.opened(source, changes).await
    }

    async fn opened(&mut self, source: Incoming, changes: &Changes) -> Result<(), Failure> {
        let shown = source.shown.clone();
        let failed = |error: &EnvelopeError| Failure::envelope(error, &shown, &shown);
        if let Some(object) = sealed::object_of(&source, self.command.opening.storage.format)? {
            return self.s3ec(&source, object, changes).await;
        }
        let message = Message::read(source.reading(Access::Parts)?, &self.options);
        let message = message.map_err(|error| failed(&error))?;
        if message.header().detached_keys_id().is_some() {
            return self.keys_object(&source, changes).await;
        }
        if message.header().file_key_id().is_some() {
            return self.object_with_keys(&source, None, message, changes).await;
        }
        if let Some(given) = &self.command.opening.keys {
            return Err(Failure::usage(format!(
                "--keys {}: `{shown}` was not sealed with detached keys; leave it out",
                given.display()
            )));
        }
        self.whole_object(&source, message.header(), changes).await
    }

    /// An object that holds the keys of another: those of one that is there by its name, or of nobody knows which.
    async fn keys_object(&mut self, source: &Incoming, changes: &Changes) -> Result<(), Failure> {
        let name = ObjectName::of(&source.path())?;
        let Some(name) = name else { return Err(Failure::usage(format!("`{}` is no object", source.shown))) };
        let storage = self.app.storage(&self.command.opening.storage, name.provider).await?;
        if let Some(opens) = detached::object::object_of(&name)
            && let Some(object) = storage.look_for(&opens)?
        {
            let opens = Incoming::of_object(&storage, object);
            let message = Message::read(opens.reading(Access::Parts)?, &self.options).ok();
            if let Some(message) = message.filter(|message| message.header().file_key_id().is_some()) {
                // The same as by the name of that object.
                return self.object_with_keys(&opens, Some(&name), message, changes).await;
            }
        }
        let found = detached::object::read(&storage, &name, self.limits)?;
        let found = found.ok_or_else(|| {
            Failure::new(Exit::Failed, format!("`{name}` was removed meanwhile; try again"))
        })?;
        self.keys(&found, None, None, changes).await
    }

    /// An object with detached keys, in the place that the option says, or where they were named.
    async fn object_with_keys(
        &mut self,
        source: &Incoming,
        named: Option<&ObjectName>,
        message: Message<'static>,
        changes: &Changes,
    ) -> Result<(), Failure> {
        let path = source.path();
        let object = source.object().map(|(_, object)| object);
        let arguments = &self.command.opening;
        // What was named is its keys' usual place, or the one that they may have for a while.
        let given = arguments.keys.as_deref().filter(|_| named.is_none());
        let header = message.header();
        if let Some(keys) = given.filter(|_| !self.command.dry_run) {
            detached::here::settle_for(keys, header, self.limits)?;
        }
        let found = detached::find(
            self.app,
            &arguments.storage,
            (At::path(&path), object),
            given,
            header,
            self.limits,
        )
        .await?;
        self.keys(&found, None, Some((source.shown.as_str(), message)), changes).await
    }

    /// An object that has its keys in its header: opened and sealed anew, under a new data key. It is read and written at
    /// the same time, and appears in the place of the old one if that is still there.
    async fn whole_object(
        &mut self,
        source: &Incoming,
        header: &Header,
        changes: &Changes,
    ) -> Result<(), Failure> {
        let shown = source.shown.clone();
        let failed = |error: &EnvelopeError| Failure::envelope(error, &shown, &shown);
        let Some((storage, object)) = source.object() else {
            return Err(Failure::usage(format!("`{shown}` is no object")));
        };
        let plan = changes.plan(&header.encrypted_data_keys);
        if self.is_settled(&shown, &plan, Some(object.bytes))? {
            return Ok(());
        }
        let kept = storage.to_keep(object)?;
        let message = Message::read(source.reading(Access::Whole)?, &self.options);
        let message = message.map_err(|error| failed(&error))?;
        let (opener, sealer) = self.prepare_anew(&shown, object.bytes, message, &plan, changes).await?;
        let condition = Condition::Same(object.etag().to_owned());
        let mut upload = Upload::under(Arc::clone(storage), object.name.clone(), condition);
        upload.set_metadata(object.metadata.clone());
        upload.keep(kept);
        // What is opened is shorter than the old object.
        upload.expect(sealer.sealed_bytes_max(object.bytes));
        let job = work::sized(&self.job, Some(object.bytes));
        let progress = Progress::start(shown.clone(), job.progress.clone(), Some(object.bytes), self.app.say);
        let summary = bulla_envelope::reseal(opener, sealer, Output::private(&mut upload), &job);
        drop(progress);
        let summary = summary.map_err(|error| upload.given_up(failed(&error)))?;
        upload.finish()?;
        self.told(&shown, &plan, Some(summary.plaintext_bytes))
    }
}
