//! `bulla key public-key`.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bulla_api as api;

use super::find;
use crate::app::App;
use crate::exit::Failure;
use crate::output::{self, OutputRules};

/// Characters in a line of PEM (RFC 7468, section 2).
const LINE_CHARACTERS: usize = 64;
/// Of a new file: what it holds is for everyone.
const MODE_PUBLIC: u32 = 0o644;

pub(super) async fn run(app: &mut App, target: &str, to: Option<&Path>) -> Result<(), Failure> {
    let (found, key) = find(app, target).await?;
    let input = api::GetPublicKeyInput { key_id: key.to_owned(), ..api::GetPublicKeyInput::default() };
    let answer = found.kms.get_public_key(input).await?;
    let pem = pem(&answer.public_key);
    let Some(to) = to else {
        let json = serde_json::json!({
            "KeyId": answer.key_id,
            "KeySpec": answer.key_spec.as_str(),
            "KeyUsage": answer.key_usage.as_str(),
            "PublicKey": pem,
        });
        return app.say.result(pem.trim_end(), &json);
    };
    let rules =
        OutputRules { force: app.common.force, sync: false, mode: MODE_PUBLIC, inputs: &[], within: None };
    output::write_whole(to, rules, pem.as_bytes())?;
    let event = serde_json::json!({
        "event": "public_key_written",
        "KeyId": answer.key_id,
        "output": to.display().to_string(),
    });
    let summary = format!("wrote the public key of {} to {}", answer.key_id, to.display());
    app.say.done(&summary, &event, to == Path::new("-"))
}

/// RFC 7468, section 13.
fn pem(spki: &[u8]) -> String {
    let base64 = STANDARD.encode(spki);
    let mut out = String::from("-----BEGIN PUBLIC KEY-----\n");
    for (index, character) in base64.chars().enumerate() {
        if index > 0 && index % LINE_CHARACTERS == 0 {
            out.push('\n');
        }
        out.push(character);
    }
    out.push_str("\n-----END PUBLIC KEY-----\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_pem_have_64_characters() {
        let expected = format!(
            "-----BEGIN PUBLIC KEY-----\n{}\n{}\n-----END PUBLIC KEY-----\n",
            "A".repeat(64),
            "A".repeat(64)
        );
        assert_eq!(pem(&[0; 96]), expected);
        assert_eq!(pem(&[0; 3]), "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n");
    }
}
