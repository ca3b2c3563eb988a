//! `bulla inspect`.

mod objects;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use bulla_envelope::{ContentType, EncryptedDataKey, HeaderLimits, Input, Inspection};

use crate::app::App;
use crate::at::At;
use crate::cli::Inspect;
use crate::detached::{self, Found};
use crate::exit::{Failure, one_line};
use crate::mirror;
use crate::recipients::KeyName;
use crate::storage::{self, Access, Incoming, Prefix, sealed};
use crate::tree::{Kind, Walk};
use crate::work::{self, Worst};

/// Shows what each input says of itself.
pub(crate) async fn run(app: &mut App, command: &Inspect) -> Result<(), Failure> {
    let mut limits = HeaderLimits::default();
    if let Some(max) = command.max_edks {
        limits.max_encrypted_data_keys = max;
    }
    detached::check_option(command.keys.as_deref(), command.input.len())?;
    let mut worst = Worst::default();
    for input in &command.input {
        match Prefix::of(input) {
            Ok(Some(prefix)) => {
                objects::behind(app, command, prefix, limits, &mut worst).await;
                continue;
            }
            Ok(None) => {}
            Err(failure) => {
                worst.add(failure);
                continue;
            }
        }
        let input = match storage::resolve(input) {
            Ok(input) => input,
            Err(failure) => {
                worst.add(failure);
                continue;
            }
        };
        if mirror::is_directory(&input) {
            if let Err(failure) = detached::refuse_for_directory(command.keys.as_deref()) {
                worst.add(failure);
                continue;
            }
            directory(app, &input, limits, &mut worst);
        } else {
            worst.see(one(app, command, &input, limits).await);
        }
    }
    worst.end()
}

async fn one(app: &mut App, command: &Inspect, input: &Path, limits: HeaderLimits) -> Result<(), Failure> {
    let source = Incoming::open(app, &command.storage, input).await?;
    let title = match command.input.len() {
        1 => String::new(),
        _ => format!("{}:\n", one_line(&source.shown)),
    };
    if let Some(object) = sealed::object_of(&source, command.storage.format)? {
        let (text, json) = sealed::inspection(&source, &object);
        return app.say.result(&format!("{title}{text}"), &json);
    }
    let found = bulla_envelope::inspect(source.reading(Access::Parts)?, limits)
        .map_err(|error| Failure::envelope(&error, &source.shown, "standard output"))?;
    let keys = match found.header.file_key_id() {
        None => None,
        Some(_) => {
            let object = source.object().map(|(_, object)| object);
            let Inspect { storage, keys, .. } = command;
            let place = (At::path(input), object);
            Some(detached::find(app, storage, place, keys.as_deref(), &found.header, limits).await)
        }
    };
    let (openers, missing) = Openers::of(&found, keys);
    app.say.result(&format!("{title}{}", text(&found, &openers)), &json(&source.shown, &found, &openers))?;
    missing.map_or(Ok(()), Err)
}

/// The keys that open a file, and where they stand.
struct Openers {
    keys: Vec<EncryptedDataKey>,
    /// The file or object with its detached keys.
    place: Option<String>,
}

impl Openers {
    /// Detached keys that can't be had are a failure that is told after what the file itself says.
    fn of(found: &Inspection, detached: Option<Result<Found, Failure>>) -> (Self, Option<Failure>) {
        match detached {
            None => (Self { keys: found.header.encrypted_data_keys.clone(), place: None }, None),
            Some(Ok(found)) => {
                let keys = found.keys.header().encrypted_data_keys.clone();
                (Self { keys, place: Some(found.shown()) }, None)
            }
            Some(Err(failure)) => (Self { keys: Vec::new(), place: None }, Some(failure)),
        }
    }
}

/// What a directory holds.
#[derive(Default)]
struct Tally {
    sealed: u64,
    /// Of those, the ones that don't say which key opens them.
    unnamed: u64,
    others: u64,
    failed: u64,
    keys: BTreeMap<KeyName, Uses>,
}

/// The files that a key opens.
#[derive(Default)]
struct Uses {
    files: u64,
    /// Of those, the ones that no other key opens.
    alone: u64,
}

fn directory(app: &App, directory: &Path, limits: HeaderLimits, worst: &mut Worst) {
    let walk = match Walk::of(directory) {
        Ok(walk) => walk,
        Err(failure) => return worst.add(failure),
    };
    let mut tally = Tally::default();
    for entry in walk {
        let result = match entry {
            Err(failure) => Err(failure),
            Ok(entry) if entry.kind != Kind::File || entry.is_temporary() => continue,
            Ok(entry) => entry.open().and_then(|file| tally.file(app, entry.at(), &file, limits)),
        };
        tally.failed += u64::from(result.is_err());
        worst.see(result);
    }
    let shown = directory.display().to_string();
    worst.see(app.say.result(&tally.text(&shown), &tally.json(&shown)));
}

impl Tally {
    fn file(&mut self, app: &App, at: At<'_>, file: &File, limits: HeaderLimits) -> Result<(), Failure> {
        let shown = at.path.display().to_string();
        let reading = file.try_clone().and_then(Input::file);
        let reading = reading.map_err(|error| Failure::io("cannot read", &shown, &error))?;
        let found = match bulla_envelope::inspect(reading, limits) {
            Err(error) if work::is_something_else(&error, at.path.as_os_str().as_bytes()) => {
                self.others += 1;
                return Ok(());
            }
            found => found.map_err(|error| Failure::envelope(&error, &shown, "standard output"))?,
        };
        if found.header.detached_keys_id().is_some()
            && detached::file_of(at.path)
                .is_some_and(|file| detached::header_of(at.beside(&file), limits).is_some())
        {
            // They are told of with their file.
            return Ok(());
        }
        let keys = found.header.file_key_id();
        let keys = keys.map(|_| detached::find_file(at, None, &found.header, limits));
        self.message(app, &shown, &found, keys)
    }

