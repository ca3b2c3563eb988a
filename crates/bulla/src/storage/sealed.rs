//! Objects of the Amazon S3 Encryption Client: sealed by `--format s3ec`, known by their metadata when they are opened.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use bulla_envelope::{
    CommitmentPolicy, EnvelopeError, Input, Job, Keyring, Output, S3ecObject, S3ecSealer, Summary,
};

use super::{Format, Incoming, ObjectName, Outgoing, Provider, Upload};
use crate::app::App;
use crate::cli::Encrypt;
use crate::exit::{Exit, Failure};
use crate::keys;
use crate::progress::Progress;
use crate::work;

/// What an instruction file's name adds to its object's.
const INSTRUCTION_SUFFIX: &str = ".instruction";
/// Many times what an instruction file holds, in bytes.
const INSTRUCTION_BYTES_MAX: u64 = 64 << 10;

/// Refuses what has no place in such an object.
pub(crate) fn check_sealing(command: &Encrypt, policy: CommitmentPolicy) -> Result<(), Failure> {
    let given = [
        (command.suite.is_some(), "--suite"),
        (command.frame_length.is_some(), "--frame-length"),
        (command.detached_keys, "--detached-keys"),
        (command.reuse_data_key, "--reuse-data-key"),
    ];
    if let Some((_, option)) = given.into_iter().find(|(given, _)| *given) {
        return Err(Failure::usage(format!(
            "{option} is of sealed messages, and --format s3ec has no such thing; leave it out"
        )));
    }
    if policy == CommitmentPolicy::ForbidEncryptAllowDecrypt {
        return Err(Failure::usage(
            "--format s3ec writes objects that commit to their key, which --commitment-policy forbid-encrypt-allow-decrypt forbids",
        ));
    }
    Ok(())
}

/// Refuses outputs that are no objects, or none of S3.
pub(crate) fn check_outputs<'a>(outputs: impl Iterator<Item = &'a Path>) -> Result<(), Failure> {
    for output in outputs {
        match ObjectName::of(output)? {
            Some(name) if name.provider == Provider::S3 => {}
            Some(name) => return Err(not_of_s3(&name)),
            None => return Err(needs_an_object()),
        }
    }
    Ok(())
}

fn not_of_s3(name: &ObjectName) -> Failure {
    Failure::usage(format!(
        "`{name}`: --format s3ec is of objects of Amazon S3, s3://BUCKET/KEY; leave it out: there sealed messages are what objects hold"
    ))
}

/// Refuses a context where the format binds it to nothing: raw keys wrap the data key without it, and whoever may write the
/// metadata may write another.
pub(crate) fn refuse_context(object: &S3ecObject, demanded: bool, shown: &str) -> Result<(), Failure> {
    if object.is_for_kms() || !demanded {
        return Ok(());
    }
    Err(Failure::usage(format!(
        "-c: nothing binds a context to `{shown}`, an object of the S3 Encryption Client whose key a raw key wraps; leave it out, or use a KMS key or --format esdk"
    )))
}

fn needs_an_object() -> Failure {
    Failure::usage(
        "--format s3ec writes objects, whose key is in their metadata; name one with -o s3://BUCKET/KEY",
    )
}

/// An object whose key is made, and whose content is awaited.
pub(crate) struct Prepared {
    sealer: S3ecSealer,
    upload: Upload,
}

/// Makes the key of an object. `context` is as the options give it.
pub(crate) async fn prepare(
    keyrings: &[Keyring],
    context: &[String],
    target: Outgoing<'_>,
    input_shown: &str,
) -> Result<Prepared, Failure> {
    let Outgoing::Object(upload) = target else { return Err(needs_an_object()) };
    let context = keys::context_to_seal(context)?;
    let sealer = S3ecSealer::prepare(keyrings, &context).await;
    let sealer = sealer.map_err(|error| Failure::envelope(&error, input_shown, &upload.shown()))?;
    let object = S3ecObject::read(sealer.metadata(), None);
    let object = object.map_err(|error| Failure::envelope(&error, input_shown, &upload.shown()))?;
    refuse_context(&object, context.iter().next().is_some(), &upload.shown())?;
    upload.set_metadata(sealer.metadata().clone().into_iter().collect());
    Ok(Prepared { sealer, upload })
}

impl Prepared {
    /// Seals what is read into the object, and tells of it.
    pub(crate) fn seal(
        self,
        app: &App,
        input_shown: &str,
        reading: Input<'_>,
        job: &Job,
    ) -> Result<Summary, Failure> {
        let Self { sealer, mut upload } = self;
        let output_shown = upload.shown();
        let failed = |error: &EnvelopeError| Failure::envelope(error, input_shown, &output_shown);
        let object = S3ecObject::read(sealer.metadata(), None).map_err(|error| failed(&error))?;
        let length = reading.length();
        upload.expect(length.map(|length| sealer.sealed_bytes(length)));
        let job = work::sized(job, length);
        let progress = Progress::start(input_shown.to_owned(), job.progress.clone(), length, app.say);
        let written = sealer.run(reading, Output::private(&mut upload), &job);
        let written = match written {
            Ok(summary) => upload.finish().map(|()| summary),
            Err(error) => Err(upload.given_up(failed(&error))),
        };
        let elapsed = progress.end();
        let summary = written?;
        let told = Told {
            what: "sealed",
            input: input_shown,
            output: Some(&output_shown),
            data_on_stdout: false,
            summary: Some((summary, elapsed)),
        };
        report(app, &told, &object)?;
        Ok(summary)
    }
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
    if pinned.name.provider != Provider::S3 {
        return if said { Err(not_of_s3(&pinned.name)) } else { Ok(None) };
    }
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
    /// How much it was and how long it took, unless only its key was looked at.
    pub(crate) summary: Option<(Summary, Duration)>,
}

/// Tells of it, as far as the options ask for that.
pub(crate) fn report(app: &App, told: &Told<'_>, object: &S3ecObject) -> Result<(), Failure> {
    let (summary, elapsed) = told.summary.unzip();
    let described = object.describe();
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
        "context": pairs(object),
        "seconds": elapsed.map(|elapsed| elapsed.as_secs_f64()),
    });
    app.say.done(&text, &event, told.data_on_stdout)
}

fn pairs(object: &S3ecObject) -> serde_json::Map<String, serde_json::Value> {
    object.context().map(|(name, value)| (name.to_owned(), value.into())).collect()
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
    let json = serde_json::json!({
        "event": "inspected",
        "input": source.shown,
        "format": object.describe(),
        "commitment": object.commits(),
        "message_bytes": bytes,
        "plaintext_bytes": plaintext,
        "context": pairs(object),
        "authenticated": false,
    });
    (text, json)
}
