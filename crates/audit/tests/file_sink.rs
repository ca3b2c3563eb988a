//! The audit log in a file: chained, grouped, closed after a crash, and shown to be whole.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, missing_docs)]

use bulla_audit::{AuditSink, Entry, FileSink, OpenError, RelayMark, Report, SyncPolicy, verify};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;

fn log() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("audit.log");
    (directory, path)
}

fn entry(number: usize) -> Entry {
    Entry::from_encoded(format!("{{\"eventName\":\"Decrypt\",\"number\":{number}}}").into_bytes()).unwrap()
}

fn mark(sequence: u64) -> RelayMark {
    RelayMark { sequence, event_id: format!("00000000-0000-4000-8000-{sequence:012}") }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap()
}

fn write(path: &Path, numbers: std::ops::Range<usize>) {
    let sink = FileSink::open(path, SyncPolicy::WithinASecond).unwrap();
    runtime().block_on(async {
        for number in numbers {
            sink.record(entry(number)).await.unwrap();
        }
    });
}

fn numbers(path: &Path) -> Vec<u64> {
    let text = String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned();
    let records = text.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    records.filter_map(|record| record["number"].as_u64()).collect()
}

fn intact(path: &Path) -> Report {
    let report = verify(path).unwrap();
    assert!(report.is_intact(), "{report:?}");
    report
}

