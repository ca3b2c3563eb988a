//! Root key, barrier keys, records and tokens.
#![allow(clippy::unwrap_used, clippy::panic)]

use bulla_crypto::barrier::{BarrierKeysError, RECORD_MAX_BYTES, RootKeyTextError, TOKEN_MAX_BYTES};
use bulla_crypto::{BarrierKeys, LockedKey, NotAuthentic, RootKey, Sealed, SeededRng, SystemRng};
use proptest::prelude::*;

fn root(seed: u64) -> RootKey {
    RootKey::generate(&SeededRng::new(seed)).unwrap()
}

fn barrier() -> BarrierKeys {
    BarrierKeys::create(&root(1), &SystemRng).unwrap().0
}

const PATH: &[u8] = b"v1/123456789012/eu-central-1/key/1";

#[test]
fn the_line_reads_back() {
    let root = root(1);
    let line = root.to_line();
    let text = std::str::from_utf8(line.expose()).unwrap().to_owned();
    assert!(text.starts_with("bulla-root-1:") && text.len() == 61, "{text}");
    assert_eq!(RootKey::from_text(line.expose()).unwrap().fingerprint(), root.fingerprint());
    let spaced = format!(" {text}\r\n");
    assert_eq!(RootKey::from_text(spaced.as_bytes()).unwrap().fingerprint(), root.fingerprint());
}

#[test]
fn a_mistyped_line_is_refused() {
    let line = root(1).to_line();
    for at in 13..line.len() {
        for other in [b'A', b'b', b'7', b'/'] {
            let mut text = line.expose().to_vec();
            if text[at] != other {
                text[at] = other;
                assert_eq!(RootKey::from_text(&text).err(), Some(RootKeyTextError::Checksum), "{at}");
            }
        }
    }
    let refusal = |text: &[u8]| RootKey::from_text(text).err().unwrap();
    assert_eq!(refusal(&line.expose()[..line.len() - 4]), RootKeyTextError::WrongLength);
    assert_eq!(refusal(&[line.expose(), b"AAAA"].concat()), RootKeyTextError::WrongLength);
    assert_eq!(refusal(b"bulla-root-1:"), RootKeyTextError::WrongLength);
    assert_eq!(refusal(b"bulla-root-1:!"), RootKeyTextError::NotARootKey);
    assert_eq!(refusal(b""), RootKeyTextError::NotARootKey);
    assert_eq!(refusal(b"bulla-root-2:AAAA"), RootKeyTextError::NotARootKey);
    assert_eq!(refusal(&[b'x'; 5000]), RootKeyTextError::NotARootKey);
}

#[test]
fn the_paper_form_reads_back_however_it_is_spaced() {
    let root = root(2);
    let paper = String::from_utf8(root.to_paper().expose().to_vec()).unwrap();
    assert_eq!(paper.lines().count(), 3);
    assert_eq!(paper.split_whitespace().count(), 15);
    assert!(paper.split_whitespace().all(|group| group.len() == 5));
    for text in [
        paper.clone(),
        paper.to_lowercase(),
        paper.replace([' ', '\n'], ""),
        paper.replace(' ', "-"),
        paper.replace('0', "o").replace('1', "l"),
    ] {
        assert_eq!(RootKey::from_text(text.as_bytes()).unwrap().fingerprint(), root.fingerprint());
    }
}

#[test]
fn a_typing_error_on_paper_is_named_by_its_group() {
    let paper = String::from_utf8(root(3).to_paper().expose().to_vec()).unwrap();
    let groups: Vec<&str> = paper.split_whitespace().collect();
    let refusal = |groups: &[String]| RootKey::from_text(groups.join(" ").as_bytes()).err().unwrap();
    let owned = || groups.iter().map(|g| (*g).to_owned()).collect::<Vec<_>>();
    for (number, group) in groups.iter().enumerate() {
        let typo = RootKeyTextError::Group { number: number + 1 };
        for place in 0..5 {
            // Every other character at this place.
            for other in b"0123456789ABCDEFGHJKMNPQRSTVWXYZ" {
                let mut changed = group.as_bytes().to_vec();
                if changed[place] != *other {
                    changed[place] = *other;
                    let mut all = owned();
                    all[number] = String::from_utf8(changed).unwrap();
                    assert_eq!(refusal(&all), typo);
                }
            }
            // Any two characters swapped.
            for with in place + 1..5 {
                let mut changed = group.as_bytes().to_vec();
                changed.swap(place, with);
                if changed != group.as_bytes() {
                    let mut all = owned();
                    all[number] = String::from_utf8(changed).unwrap();
                    assert_eq!(refusal(&all), typo);
                }
            }
        }
        // Two groups swapped.
        if number > 0 && groups[number] != groups[number - 1] {
            let mut all = owned();
            all.swap(number, number - 1);
            assert_eq!(refusal(&all), RootKeyTextError::Group { number });
        }
        // A character that the alphabet doesn't have.
        let mut all = owned();
        all[number] = format!("U{}", &group[1..]);
        assert_eq!(refusal(&all), typo);
    }
    let mut all = owned();
    all.pop();
    assert_eq!(refusal(&all), RootKeyTextError::GroupCount { found: 14 });
    all.push("12".to_owned());
    assert_eq!(refusal(&all), RootKeyTextError::WrongLength);
}

