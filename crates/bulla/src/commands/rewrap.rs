//! `bulla rewrap`.

mod object;
mod s3ec;

use std::fs::File;
use std::io::Write as _;
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use bulla_envelope::{
    ContentType, DEFAULT_FRAME_LENGTH, EncryptedDataKey, EnvelopeError, Header, HeaderLimits, Input, Job,
    Keyring, MAX_SEALED_FRAME_LENGTH, Message, OpenOptions, Opener, Output, SealOptions, Sealer,
};
use serde_json::json;

use super::open::open_options;
use crate::app::App;
use crate::at::At;
use crate::cli::Rewrap;
use crate::detached::{self, Found, Turn, Where};
use crate::exit::{Exit, Failure, one_line};
use crate::keys::{self, KMS_PROVIDER};
use crate::mirror;
use crate::output::{self, OutputRules, Source, Target};
use crate::progress::Progress;
use crate::recipients::{Changes, KeyName, Plan, Wanted};
use crate::say;
use crate::storage::{self, Prefix, is_object};
use crate::tree::{Kind, Walk};
use crate::unlocking::Unlocking;
use crate::work::{self, STREAM, Worst};

/// The context pair that signing suites make for themselves.
const PUBLIC_KEY_NAME: &str = bulla_envelope::format::PUBLIC_KEY_NAME;

/// Gives each file the recipients that the options say.
pub(crate) async fn run(app: &mut App, command: &Rewrap) -> Result<(), Failure> {
    let options = open_options(&command.opening)?;
    let job = work::job(&command.opening.work)?;
    let unlocking = Unlocking::new(&command.opening.key, &command.opening.discovery_account)?
        .reusing(command.opening.reuse_data_key)
        .also_at(also_at(command));
    detached::check_option(command.opening.keys.as_deref(), command.input.len())?;
    let changes = Changes::of(app, command).await?;
    let limits = work::limits(&command.opening.work);
    let mut rewrapping =
        Rewrapping { app, command, options, job, limits, unlocking, given: None, count: Count::default() };
    let mut worst = Worst::default();
    for input in &command.input {
        match Prefix::of(input) {
            Ok(Some(prefix)) => {
                rewrapping.prefix(prefix, &changes, &mut worst).await;
                continue;
            }
            Ok(None) => {}
            Err(failure) => {
                worst.add(failure);
                continue;
            }
        }
        let result = match storage::resolve(input) {
            Ok(input) if mirror::is_directory(&input) => {
                rewrapping.directory(&input, &changes, &mut worst).await;
                continue;
            }
            Ok(input) if input == Path::new(STREAM) => {
                Err(Failure::usage("`-`: a stream can't be rewrapped; name a file"))
            }
            Ok(input) if is_object(&input) => rewrapping.object(&input, &changes).await,
            Ok(input) => match Source::open(&input) {
                Ok(source) => rewrapping.one(At::path(&input), source.file, &changes).await,
                Err(failure) => Err(failure),
            },
            Err(failure) => Err(failure),
        };
        worst.see(result);
    }
    worst.end()
}

/// The KMS of the keys that come and go, which may have the keys that are there.
fn also_at(command: &Rewrap) -> Vec<String> {
    keys::named_at(command.to.iter().chain(&command.add).chain(&command.remove))
}

#[derive(Default)]
struct Count {
    changed: u64,
    unchanged: u64,
    not_sealed: u64,
    failed: u64,
}

impl Count {
    /// Nothing changed, as there was nothing to change, is not all well.
    fn found_nothing(&self) -> bool {
        let Self { changed, unchanged, not_sealed: _, failed } = self;
        changed.saturating_add(*unchanged).saturating_add(*failed) == 0
    }
}

struct Rewrapping<'a> {
    app: &'a mut App,
    command: &'a Rewrap,
    options: OpenOptions,
    job: Job,
    limits: HeaderLimits,
    unlocking: Unlocking<'a>,
    /// The keys of `-k`, to seal for them again what is sealed anew in full.
    given: Option<Vec<Wanted>>,
    count: Count,
}

