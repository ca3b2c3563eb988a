//! `bulla inspect`.

use std::fmt::Write as _;
use std::path::PathBuf;

use bulla_envelope::{ContentType, HeaderLimits, Inspection};

use crate::app::App;
use crate::cli::Inspect;
use crate::exit::Failure;
use crate::storage::{self, Access, Incoming, sealed};
use crate::work;

/// Shows what each input says of itself.
pub(crate) async fn run(app: &mut App, command: &Inspect) -> Result<(), Failure> {
    let mut limits = HeaderLimits::default();
    if let Some(max) = command.max_edks {
        limits.max_encrypted_data_keys = max;
    }
    let say = app.say;
    let several = command.input.len() > 1;
    work::each(&command.input, async |input: &PathBuf| {
        let source = Incoming::open(app, &command.storage, &storage::resolve(input)?).await?;
        if let Some(object) = sealed::object_of(&source, command.storage.format)? {
            let (text, json) = sealed::inspection(&source, &object);
            let title = if several { format!("{}:\n", printable(&source.shown)) } else { String::new() };
            return say.result(&format!("{title}{text}"), &json);
        }
        let reading = source.reading(Access::Parts)?;
        let found = bulla_envelope::inspect(reading, limits)
            .map_err(|error| Failure::envelope(&error, &source.shown, "standard output"))?;
        let title = if several { format!("{}:\n", printable(&source.shown)) } else { String::new() };
        say.result(&format!("{title}{}", text(&found)), &json(&source.shown, &found))
    })
    .await
}

fn text(found: &Inspection) -> String {
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
        let _ = writeln!(out, "context       {}={}", printable(name), printable(value));
    }
    for key in &header.encrypted_data_keys {
        let _ = writeln!(out, "key           {}", printable(&key.display_name()));
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

fn json(input: &str, found: &Inspection) -> serde_json::Value {
    let header = &found.header;
    let context: serde_json::Map<_, _> =
        header.context.iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
    let keys: Vec<_> = header
        .encrypted_data_keys
        .iter()
        .map(|key| serde_json::json!({ "provider": key.provider_id, "name": key.display_name() }))
        .collect();
    serde_json::json!({
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
        "authenticated": false,
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A stranger's text must not drive a terminal.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
