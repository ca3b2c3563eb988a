//! The hash chain: what each line adds to its record, and how it is checked.
//!
//! A line is the record's JSON object with one more member at its end:
//! `"chain":{"sequence":N,"previous":"…","relayed":{"sequence":S,"eventID":"…"},"hash":"…"}`.
//! `previous` is the hash of the line before (zeros for the first), `relayed` the last change that was relayed up to
//! here (absent before the first), and `hash` SHA-256 over a label and all of the line that stands before it. So each
//! line proves itself and names the one before; what was taken out, put in, changed or moved shows.

use crate::record::Entry;
use crate::sink::RelayMark;
use bulla_crypto::{hex, sha256};
use serde::Deserialize;
use std::sync::Arc;

/// Size of a hash.
pub const HASH_BYTES: usize = 32;

/// Most bytes of a line. A longer one is no line of ours.
pub const LINE_BYTES_MAX: usize = 512 * 1024;

/// Keeps these hashes apart from SHA-256 over the same bytes elsewhere.
const LABEL: &[u8] = b"bulla audit line 1\0";

const CHAIN_START: &[u8] = b",\"chain\":{";
const HASH_START: &[u8] = b",\"hash\":\"";
const HASH_END: &[u8] = b"\"}}";
const SUFFIX_BYTES: usize = HASH_START.len() + 2 * HASH_BYTES + HASH_END.len();

/// The end of a chain, to which the next line is tied.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct ChainEnd {
    /// Number of the last line; 0 when there is none.
    pub(crate) sequence: u64,
    /// Hash of the last line; zeros when there is none.
    pub(crate) hash: [u8; HASH_BYTES],
    /// The last change that was relayed.
    pub(crate) relayed: Option<Arc<RelayMark>>,
}

/// A line that proves itself.
#[derive(Debug)]
pub(crate) struct Link {
    /// The chain's end with this line.
    pub(crate) end: ChainEnd,
    /// The hash of the line before.
    pub(crate) previous: [u8; HASH_BYTES],
}

impl ChainEnd {
    /// Writes the line of `entry` to `out`, newline included, and moves the end to it.
    pub(crate) fn append(&mut self, entry: &Entry, relayed: Option<RelayMark>, out: &mut Vec<u8>) {
        if let Some(mark) = relayed {
            self.relayed = Some(Arc::new(mark));
        }
        self.sequence = self.sequence.wrapping_add(1);
        let start = out.len();
        let json = entry.as_bytes();
        // The object's closing brace comes after the chain.
        out.extend_from_slice(json.get(..json.len().saturating_sub(1)).unwrap_or_default());
        out.extend_from_slice(CHAIN_START);
        out.extend_from_slice(b"\"sequence\":");
        push_number(self.sequence, out);
        out.extend_from_slice(b",\"previous\":\"");
        out.extend_from_slice(&hex(&self.hash));
        out.push(b'"');
        if let Some(mark) = &self.relayed {
            out.extend_from_slice(b",\"relayed\":{\"sequence\":");
            push_number(mark.sequence, out);
            out.extend_from_slice(b",\"eventID\":\"");
            // Event ids are UUIDs; anything that JSON would escape is left out.
            out.extend(mark.event_id.bytes().filter(|b| b.is_ascii_alphanumeric() || *b == b'-'));
            out.extend_from_slice(b"\"}");
        }
        self.hash = sha256(&[LABEL, out.get(start..).unwrap_or_default()]);
        out.extend_from_slice(HASH_START);
        out.extend_from_slice(&hex(&self.hash));
        out.extend_from_slice(HASH_END);
        out.push(b'\n');
    }
}

/// Reads a line, given without its newline. `None` when it is not one of ours, or was changed.
pub(crate) fn read_line(line: &[u8]) -> Option<Link> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Chain {
        sequence: u64,
        previous: String,
        relayed: Option<Relayed>,
    }
    #[derive(Deserialize)]
    struct Relayed {
        sequence: u64,
        #[serde(rename = "eventID")]
        event_id: String,
    }

    let (hashed, suffix) = line.split_at_checked(line.len().checked_sub(SUFFIX_BYTES)?)?;
    let hash = read_hex(suffix.strip_prefix(HASH_START)?.strip_suffix(HASH_END)?)?;
    if sha256(&[LABEL, hashed]) != hash {
        return None;
    }
    let start = hashed.windows(CHAIN_START.len()).rposition(|window| window == CHAIN_START)?;
    // From its opening brace on; the closing one stands behind the hash.
    let mut object = hashed.get(start + CHAIN_START.len() - 1..)?.to_vec();
    object.push(b'}');
    let chain: Chain = serde_json::from_slice(&object).ok()?;
    let relayed =
        chain.relayed.map(|mark| Arc::new(RelayMark { sequence: mark.sequence, event_id: mark.event_id }));
    let previous = read_hex(chain.previous.as_bytes())?;
    Some(Link { end: ChainEnd { sequence: chain.sequence, hash, relayed }, previous })
}

/// The entry that closes `torn`, bytes that are no line: it names their length and hash.
pub(crate) fn recovery_entry(torn: &[u8]) -> Entry {
    let hash = hex(&sha256(&[torn]));
    Entry::own(&format!(
        "{{{RECOVERY_HEAD}\"tornBytes\":{},\"tornSha256\":\"{}\"}}",
        torn.len(),
        String::from_utf8_lossy(&hash)
    ))
}

/// How the line of a recovery entry begins, behind its brace.
const RECOVERY_HEAD: &str = "\"eventType\":\"BullaAuditRecovery\",\"eventName\":\"RecoverAuditLog\",";

/// What a recovery line says of the bytes before it: their length and hash. `None` for every other line.
pub(crate) fn read_recovery(line: &[u8]) -> Option<(u64, [u8; HASH_BYTES])> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Recovery {
        torn_bytes: u64,
        torn_sha256: String,
    }
    line.strip_prefix(b"{")?.strip_prefix(RECOVERY_HEAD.as_bytes())?;
    let recovery: Recovery = serde_json::from_slice(line).ok()?;
    Some((recovery.torn_bytes, read_hex(recovery.torn_sha256.as_bytes())?))
}

fn push_number(number: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

fn read_hex(digits: &[u8]) -> Option<[u8; HASH_BYTES]> {
    if digits.len() != 2 * HASH_BYTES {
        return None;
    }
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let mut out = [0; HASH_BYTES];
    for (byte, pair) in out.iter_mut().zip(digits.chunks_exact(2)) {
        let [high, low] = pair else { return None };
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(out)
}