impl Rewrapping<'_> {
    /// All that is sealed in a directory; a file's keys with the file.
    async fn directory(&mut self, directory: &Path, changes: &Changes, worst: &mut Worst) {
        if let Err(failure) = detached::refuse_for_directory(self.command.opening.keys.as_deref()) {
            return worst.add(failure);
        }
        self.count = Count::default();
        let walk = match Walk::of(directory) {
            Ok(walk) => walk,
            Err(failure) => return worst.add(failure),
        };
        for entry in walk {
            let result = match entry {
                Err(failure) => Err(failure),
                Ok(entry) if entry.kind != Kind::File || entry.is_temporary() => continue,
                Ok(entry) => match entry.open() {
                    Ok(file) => match holds(&file, entry.at(), self.limits) {
                        Holds::Sealed => self.one(entry.at(), file, changes).await,
                        Holds::KeysOfAnother => continue,
                        Holds::Else => {
                            self.count.not_sealed += 1;
                            continue;
                        }
                    },
                    Err(failure) => Err(failure),
                },
            };
            self.count.failed += u64::from(result.is_err());
            worst.see(result);
        }
        let shown = directory.display().to_string();
        worst.see(self.summary(&shown, "file"));
        if self.count.found_nothing() {
            worst.add(Failure::new(
                Exit::Failed,
                format!("no sealed files in `{shown}`; nothing was changed; check the path"),
            ));
        }
    }

    /// What was done with several.
    fn summary(&self, shown: &str, what: &str) -> Result<(), Failure> {
        let Count { changed, unchanged, not_sealed, failed } = self.count;
        let failures = if failed > 0 { format!(", {failed} failed") } else { String::new() };
        let text = format!(
            "`{shown}`: {} changed, {unchanged} unchanged, {not_sealed} others left alone{failures}",
            say::counted(changed, what)
        );
        let event = json!({
            "event": "summary", "input": shown, "changed": changed, "unchanged": unchanged,
            "others": not_sealed, "failed": failed, "dry_run": self.command.dry_run,
        });
        self.app.say.done(&text, &event, false)
    }

    async fn one(&mut self, at: At<'_>, file: File, changes: &Changes) -> Result<(), Failure> {
        let shown = at.path.display().to_string();
        let failed = |error: &EnvelopeError| Failure::envelope(error, &shown, &shown);
        let meta = file.metadata().map_err(|error| Failure::io("cannot read", &shown, &error))?;
        if !meta.is_file() {
            return Err(Failure::usage(format!("`{shown}` is no regular file, and can't be rewrapped")));
        }
        let reading = file.try_clone().and_then(Input::file);
        let reading = reading.map_err(|error| Failure::io("cannot read", &shown, &error))?;
        let message = Message::read(reading, &self.options).map_err(|error| failed(&error))?;
        let given = self.command.opening.keys.as_deref();
        if message.header().detached_keys_id().is_some() {
            let sealed = detached::file_of(at.path).filter(|file| {
                detached::header_of(at.beside(file), self.limits).is_some_and(|h| h.file_key_id().is_some())
            });
            if let Some(sealed) = &sealed {
                // The same as by the name of the file.
                let sealed = at.beside(sealed);
                let file = sealed
                    .open()
                    .map_err(|error| Failure::io("cannot read", sealed.path.display(), &error))?;
                return self.with_keys(sealed, file, Some(at.path), changes).await;
            }
            detached::here::refuse_unsettled(at.path)?;
            let keys =
                detached::read(at, self.limits)?.ok_or_else(|| failed(&EnvelopeError::NoDetachedKeys))?;
            let found = Found { keys, place: Where::File(at.path.to_owned()) };
            return self.keys(&found, at.within, None, changes).await;
        }
        if message.header().file_key_id().is_some() {
            return self.with_keys(at, file, given, changes).await;
        }
        self.whole(at, &file, message, changes).await
    }

    /// A file with detached keys.
    async fn with_keys(
        &mut self,
        at: At<'_>,
        file: File,
        given: Option<&Path>,
        changes: &Changes,
    ) -> Result<(), Failure> {
        let shown = at.path.display().to_string();
        let failed = |error: &EnvelopeError| Failure::envelope(error, &shown, &shown);
        let keys = detached::keys_of(at.path, given);
        if !self.command.dry_run && !is_object(&keys) {
            let keys = at.beside(&keys);
            let _turn = Turn::take(keys)?;
            detached::settle(at, keys, self.limits)?;
        }
        let reading = Input::file(file).map_err(|error| Failure::io("cannot read", &shown, &error))?;
        let message = Message::read(reading, &self.options).map_err(|error| failed(&error))?;
        let storage = &self.command.opening.storage;
        let place = (at, None);
        let found = detached::find(self.app, storage, place, given, message.header(), self.limits).await?;
        self.keys(&found, at.within, Some((shown.as_str(), message)), changes).await
    }

    /// Writes the keys of a file or object anew: of a file in an open directory, there.
    async fn keys(
        &mut self,
        found: &Found,
        within: Option<BorrowedFd<'_>>,
        file: Option<(&str, Message<'_>)>,
        changes: &Changes,
    ) -> Result<(), Failure> {
        let shown = found.shown();
        let failed = |error: &EnvelopeError| Failure::envelope(error, &shown, &shown);
        let plan = changes.plan(&found.keys.header().encrypted_data_keys);
        if self.is_settled(&shown, &plan, None)? {
            return Ok(());
        }
        let opened = found.open(self.app, &mut self.unlocking).await?;
        if let Some((file_shown, message)) = file {
            // Keys that don't open their file are not worth keeping: who notices it should still have the old ones.
            let keyring = opened.file_key.keyring().map_err(|error| failed(&error))?;
            let unlocked = message.unlock(&[keyring]).await;
            let _opens = unlocked.map_err(|error| Failure::envelope(&error, file_shown, "nothing"))?;
        }
        let added: Vec<&Keyring> = plan.added.iter().map(|one| &one.keyring).collect();
        let bytes =
            opened.reseal(|key| plan.kept.contains(key), &added).await.map_err(|error| failed(&error))?;
        replace_keys(found, within, &bytes, self.limits)?;
        self.told(&shown, &plan, None)
    }

    /// Whether nothing is to be done, or was only to be told.
    fn is_settled(&mut self, shown: &str, plan: &Plan<'_>, whole: Option<u64>) -> Result<bool, Failure> {
        let say = self.app.say;
        for absent in &plan.absent {
            say.note(&format!("bulla: `{shown}`: `{absent}` is none of the keys that open it"));
        }
        if plan.leaves_nobody() {
            return Err(Failure::usage(format!(
                "`{shown}`: nobody could open it any longer; nothing was changed; name another key with --add or --to"
            )));
        }
        let event = |what: &str| {
            json!({
                "event": what, "input": shown, "added": plan.added_shown(), "removed": plan.removed_shown(),
                "keys": plan.all_shown(), "sealed_anew": whole.is_some() && !plan.is_nothing(),
            })
        };
        if plan.is_nothing() {
            self.count.unchanged += 1;
            say.done(&format!("`{shown}` has the wanted recipients already"), &event("unchanged"), false)?;
            return Ok(true);
        }
        if self.command.dry_run {
            self.count.changed += 1;
            let how = match whole {
                Some(bytes) => format!(" sealed anew in full, {bytes} bytes,"),
                None => String::new(),
            };
            let text = one_line(&format!("`{shown}` would be{how} {}", in_words(plan)));
            say.result(&text, &event("would_rewrap"))?;
            return Ok(true);
        }
        Ok(false)
    }

    fn told(&mut self, shown: &str, plan: &Plan<'_>, whole: Option<u64>) -> Result<(), Failure> {
        self.count.changed += 1;
        let event = json!({
            "event": "rewrapped", "input": shown, "added": plan.added_shown(), "removed": plan.removed_shown(),
            "keys": plan.all_shown(), "sealed_anew": whole.is_some(),
        });
        let how = if whole.is_some() { "sealed anew, and" } else { "is now" };
        self.app.say.done(&format!("`{shown}` {how} {}", in_words(plan)), &event, false)
    }

    /// A file that has its keys in its header: opened and sealed anew, under a new data key.
    async fn whole(
        &mut self,
        at: At<'_>,
        file: &File,
        message: Message<'static>,
        changes: &Changes,
    ) -> Result<(), Failure> {
        let shown = at.path.display().to_string();
        let failed = |error: &EnvelopeError| Failure::envelope(error, &shown, &shown);
        let unreadable = |error| Failure::io("cannot read", &shown, &error);
        let before = file.metadata().map_err(unreadable)?;
        let plan = changes.plan(&message.header().encrypted_data_keys);
        if self.is_settled(&shown, &plan, Some(before.len()))? {
            return Ok(());
        }
        let (opener, sealer) = self.prepare_anew(&shown, before.len(), message, &plan, changes).await?;
        let rules = OutputRules {
            force: true,
            // The old file is gone with this one's name: it has to be there.
            sync: true,
            mode: before.mode() & 0o777,
            inputs: &[],
            within: at.within,
        };
        let Target::Fresh(fresh) = output::open(at.path, rules)? else {
            return Err(Failure::usage(format!("`{shown}` is no regular file, and can't be rewrapped")));
        };
        let job = work::sized(&self.job, Some(before.len()));
        let progress = Progress::start(shown.clone(), job.progress.clone(), Some(before.len()), self.app.say);
        let summary = bulla_envelope::reseal(opener, sealer, Output::unpublished(&fresh.file), &job);
        drop(progress);
        let summary = summary.map_err(|error| failed(&error))?;
        self.keep_owner(&fresh.file, &before, &shown);
        let _turn = Turn::take(at)?;
        let now = at.metadata().map_err(unreadable)?;
        let of =
            |meta: &std::fs::Metadata| (meta.dev(), meta.ino(), meta.len(), meta.mtime(), meta.mtime_nsec());
        if of(&now) != of(&before) {
            return Err(changed_meanwhile(&shown));
        }
        fresh.commit()?;
        self.told(&shown, &plan, Some(summary.plaintext_bytes))
    }

    /// Opens a message's data key, and makes another for the recipients of the plan. Says first what will be done.
    async fn prepare_anew(
        &mut self,
        shown: &str,
        bytes: u64,
        message: Message<'static>,
        plan: &Plan<'_>,
        changes: &Changes,
    ) -> Result<(Opener<'static>, Sealer), Failure> {
        let failed = |error: &EnvelopeError| Failure::envelope(error, shown, shown);
        let options = self.seal_options(message.header())?;
        let again = self.sealing_again(shown, &plan.kept, changes).await?;
        self.app.say.note(&format!(
            "bulla: `{shown}` has no detached keys: it is sealed anew in full, {bytes} bytes"
        ));
        let opener = self.unlocking.unlock(self.app, message, failed).await?;
        let given = self.given.as_deref().unwrap_or_default();
        let mut recipients = Vec::new();
        for key in &plan.kept {
            let name = KeyName::of(key);
            let keyring = given
                .iter()
                .chain(&again)
                .chain(changes.at_hand())
                .find(|one| one.name == name)
                .map(|one| &one.keyring);
            recipients.push(keyring.ok_or_else(|| cannot_stay(shown, key))?);
        }
        recipients.extend(plan.added.iter().map(|one| &one.keyring));
        let sealer =
            bulla_envelope::prepare_seal_for(&recipients, &options).await.map_err(|error| failed(&error))?;
        Ok((opener, sealer))
    }

    /// Suite, frame length and context of a message, for another one.
    fn seal_options(&self, header: &Header) -> Result<SealOptions, Failure> {
        let frame_length = match header.content {
            ContentType::Framed { length } => length.min(MAX_SEALED_FRAME_LENGTH),
            ContentType::NonFramed => DEFAULT_FRAME_LENGTH,
        };
        let context = header.context.iter().filter(|(name, _)| *name != PUBLIC_KEY_NAME);
        let context = context.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let options = SealOptions::new()
            .commitment_policy(work::policy(&self.command.opening.work)?)
            .suite(header.suite)
            .frame_length(frame_length)
            .context(context)
            .max_encrypted_data_keys(self.limits.max_encrypted_data_keys);
        options.check().map_err(|error| Failure::usage(error.to_string()))?;
        Ok(options)
    }

    /// The keys that stay: those of `-k`, and KMS keys by the ARNs in the header. A raw key must be given.
    async fn sealing_again(
        &mut self,
        shown: &str,
        kept: &[EncryptedDataKey],
        changes: &Changes,
    ) -> Result<Vec<Wanted>, Failure> {
        if kept.is_empty() {
            return Ok(Vec::new());
        }
        if self.given.is_none() {
            self.given = Some(keys::wanted(self.app, &self.command.opening.key).await?);
        }
        let given = self.given.as_deref().unwrap_or_default();
        let mut again = Vec::new();
        for key in kept {
            if given.iter().chain(changes.at_hand()).any(|one| one.name == KeyName::of(key)) {
                continue;
            }
            let arn =
                std::str::from_utf8(&key.provider_info).ok().filter(|_| key.provider_id == KMS_PROVIDER);
            let arn = arn.ok_or_else(|| cannot_stay(shown, key))?;
            again.push(keys::wanted_again(self.app, arn, &also_at(self.command)).await?);
        }
        Ok(again)
    }

    /// A file that is written in another's name by its directory's owner, or by root, stays its owner's.
    fn keep_owner(&self, file: &File, before: &std::fs::Metadata, shown: &str) {
        if let Err(line) = keep_owner(file, before) {
            self.app.say.note(&format!("bulla: `{shown}` {line}"));
        }
    }
}