    /// A sealed message, and its detached keys if it has such.
    fn message(
        &mut self,
        app: &App,
        shown: &str,
        found: &Inspection,
        detached: Option<Result<Found, Failure>>,
    ) -> Result<(), Failure> {
        let (openers, missing) = Openers::of(found, detached);
        self.sealed += 1;
        let mut names: Vec<_> = openers.keys.iter().map(KeyName::of).collect();
        names.sort();
        names.dedup();
        let alone = names.len() == 1;
        for name in names {
            let uses = self.keys.entry(name).or_default();
            uses.files += 1;
            uses.alone += u64::from(alone);
        }
        app.say.result(&line(shown, found, &openers), &json(shown, found, &openers))?;
        missing.map_or(Ok(()), Err)
    }

    fn text(&self, directory: &str) -> String {
        let Self { sealed, unnamed, others, failed, keys } = self;
        let mut out =
            format!("{}: {sealed} sealed, {others} not sealed, {failed} failed", one_line(directory));
        if *unnamed > 0 {
            let _ = write!(
                out,
                "\n  {unnamed} of them of the S3 Encryption Client, which don't say what opens them"
            );
        }
        for (name, Uses { files, alone }) in keys {
            let files_word = if *files == 1 { "file" } else { "files" };
            let _ = write!(
                out,
                "\n  {} opens {files} {files_word}, {alone} of which no other key opens",
                one_line(&name.shown())
            );
        }
        out
    }

    fn json(&self, directory: &str) -> serde_json::Value {
        let keys: Vec<_> = self
            .keys
            .iter()
            .map(|(name, uses)| {
                serde_json::json!({
                    "provider": name.provider, "name": name.shown(), "files": uses.files, "alone": uses.alone,
                })
            })
            .collect();
        serde_json::json!({
            "event": "summary", "input": directory, "sealed": self.sealed, "key_not_named": self.unnamed,
            "not_sealed": self.others, "failed": self.failed, "keys": keys,
        })
    }
}

/// One line of a directory's.
fn line(shown: &str, found: &Inspection, openers: &Openers) -> String {
    let keys: Vec<_> = openers.keys.iter().map(|key| one_line(&key.display_name())).collect();
    let pairs = found.header.context.iter();
    let pairs: Vec<_> =
        pairs.map(|(name, value)| format!("{}={}", one_line(name), one_line(value))).collect();
    let context = if pairs.is_empty() { String::new() } else { format!("  ({})", pairs.join(", ")) };
    format!("{}: {}{context}", one_line(shown), keys.join(", "))
}

fn text(found: &Inspection, openers: &Openers) -> String {
    let header = &found.header;
    let mut out = String::new();
    // Writing to a string doesn't fail.
    let _ = writeln!(out, "suite         {}", suite(found));
    let _ = writeln!(out, "message id    {}", hex(&header.message_id));
    let _ = match header.content {
        ContentType::Framed { length } => writeln!(out, "frames        of {length} bytes"),
        ContentType::NonFramed => writeln!(out, "frames        none, one piece"),
    };
    if let Some(size) = found.plaintext {
        let frames = if size.frames == 1 { "frame" } else { "frames" };
        let _ = writeln!(out, "plaintext     {} bytes in {} {frames}", size.bytes, size.frames);
    }
    for (name, value) in header.context.iter() {
        let _ = writeln!(out, "context       {}={}", one_line(name), one_line(value));
    }
    if let Some(place) = &openers.place {
        let _ = writeln!(out, "keys in       {}", one_line(place));
    }
    for key in &openers.keys {
        let _ = writeln!(out, "key           {}", one_line(&key.display_name()));
    }
    out.push_str("(not authenticated; bulla verify checks it)");
    out
}

fn suite(found: &Inspection) -> String {
    let suite = found.header.suite;
    let mut text = format!("{:04x}, AES-{}-GCM", suite.id(), suite.key_bytes().saturating_mul(8));
    if suite.commits() {
        text.push_str(", key commitment");
    }
    if suite.signature().is_some() {
        text.push_str(", signed");
    }
    text
}

fn json(input: &str, found: &Inspection, openers: &Openers) -> serde_json::Value {
    let header = &found.header;
    let context: serde_json::Map<_, _> =
        header.context.iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
    let keys: Vec<_> = openers
        .keys
        .iter()
        .map(|key| serde_json::json!({ "provider": key.provider_id, "name": key.display_name() }))
        .collect();
    serde_json::json!({
        "event": "inspected",
        "input": input,
        "suite": format!("{:04x}", header.suite.id()),
        "version": header.suite.version().byte(),
        "message_id": hex(&header.message_id),
        "commitment": header.suite.commits(),
        "signed": header.suite.signature().is_some(),
        "frame_length": match header.content {
            ContentType::Framed { length } => Some(length),
            ContentType::NonFramed => None,
        },
        "header_bytes": found.header_bytes,
        "message_bytes": found.message_bytes,
        "plaintext_bytes": found.plaintext.map(|size| size.bytes),
        "frames": found.plaintext.map(|size| size.frames),
        "context": context,
        "keys": keys,
        "file_key": header.file_key_id(),
        "keys_file": openers.place,
        "authenticated": false,
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
