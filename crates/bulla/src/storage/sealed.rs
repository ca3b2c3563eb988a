//! Objects of the Amazon S3 Encryption Client: sealed by `--format s3ec`, known by their metadata when they are opened.

use std::collections::BTreeMap;

use bulla_api::EncryptionContext;
use bulla_envelope::{
    CommitmentPolicy, EnvelopeError, Job, Keyring, Output, S3ecObject, S3ecOpener, S3ecSealer, Summary,
};

use super::{Access, Format, Incoming, Outgoing};
use crate::app::App;
use crate::cli::Encrypt;
use crate::exit::{Exit, Failure};
use crate::progress::Progress;

/// What an instruction file's name adds to its object's.
const INSTRUCTION_SUFFIX: &str = ".instruction";
/// Many times what an instruction file holds, in bytes.
const INSTRUCTION_BYTES_MAX: u64 = 64 << 10;

/// Refuses what has no place in such an object.
pub(crate) fn check_sealing(command: &Encrypt, policy: CommitmentPolicy) -> Result<(), Failure> {
    let refused = |option: &str| {
        Err(Failure::usage(format!(
            "{option} is of sealed messages, and --format s3ec has no such thing; leave it out"
        )))
    };
    if command.suite.is_some() {
        return refused("--suite");
    }
    if command.frame_length.is_some() {
        return refused("--frame-length");
    }
    if policy == CommitmentPolicy::ForbidEncryptAllowDecrypt {
        return Err(Failure::usage(
            "--format s3ec writes objects that commit to their key, which --commitment-policy forbid-encrypt-allow-decrypt forbids",
        ));
    }
    Ok(())
}

/// Seals an input into an object.
pub(crate) async fn seal(
    app: &App,
    source: &Incoming,
    target: Outgoing<'_>,
    keyrings: &[Keyring],
    context: &EncryptionContext,
    job: Job,
) -> Result<(), Failure> {
    let Outgoing::Object(mut upload) = target else {
        return Err(Failure::usage(
            "--format s3ec writes objects, whose key is in their metadata; name one with -o s3://BUCKET/KEY",
        ));
    };
    let output_shown = upload.shown();
    let failed = |error: &EnvelopeError| Failure::envelope(error, &source.shown, &output_shown);
    let reading = source.reading(Access::Whole)?;
    let length = reading.length();
    let sealer = S3ecSealer::prepare(keyrings, context).await.map_err(|error| failed(&error))?;
    upload.expect(length.map(|length| sealer.sealed_bytes(length)));
    let metadata = sealer.metadata().clone();
    upload.set_metadata(metadata.clone().into_iter().collect());
    let progress = progress(app, source, &job, length);
    let written = sealer.run(reading, Output::private(&mut upload), &job);
    drop(progress);
    let summary = written.map_err(|error| failed(&error))?;
    upload.finish()?;
    let object = S3ecObject::read(&metadata, None).map_err(|error| failed(&error))?;
    report(
        app,
        &Told { what: "sealed", input: &source.shown, output: Some(&output_shown), data_on_stdout: false },
        &object.describe(),
        Some(summary),
    )
}

/// The sealed object that an input is, if it is one: by its metadata, or because `--format s3ec` says so.
pub(crate) fn object_of(source: &Incoming, format: Option<Format>) -> Result<Option<S3ecObject>, Failure> {
    if format == Some(Format::Esdk) {
        return Ok(None);
    }
    let said = format == Some(Format::S3ec);
    let Some((storage, pinned)) = source.object() else {
        if said {
            return Err(Failure::usage(format!(
                "`{}` is no object, and --format s3ec is of objects; name one as s3://BUCKET/KEY",
                source.shown
            )));
        }
        return Ok(None);
    };
    if !said && !S3ecObject::is_one(pinned.metadata.keys().map(String::as_str)) {
        return Ok(None);
    }
    let metadata: BTreeMap<String, String> =
        pinned.metadata.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.clone())).collect();
    let mut instruction = None;
    if S3ecObject::needs_instruction_file(&metadata) {
        let file = storage.look(&pinned.name.with_suffix(INSTRUCTION_SUFFIX))?;
        if file.bytes > INSTRUCTION_BYTES_MAX {
            return Err(Failure::new(
                Exit::NotIntact,
                format!(
                    "`{}` has {} bytes, which no instruction file has; check what it is",
                    file.name, file.bytes
                ),
            ));
        }
        instruction = Some(storage.read_whole(&file)?);
    }
    S3ecObject::read(&metadata, instruction.as_deref())
        .map(Some)
        .map_err(|error| Failure::envelope(&error, &source.shown, "nothing"))
}