/// What a file that was found in a directory holds.
enum Holds {
    /// Something sealed, of its own; or what is to be told about when it is opened.
    Sealed,
    /// The keys of another file there, that are changed with it.
    KeysOfAnother,
    /// What is not sealed, or keys that have the name of a file that others belong to.
    Else,
}

fn holds(file: &File, at: At<'_>, limits: HeaderLimits) -> Holds {
    let Ok(input) = file.try_clone().and_then(Input::file) else { return Holds::Sealed };
    let header = match bulla_envelope::inspect(input, limits) {
        Err(error) if work::is_something_else(&error, at.path.as_os_str().as_bytes()) => return Holds::Else,
        Err(_) => return Holds::Sealed,
        Ok(found) => found.header,
    };
    let Some(id) = header.detached_keys_id() else { return Holds::Sealed };
    let file = detached::file_of(at.path);
    match file.and_then(|file| detached::header_of(at.beside(&file), limits)) {
        None => Holds::Sealed,
        Some(file) if file.file_key_id().as_deref() == Some(id) => Holds::KeysOfAnother,
        Some(_) => Holds::Else,
    }
}

fn in_words(plan: &Plan<'_>) -> String {
    let mut words = Vec::new();
    if !plan.added.is_empty() {
        words.push(format!("also for {}", plan.added_shown().join(", ")));
    }
    if !plan.removed.is_empty() {
        words.push(format!("no longer for {}", plan.removed_shown().join(", ")));
    }
    words.join(", ")
}