#[test]
fn barrier_keys_open_under_their_root_key_only() {
    let (keys, sealed) = BarrierKeys::create(&root(1), &SystemRng).unwrap();
    let record = keys.seal_record(PATH, 1, b"g", b"payload", &SystemRng).unwrap();
    let opened = BarrierKeys::open(&root(1), &sealed).unwrap();
    assert_eq!(opened.open_record(PATH, 1, b"g", &record).unwrap().expose(), b"payload");
    assert_eq!(
        BarrierKeys::open(&root(2), &sealed).err(),
        Some(BarrierKeysError::WrongRootKey { needed: root(1).fingerprint(), given: root(2).fingerprint() })
    );
}

#[test]
fn damaged_barrier_keys_are_told_from_a_wrong_root_key() {
    let (_, sealed) = BarrierKeys::create(&root(1), &SystemRng).unwrap();
    for bit in 0..sealed.len() * 8 {
        let mut changed = sealed.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(BarrierKeys::open(&root(1), &changed).err(), Some(BarrierKeysError::Damaged), "bit {bit}");
        assert_eq!(BarrierKeys::open(&root(2), &changed).err(), Some(BarrierKeysError::Damaged));
    }
    for end in 0..sealed.len() {
        assert_eq!(BarrierKeys::open(&root(1), &sealed[..end]).err(), Some(BarrierKeysError::Damaged));
    }
    assert!(BarrierKeys::open(&root(1), &[sealed, vec![0]].concat()).is_err());
}

/// Someone who can recompute the checksum still can't make anything open.
#[test]
fn forged_barrier_keys_do_not_open() {
    let (_, sealed) = BarrierKeys::create(&root(1), &SystemRng).unwrap();
    let body = &sealed[..sealed.len() - 8];
    let with_checksum = |body: &[u8]| {
        let sum = bulla_crypto::sha256(&[b"bulla barrier keys", body]);
        [body, &sum[..8]].concat()
    };
    assert_eq!(with_checksum(body), sealed);
    for bit in 0..body.len() * 8 {
        let mut changed = body.to_vec();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(BarrierKeys::open(&root(1), &with_checksum(&changed)).is_err(), "bit {bit}");
    }
    let mut newer = body.to_vec();
    newer[0] = 2;
    assert_eq!(
        BarrierKeys::open(&root(1), &with_checksum(&newer)).err(),
        Some(BarrierKeysError::NewerFormat)
    );
}

#[test]
fn after_a_rotation_old_records_open_and_new_ones_use_the_new_key() {
    let (mut keys, first) = BarrierKeys::create(&root(1), &SystemRng).unwrap();
    let old = keys.seal_record(PATH, 1, b"1", b"old", &SystemRng).unwrap();
    let second = keys.rotate(&root(1), &SystemRng).unwrap();
    assert_eq!(keys.ids().collect::<Vec<_>>(), [1, 2]);
    let new = keys.seal_record(PATH, 1, b"2", b"new", &SystemRng).unwrap();
    assert_eq!((old.barrier_key_id(), new.barrier_key_id()), (1, 2));

    let reopened = BarrierKeys::open(&root(1), &second).unwrap();
    assert_eq!(reopened.active_id(), 2);
    assert_eq!(reopened.open_record(PATH, 1, b"1", &old).unwrap().expose(), b"old");
    assert_eq!(reopened.open_record(PATH, 1, b"2", &new).unwrap().expose(), b"new");
    // A list of before the rotation lacks the new key.
    let before = BarrierKeys::open(&root(1), &first).unwrap();
    assert_eq!(before.open_record(PATH, 1, b"2", &new).err(), Some(NotAuthentic));
    // The same keys under a new root key.
    let moved = BarrierKeys::open(&root(9), &keys.seal_list(&root(9), &SystemRng).unwrap()).unwrap();
    assert_eq!(moved.open_record(PATH, 1, b"1", &old).unwrap().expose(), b"old");
}

#[test]
fn a_record_opens_in_its_own_place_only() {
    let keys = barrier();
    let record = keys.seal_record(PATH, 3, b"generation", b"payload", &SystemRng).unwrap();
    assert_eq!(record.schema_version(), 3);
    let record = Sealed::from_stored(record.into_bytes()).unwrap();
    assert_eq!(keys.open_record(PATH, 3, b"generation", &record).unwrap().expose(), b"payload");
    for (path, schema, generation) in [
        (&PATH[1..], 3, &b"generation"[..]),
        (&[PATH, b"0"].concat()[..], 3, b"generation"),
        (&[PATH, b"g"].concat()[..], 3, b"eneration"),
        (PATH, 2, b"generation"),
        (PATH, 3, b"generatioo"),
        (PATH, 3, b""),
    ] {
        assert_eq!(keys.open_record(path, schema, generation, &record).err(), Some(NotAuthentic));
    }
    assert!(barrier().open_record(PATH, 3, b"generation", &record).is_err(), "other barrier keys");
    assert!(keys.open_key_record(PATH, 3, b"generation", &record).is_err(), "another kind");
}

