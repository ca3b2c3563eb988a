//! What records cost. `cargo test --release -p bulla-envelope --test all speed -- --ignored --nocapture` prints it.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use crate::support;

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bulla_api::SecretBytes;
use bulla_envelope::{Envelope, MemoryKeyTable, RawAesKey, RecordError};
use support::context;

/// The fastest of several runs: others use the processors too.
fn fastest(times: u32, mut run: impl FnMut(u32)) -> Duration {
    let rounds = (0..10).map(|_| {
        let started = Instant::now();
        (0..times).for_each(&mut run);
        started.elapsed() / times
    });
    rounds.min().unwrap()
}

#[test]
#[ignore = "measures; needs a release build and a quiet machine"]
fn records_of_200_bytes_on_one_core() -> Result<(), RecordError> {
    let key = RawAesKey::new("ns", "kn", SecretBytes::copy_of(&[7; 32]))?;
    let envelope = Envelope::builder().keyring(key).key_table(Arc::new(MemoryKeyTable::new())).build()?;
    let content = [0x5a; 200];
    // A place is made for each row, as an application does.
    let place = |row: u32| context(&[("table", "patients"), ("column", "name"), ("id", &row.to_string())]);
    let record = envelope.seal_record_blocking(&place(0), &content)?;
    let made = fastest(20_000, |row| drop(black_box(place(row))));
    let sealed = fastest(20_000, |row| {
        black_box(envelope.seal_record_blocking(&place(row), black_box(&content)).unwrap());
    });
    let opened = fastest(20_000, |_| {
        black_box(envelope.open_record_blocking(&place(0), black_box(&record)).unwrap());
    });
    for (what, each) in [("the place alone", made), ("sealing", sealed), ("opening", opened)] {
        println!("{what}: {each:?}, {:.0} a second", 1.0 / each.as_secs_f64());
    }
    let limit = Duration::from_micros(5);
    assert!(sealed < limit && opened < limit, "200,000 records of 200 bytes a second on a core");
    Ok(())
}