fn cannot_stay(shown: &str, key: &EncryptedDataKey) -> Failure {
    let name = key.display_name();
    Failure::usage(format!(
        "`{shown}` is sealed anew for all its keys, and `{name}` is not at hand; nothing was changed; \
         give it with -k, or leave it out with --remove"
    ))
}

fn changed_meanwhile(shown: &str) -> Failure {
    Failure::new(
        Exit::Failed,
        format!(
            "`{shown}` was changed meanwhile by another program; nothing was written; run the command again"
        ),
    )
}

fn keep_owner(file: &File, before: &std::fs::Metadata) -> Result<(), &'static str> {
    let now = file.metadata().map_err(|_| "may have another owner now")?;
    if (now.uid(), now.gid()) == (before.uid(), before.gid()) {
        return Ok(());
    }
    std::os::unix::fs::fchown(file, Some(before.uid()), Some(before.gid()))
        .map_err(|_| "has another owner or group now: this user may not set the one that it had")
}

/// Puts other keys in the place of those that were found, if they are still the same.
fn replace_keys(
    found: &Found,
    within: Option<BorrowedFd<'_>>,
    bytes: &[u8],
    limits: HeaderLimits,
) -> Result<(), Failure> {
    let shown = found.shown();
    let at = match &found.place {
        Where::File(path) => At { path, within },
        Where::Object(object) => {
            let replaced = object.replace(&found.keys, bytes, limits)?;
            return if replaced { Ok(()) } else { Err(changed_meanwhile(&shown)) };
        }
    };
    let _turn = Turn::take(at)?;
    let now = detached::read(at, limits)?;
    if now.is_none_or(|now| now.bytes() != found.keys.bytes()) {
        return Err(changed_meanwhile(&shown));
    }
    let before = at.metadata().map_err(|error| Failure::io("cannot read", &shown, &error))?;
    // Without them the file can't be opened, however large it is: they are on the disk before the old ones go.
    let rules =
        OutputRules { force: true, sync: true, mode: before.mode() & 0o777, inputs: &[], within: at.within };
    let Target::Fresh(mut fresh) = output::open(at.path, rules)? else {
        return Err(Failure::usage(format!("`{shown}` is no regular file, and can't be rewrapped")));
    };
    fresh.file.write_all(bytes).map_err(|error| Failure::io("cannot write", &shown, &error))?;
    // Not the owner's any more where this user can't make it so: sealed keys are no secret.
    let _ = keep_owner(&fresh.file, &before);
    fresh.commit()
}