#[test]
fn every_flipped_bit_of_a_record_is_noticed() {
    let keys = barrier();
    let key = LockedKey::from_wiped(&mut [0x77; 32]).unwrap();
    let plain = keys.seal_record(PATH, 1, b"g", b"payload", &SystemRng).unwrap();
    let with_key = keys.seal_key_record(PATH, 1, b"g", &key, b"payload", &SystemRng).unwrap();
    for (record, opens) in [
        (
            plain,
            (|keys, sealed| keys.open_record(PATH, 1, b"g", sealed).is_ok())
                as fn(&BarrierKeys, &Sealed) -> bool,
        ),
        (with_key, |keys, sealed| keys.open_key_record(PATH, 1, b"g", sealed).is_ok()),
    ] {
        assert!(opens(&keys, &record));
        for bit in 0..record.as_bytes().len() * 8 {
            let mut changed = record.as_bytes().to_vec();
            changed[bit / 8] ^= 1 << (bit % 8);
            if let Ok(changed) = Sealed::from_stored(changed) {
                assert!(!opens(&keys, &changed), "bit {bit}");
            }
        }
        for end in 0..record.as_bytes().len() {
            if let Ok(cut) = Sealed::from_stored(record.as_bytes()[..end].to_vec()) {
                assert!(!opens(&keys, &cut), "cut at {end}");
            }
        }
    }
}

#[test]
fn a_key_goes_from_slot_to_record_to_slot() {
    let keys = barrier();
    let key = LockedKey::from_wiped(&mut [0x42; 32]).unwrap();
    for payload in [&b""[..], b"fields", &[5; 5000]] {
        let record = keys.seal_key_record(PATH, 1, b"g", &key, payload, &SystemRng).unwrap();
        assert!(!record.as_bytes().windows(8).any(|w| w == [0x42; 8]));
        let opened = keys.open_key_record(PATH, 1, b"g", &record).unwrap();
        assert_eq!(opened.key.expose(), &[0x42; 32]);
        assert_eq!(opened.payload.expose(), payload);
        assert!(keys.open_record(PATH, 1, b"g", &record).is_err(), "its key can't be read as a payload");
    }
}

#[test]
fn records_have_a_bound() {
    let keys = barrier();
    let most = RECORD_MAX_BYTES - 24 - 16;
    assert!(keys.seal_record(PATH, 1, b"g", &vec![0; most], &SystemRng).is_ok());
    assert!(keys.seal_record(PATH, 1, b"g", &vec![0; most + 1], &SystemRng).is_err());
    assert!(Sealed::from_stored(vec![1; RECORD_MAX_BYTES + 1]).is_err());
    assert!(
        Sealed::from_stored(b"{\"plaintext\": \"that must never reach a store, at any length\"}".to_vec())
            .is_err()
    );
}

#[test]
fn a_token_opens_for_its_own_use_only() {
    let keys = barrier();
    let token = keys.seal_token("ListKeys", b"123456789012", b"after this one", &SystemRng).unwrap();
    assert_eq!(keys.open_token("ListKeys", b"123456789012", &token).unwrap().expose(), b"after this one");
    assert!(keys.open_token("ListAliases", b"123456789012", &token).is_err());
    assert!(keys.open_token("ListKeys", b"123456789013", &token).is_err());
    assert!(barrier().open_token("ListKeys", b"123456789012", &token).is_err());
    for bit in 0..token.len() * 8 {
        let mut changed = token.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(keys.open_token("ListKeys", b"123456789012", &changed).is_err());
    }
    for end in 0..token.len() {
        assert!(keys.open_token("ListKeys", b"123456789012", &token[..end]).is_err());
    }
    assert!(keys.seal_token("l", b"", &[0; TOKEN_MAX_BYTES], &SystemRng).is_err());
    assert!(keys.open_token("l", b"", &[1; TOKEN_MAX_BYTES + 1]).is_err());
}

proptest! {
    #[test]
    fn any_bytes_get_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let keys = barrier();
        let _ = RootKey::from_text(&bytes);
        prop_assert!(BarrierKeys::open(&root(1), &bytes).is_err());
        prop_assert!(keys.open_token("l", b"", &bytes).is_err());
        if let Ok(record) = Sealed::from_stored(bytes) {
            prop_assert!(keys.open_record(PATH, 1, b"g", &record).is_err());
            prop_assert!(keys.open_key_record(PATH, 1, b"g", &record).is_err());
        }
    }

    #[test]
    fn any_text_gets_an_answer(text in "[0-9A-Za-z \\n-]{60,100}") {
        prop_assert!(RootKey::from_text(text.as_bytes()).is_err());
    }
}