#[test]
fn many_waiters_share_writes_and_the_chain_holds_over_openings() {
    let (_directory, path) = log();
    let policies = [SyncPolicy::WithinASecond, SyncPolicy::AtTheEnd, SyncPolicy::WithinASecond];
    for (round, policy) in policies.into_iter().enumerate() {
        let sink = Arc::new(FileSink::open(&path, policy).unwrap());
        runtime().block_on(async {
            let writers: Vec<_> = (0..20)
                .map(|writer| {
                    let sink = Arc::clone(&sink);
                    tokio::spawn(async move {
                        for number in 0..50 {
                            sink.record(entry(round * 1000 + writer * 50 + number)).await.unwrap();
                        }
                    })
                })
                .collect();
            for writer in writers {
                writer.await.unwrap();
            }
        });
    }
    let report = intact(&path);
    assert_eq!((report.records, report.last_sequence, report.recoveries), (3000, 3000, 0));
    let mut seen = numbers(&path);
    seen.sort_unstable();
    assert_eq!(seen, (0..3000).collect::<Vec<_>>());
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_record_is_in_the_file_when_the_future_is_ready() {
    let (_directory, path) = log();
    for policy in [SyncPolicy::WithinASecond, SyncPolicy::Always, SyncPolicy::AtTheEnd] {
        let sink = FileSink::open(&path, policy).unwrap();
        runtime().block_on(async {
            for _ in 0..20 {
                let before = numbers(&path).len();
                sink.record(entry(before)).await.unwrap();
                assert_eq!(numbers(&path).len(), before + 1);
            }
            sink.sync().await.unwrap();
        });
    }
}

#[test]
fn a_record_whose_waiter_goes_away_is_written_all_the_same() {
    let (_directory, path) = log();
    let sink = FileSink::open(&path, SyncPolicy::WithinASecond).unwrap();
    drop(sink.record(entry(1)));
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while numbers(&path) != [1] {
        assert!(std::time::Instant::now() < deadline, "the record was forgotten");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    runtime().block_on(async {
        let (given_up, kept) = (sink.record(entry(2)), sink.record(entry(3)));
        drop(given_up);
        kept.await.unwrap();
    });
    assert_eq!(numbers(&path), [1, 2, 3]);
    intact(&path);
}

#[test]
fn without_threads_what_nobody_waited_for_is_written_when_the_sink_is_dropped() {
    let (_directory, path) = log();
    let sink = FileSink::open(&path, SyncPolicy::AtTheEnd).unwrap();
    drop(sink.record(entry(1)));
    runtime().block_on(async {
        let (given_up, kept) = (sink.record(entry(2)), sink.record(entry(3)));
        drop(given_up);
        kept.await.unwrap();
        assert_eq!(numbers(&path), [1, 2, 3]);
        drop(sink.record(entry(4)));
    });
    assert_eq!(numbers(&path), [1, 2, 3]);
    drop(sink);
    assert_eq!(numbers(&path), [1, 2, 3, 4]);
    intact(&path);
}

#[test]
fn the_last_line_is_found_however_long_it_or_what_stands_behind_it_is() {
    let (_directory, path) = log();
    let long = Entry::from_encoded(format!("{{\"text\":\"{}\"}}", "x".repeat(200_000)).into_bytes()).unwrap();
    for behind in [0, 10, 100_000] {
        let sink = FileSink::open(&path, SyncPolicy::AtTheEnd).unwrap();
        runtime().block_on(sink.record(long.clone())).unwrap();
        drop(sink);
        let mut file = fs::OpenOptions::new().append(true).open(&path).unwrap();
        std::io::Write::write_all(&mut file, &vec![b'?'; behind]).unwrap();
    }
    write(&path, 0..1);
    let report = intact(&path);
    assert_eq!((report.records, report.recoveries), (4, 2));
}

#[test]
fn what_is_added_at_the_end_is_noticed_and_only_a_torn_line_is_none() {
    let (_directory, path) = log();
    write(&path, 0..4);
    let all = fs::read(&path).unwrap();
    let next = all.split_inclusive(|byte| *byte == b'\n').next_back().unwrap();
    let whole = &all[..all.len() - next.len()];
    let with = |tail: &[u8]| {
        fs::write(&path, [whole, tail].concat()).unwrap();
        verify(&path).unwrap()
    };
    let last = whole.split_inclusive(|byte| *byte == b'\n').next_back().unwrap();
    for garbage in [&b"x"[..], b"\n", b"garbage\n", b"{}\n", b"# note", b"{\"eventName\":\"Forged\"}\n"] {
        assert!(!with(garbage).is_intact(), "{garbage:?}");
    }
    let changed = String::from_utf8(last.to_vec()).unwrap().replace("Decrypt", "Encrypt");
    assert!(!with(changed.as_bytes()).is_intact());
    for torn in [&next[..1], &next[..next.len() / 2], &next[..next.len() - 1], &[0; 5000][..]] {
        let report = with(torn);
        assert!(report.is_intact() && report.torn_tail_bytes == torn.len() as u64, "{report:?}");
        write(&path, 3..4);
        let closed = verify(&path).unwrap();
        assert!(closed.is_intact() && closed.torn_tail_bytes == 0, "{closed:?}");
    }
    // The next start takes a changed last line for a torn one, and closes it; it is noticed still.
    fs::write(&path, [&whole[..whole.len() - last.len()], changed.as_bytes()].concat()).unwrap();
    write(&path, 3..4);
    let report = verify(&path).unwrap();
    assert!(report.recoveries == 1 && report.breaks.iter().any(|found| found.line == 3), "{report:?}");
}

#[test]
fn a_file_that_is_no_log_is_told_from_a_new_one() {
    let (_directory, path) = log();
    for other in [&b"no log"[..], b"several\nlines\n", &[7; 4000], b"{\"event\":1}\n"] {
        fs::write(&path, other).unwrap();
        assert!(!verify(&path).unwrap().is_a_log(), "{other:?}");
    }
    fs::write(&path, b"").unwrap();
    let report = verify(&path).unwrap();
    assert!(report.is_a_log() && report.is_intact());
}

#[test]
fn a_log_that_begins_amid_the_changes_of_its_store_lacks_those_before() {
    let (_directory, path) = log();
    for first in [1, 5] {
        let _ = fs::remove_file(&path);
        let sink = FileSink::open(&path, SyncPolicy::WithinASecond).unwrap();
        runtime().block_on(async {
            sink.record(entry(0)).await.unwrap();
            sink.relay(vec![(mark(first), entry(1)), (mark(first + 1), entry(2))]).await.unwrap();
        });
        drop(sink);
        let report = verify(&path).unwrap();
        assert_eq!((report.first_change, report.is_intact()), (Some(first), first == 1), "{report:?}");
    }
}

#[test]
fn every_changed_missing_or_moved_line_is_noticed() {
    let (_directory, path) = log();
    write(&path, 0..6);
    let whole = fs::read(&path).unwrap();
    let lines: Vec<&[u8]> = whole.split_inclusive(|byte| *byte == b'\n').collect();
    let broken = |bytes: Vec<u8>| {
        fs::write(&path, bytes).unwrap();
        !verify(&path).unwrap().is_intact()
    };
    for at in 0..whole.len() {
        let mut changed = whole.clone();
        changed[at] ^= 1;
        fs::write(&path, &changed).unwrap();
        let report = verify(&path).unwrap();
        // Without its newline the last line can't be told from a torn one: it shows as bytes that prove nothing.
        let last_newline = at == whole.len() - 1;
        assert!(!report.is_intact() || (last_newline && report.torn_tail_bytes > 0), "byte {at}");
    }
    let without = |drop: usize| {
        lines.iter().enumerate().filter(|(at, _)| *at != drop).flat_map(|(_, line)| line.to_vec()).collect()
    };
    for drop in 0..5 {
        assert!(broken(without(drop)), "line {drop} is missing");
    }
    let swapped = [lines[0], lines[2], lines[1], lines[3], lines[4], lines[5]].concat();
    assert!(broken(swapped));
    let twice = [lines[0], lines[1], lines[1], lines[2], lines[3], lines[4], lines[5]].concat();
    assert!(broken(twice));
    let foreign = [lines[0], &b"{\"eventName\":\"Forged\"}\n"[..], lines[1]].concat();
    assert!(broken(foreign));
    fs::write(&path, &whole).unwrap();
    intact(&path);
}

#[test]
fn a_log_torn_anywhere_is_kept_and_closed_by_the_next_record() {
    let (_directory, path) = log();
    write(&path, 0..3);
    let whole = fs::read(&path).unwrap();
    let start_of_last = whole[..whole.len() - 1].iter().rposition(|byte| *byte == b'\n').unwrap() + 1;
    for cut in start_of_last..whole.len() {
        fs::write(&path, &whole[..cut]).unwrap();
        let report = intact(&path);
        assert_eq!(report.torn_tail_bytes as usize, cut - start_of_last);
        write(&path, 100..102);
        assert!(fs::read(&path).unwrap().starts_with(&whole[..cut]), "nothing is ever cut");
        let report = intact(&path);
        // A line that lacks its newline alone is whole.
        let whole_line = cut == whole.len() - 1;
        let torn = u64::from(cut > start_of_last && !whole_line);
        let records = 4 + u64::from(whole_line);
        assert_eq!(
            (report.records, report.recoveries, report.torn_tail_bytes),
            (records, torn, 0),
            "cut at {cut}"
        );
        assert!(numbers(&path).ends_with(&[100, 101]));
    }
}

#[test]
fn pages_lost_in_a_power_cut_are_closed_too() {
    let (_directory, path) = log();
    write(&path, 0..3);
    let mut bytes = fs::read(&path).unwrap();
    bytes.extend_from_slice(&[0; 10_000]);
    bytes.extend_from_slice(b"\n{\"half\":\n");
    fs::write(&path, &bytes).unwrap();
    write(&path, 3..5);
    let report = intact(&path);
    assert_eq!((report.records, report.recoveries), (5, 1));
    // A second loss, right behind the first.
    let mut bytes = fs::read(&path).unwrap();
    bytes.extend_from_slice(b"garbage");
    fs::write(&path, &bytes).unwrap();
    write(&path, 5..6);
    assert_eq!(intact(&path).recoveries, 2);
    // A recovery record closes exactly what it names.
    let text = fs::read(&path).unwrap();
    let at = text.windows(7).position(|window| window == b"garbage").unwrap();
    let mut changed = text.clone();
    changed[at] = b'G';
    fs::write(&path, &changed).unwrap();
    assert!(!verify(&path).unwrap().is_intact());
}

#[test]
fn changes_are_relayed_once_in_order_also_by_a_sink_that_opens_the_log_anew() {
    let (_directory, path) = log();
    let pending = |range: std::ops::RangeInclusive<u64>| {
        range.map(|sequence| (mark(sequence), entry(sequence as usize))).collect::<Vec<_>>()
    };
    {
        let sink = FileSink::open(&path, SyncPolicy::WithinASecond).unwrap();
        runtime().block_on(async {
            sink.relay(pending(1..=3)).await.unwrap();
            sink.record(entry(1000)).await.unwrap();
            sink.relay(pending(1..=5)).await.unwrap();
            sink.relay(pending(4..=5)).await.unwrap();
            sink.record(entry(1001)).await.unwrap();
        });
    }
    let sink = FileSink::open(&path, SyncPolicy::WithinASecond).unwrap();
    runtime().block_on(async {
        sink.relay(pending(2..=6)).await.unwrap();
        // A store that was restored numbers its changes again: these are other records.
        let again = (RelayMark { sequence: 5, event_id: "other".to_owned() }, entry(5005));
        sink.relay(vec![again]).await.unwrap();
    });
    drop(sink);
    assert_eq!(numbers(&path), [1, 2, 3, 1000, 4, 5, 1001, 6, 5005]);
    intact(&path);
}

#[test]
fn one_process_at_a_time_writes_the_log() {
    let (_directory, path) = log();
    let sink = FileSink::open(&path, SyncPolicy::WithinASecond).unwrap();
    let second = {
        let path = path.clone();
        std::thread::spawn(move || FileSink::open(&path, SyncPolicy::WithinASecond).map(drop))
    };
    std::thread::sleep(std::time::Duration::from_millis(50));
    drop(sink);
    second.join().unwrap().unwrap();
    let directory = path.parent().unwrap();
    assert!(matches!(
        FileSink::open(directory, SyncPolicy::WithinASecond).map(drop),
        Err(OpenError::Unusable { .. })
    ));
    let link = directory.join("link");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    assert!(FileSink::open(&link, SyncPolicy::WithinASecond).is_err(), "a link may lead anywhere");
}

#[test]
fn a_log_that_is_removed_or_replaced_takes_no_records_until_it_is_put_back() {
    let (directory, path) = log();
    for policy in [SyncPolicy::WithinASecond, SyncPolicy::Always, SyncPolicy::AtTheEnd] {
        let _ = fs::remove_file(&path);
        let sink = FileSink::open(&path, policy).unwrap();
        runtime().block_on(async {
            sink.record(entry(1)).await.unwrap();
            let aside = directory.path().join("aside");
            fs::rename(&path, &aside).unwrap();
            for _ in 0..2 {
                let removed = sink.record(entry(2)).await.unwrap_err().to_string();
                assert!(removed.contains("removed or moved"), "{removed}");
            }
            sink.sync().await.unwrap_err();
            sink.relay(vec![(mark(1), entry(3))]).await.unwrap_err();
            fs::write(&path, "").unwrap();
            let replaced = sink.record(entry(2)).await.unwrap_err().to_string();
            assert!(replaced.contains("another file"), "{replaced}");
            fs::rename(&aside, &path).unwrap();
            sink.record(entry(4)).await.unwrap();
            sink.sync().await.unwrap();
        });
        assert_eq!(numbers(&path), [1, 4]);
        intact(&path);
    }
}

#[test]
fn what_is_no_file_is_named_and_never_waited_for() {
    let (directory, path) = log();
    let refusal = |path: &Path| FileSink::open(path, SyncPolicy::WithinASecond).err().unwrap().to_string();
    assert!(refusal(directory.path()).ends_with("it is a directory, not a regular file"));
    let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
    assert!(made.success());
    let said = refusal(&path);
    assert!(said.ends_with("it is a named pipe, not a regular file"), "{said}");
    assert!(!said.contains('\n'));
}

#[test]
fn a_full_disk_is_an_error_for_everyone_who_waits() {
    // A device that is always full stands for the disk.
    let sink = FileSink::open(Path::new("/dev/full"), SyncPolicy::WithinASecond);
    let Ok(sink) = sink else { return };
    runtime().block_on(async {
        sink.record(entry(1)).await.unwrap_err();
        sink.record(entry(2)).await.unwrap_err();
    });
}

#[test]
#[ignore = "a measurement"]
fn speed() {
    let (_directory, path) = log();
    let sink = Arc::new(FileSink::open(&path, SyncPolicy::WithinASecond).unwrap());
    let long = Entry::from_encoded(format!("{{\"text\":\"{}\"}}", "x".repeat(900)).into_bytes()).unwrap();
    for waiters in [1, 16, 64, 512] {
        let each = 200_000 / waiters;
        let start = std::time::Instant::now();
        runtime().block_on(async {
            let writers: Vec<_> = (0..waiters)
                .map(|_| {
                    let (sink, long) = (Arc::clone(&sink), long.clone());
                    tokio::spawn(async move {
                        for _ in 0..each {
                            sink.record(long.clone()).await.unwrap();
                        }
                    })
                })
                .collect();
            for writer in writers {
                writer.await.unwrap();
            }
        });
        let rate = (waiters * each) as f64 / start.elapsed().as_secs_f64();
        println!("{waiters} waiters: {rate:.0} records/s");
    }
}
