//! The least that has to be done: a file read in pieces and sealed, opened or hashed in place, on two threads, and nothing
//! written. This program runs it in a process of its own, so that it is timed as its rivals are.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU64, Ordering};

use bulla_crypto::{AesGcm, Implementation, Sha384};

use super::Failure;

/// The argument that means this.
pub(super) const NAME: &str = "--bare";
/// What fits a core's second-level cache, in bytes.
const PIECE: u64 = 256 << 10;
const THREADS: usize = 2;

/// `aws-lc FILE`, `fastest FILE` or `sha384 FILE`.
pub(super) fn run(arguments: &[String]) -> Result<(), Failure> {
    let [what, path] = arguments else { return Err("--bare aws-lc|fastest|sha384 FILE".into()) };
    let file = File::open(path)?;
    match what.as_str() {
        "aws-lc" => seal(&file, Implementation::AwsLc),
        "fastest" => seal(&file, Implementation::fastest()),
        "sha384" => hash(&file),
        other => Err(format!("nothing bare: {other}").into()),
    }
}

fn seal(file: &File, by: Implementation) -> Result<(), Failure> {
    let length = file.metadata()?.len();
    let key = AesGcm::by(by, &[7; 32]).map_err(|_| "key")?;
    let next = AtomicU64::new(0);
    let work = || -> Result<(), String> {
        let mut buffer = vec![0; usize::try_from(PIECE).map_err(|error| error.to_string())?];
        loop {
            let at = next.fetch_add(PIECE, Ordering::Relaxed);
            if at >= length {
                return Ok(());
            }
            let bytes = usize::try_from(PIECE.min(length - at)).map_err(|error| error.to_string())?;
            let piece = buffer.get_mut(..bytes).ok_or("piece")?;
            file.read_exact_at(piece, at).map_err(|error| error.to_string())?;
            let mut nonce = [0; 12];
            nonce[4..].copy_from_slice(&at.to_be_bytes());
            std::hint::black_box(key.seal(&nonce, b"", piece).map_err(|_| "seal")?);
        }
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(work)).collect();
        for thread in threads {
            thread.join().map_err(|_| "a thread panicked")??;
        }
        Ok(())
    })
}

fn hash(file: &File) -> Result<(), Failure> {
    let length = file.metadata()?.len();
    let mut buffer = vec![0; usize::try_from(PIECE)?];
    let mut hash = Sha384::new();
    let mut at = 0;
    while at < length {
        let bytes = usize::try_from(PIECE.min(length - at))?;
        let piece = buffer.get_mut(..bytes).ok_or("piece")?;
        file.read_exact_at(piece, at)?;
        hash.update(piece);
        at += PIECE;
    }
    std::hint::black_box(hash.finish());
    Ok(())
}