/// Opens an object whose key is open into an output, or nowhere.
pub(crate) fn open(
    app: &App,
    source: &Incoming,
    opener: S3ecOpener,
    described: &str,
    target: Option<Outgoing<'_>>,
    told: &Told<'_>,
    job: Job,
) -> Result<(), Failure> {
    let failed =
        |error: &EnvelopeError| Failure::envelope(error, &source.shown, told.output.unwrap_or("nothing"));
    let reading = source.reading(Access::Whole)?;
    let length = reading.length();
    let progress = progress(app, source, &job, length);
    let written = match target {
        Some(mut target) => {
            target.expect(length);
            target.write(|output| opener.run(reading, output, &job), failed)
        }
        None => opener.run(reading, Output::discard(), &job).map_err(|error| failed(&error)),
    };
    drop(progress);
    report(app, told, described, Some(written?))
}

/// What is told of an object.
pub(crate) struct Told<'a> {
    /// `sealed`, `opened` or `verified`.
    pub(crate) what: &'static str,
    /// The input's name.
    pub(crate) input: &'a str,
    /// The output's name, when there is one.
    pub(crate) output: Option<&'a str>,
    /// Whether data went to standard output.
    pub(crate) data_on_stdout: bool,
}

/// Tells of it, as far as the options ask for that.
pub(crate) fn report(
    app: &App,
    told: &Told<'_>,
    described: &str,
    summary: Option<Summary>,
) -> Result<(), Failure> {
    let to = told.output.map(|output| format!(" to `{output}`")).unwrap_or_default();
    let size = summary.map(|summary| format!(", {} bytes", summary.plaintext_bytes)).unwrap_or_default();
    let text = format!("{} `{}`{to}{size}, {described}", told.what, told.input);
    let event = serde_json::json!({
        "event": told.what,
        "input": told.input,
        "output": told.output,
        "plaintext_bytes": summary.map(|summary| summary.plaintext_bytes),
        "message_bytes": summary.map(|summary| summary.message_bytes),
        "format": described,
    });
    app.say.done(&text, &event, told.data_on_stdout)
}

/// What an object says of itself: text for people, and JSON.
pub(crate) fn inspection(source: &Incoming, object: &S3ecObject) -> (String, serde_json::Value) {
    let bytes = source.object().map(|(_, pinned)| pinned.bytes);
    let plaintext = bytes.and_then(|bytes| bytes.checked_sub(16));
    let mut text = format!("format        {}\n", object.describe());
    if let Some(plaintext) = plaintext {
        text.push_str(&format!("plaintext     {plaintext} bytes in 1 piece\n"));
    }
    for (name, value) in object.context() {
        text.push_str(&format!(
            "context       {}={}\n",
            crate::exit::one_line(name),
            crate::exit::one_line(value)
        ));
    }
    text.push_str("(not authenticated; bulla verify checks it)");
    let context: serde_json::Map<_, _> =
        object.context().map(|(name, value)| (name.to_owned(), value.into())).collect();
    let json = serde_json::json!({
        "input": source.shown,
        "format": object.describe(),
        "commitment": object.commits(),
        "message_bytes": bytes,
        "plaintext_bytes": plaintext,
        "context": context,
        "authenticated": false,
    });
    (text, json)
}

fn progress(app: &App, source: &Incoming, job: &Job, length: Option<u64>) -> Progress {
    let shows = !app.say.quiet && !app.say.json;
    Progress::start(source.shown.clone(), job.progress.clone(), length, shows)
}
