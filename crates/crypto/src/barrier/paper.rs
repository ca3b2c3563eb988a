//! A root key on paper: 15 groups of 5 characters of Crockford's base 32.
//!
//! Each group holds 20 bits and a check character over GF(32), weighted by place and salted with the group's number: any
//! one wrong character, any two swapped characters, and any group in another's place show in their own group. The 300 bits
//! are the key (256) and the start of its SHA-256 (44), which catches whatever else.

use super::root::RootKeyTextError;
use crate::LockedKey;
use bulla_api::SecretBytes;
use zeroize::Zeroizing;

/// Groups of the whole key.
pub(super) const GROUPS: usize = 15;
const DATA_CHARS: usize = 4;
const GROUP_CHARS: usize = DATA_CHARS + 1;
const GROUPS_A_LINE: usize = 5;
const KEY_BYTES: usize = 32;
/// 300 bits, rounded up: the last 4 bits are zero.
const DATA_BYTES: usize = 38;

/// Without I, L, O and U, which are misread or make words.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// The key's text, with line breaks but without one at the end.
pub(super) fn encode(key: &[u8; 32]) -> SecretBytes {
    let data = with_checksum(key);
    // After each group but the last stands a space or a line break.
    let mut text = SecretBytes::zeroed(GROUPS * (GROUP_CHARS + 1) - 1);
    for (group, chars) in text.expose_mut().chunks_mut(GROUP_CHARS + 1).enumerate() {
        let symbols = group_symbols(&data, group);
        let check = check_symbol(&symbols, group);
        let separator = if (group + 1) % GROUPS_A_LINE == 0 { b'\n' } else { b' ' };
        let written = symbols.iter().chain([&check]).map(|symbol| character(*symbol)).chain([separator]);
        for (to, from) in chars.iter_mut().zip(written) {
            *to = from;
        }
    }
    text
}

/// The key of a text, read with forgiveness for spacing, case and look-alikes.
pub(super) fn decode(text: &[u8]) -> Result<LockedKey<32>, RootKeyTextError> {
    let mut symbols = Zeroizing::new([0u8; GROUPS * GROUP_CHARS]);
    let mut count = 0;
    for &char in text.iter().filter(|char| !char.is_ascii_whitespace() && **char != b'-') {
        // Marks a character outside the alphabet; its group is named below.
        let value = symbol(char).unwrap_or(u8::MAX);
        if value == u8::MAX && !char.is_ascii_alphanumeric() {
            return Err(RootKeyTextError::NotARootKey);
        }
        if let Some(place) = symbols.get_mut(count) {
            *place = value;
        }
        count += 1;
    }
    if count != GROUPS * GROUP_CHARS {
        let found = count.div_ceil(GROUP_CHARS);
        return Err(if count < GROUP_CHARS * 3 || found > GROUPS * 2 {
            RootKeyTextError::NotARootKey
        } else if found == GROUPS {
            RootKeyTextError::WrongLength
        } else {
            RootKeyTextError::GroupCount { found }
        });
    }
    let mut data = Zeroizing::new([0u8; DATA_BYTES]);
    for (group, chunk) in symbols.chunks_exact(GROUP_CHARS).enumerate() {
        let typo = RootKeyTextError::Group { number: group + 1 };
        let (values, check) = chunk.split_first_chunk::<DATA_CHARS>().ok_or(typo)?;
        if chunk.contains(&u8::MAX) || check != [check_symbol(values, group)] {
            return Err(typo);
        }
        for (place, value) in values.iter().enumerate() {
            put_bits(&mut data, (group * DATA_CHARS + place) * 5, *value);
        }
    }
    let (key, _) = data.split_first_chunk::<KEY_BYTES>().ok_or(RootKeyTextError::WrongLength)?;
    if !crate::constant_time_eq(&*with_checksum(key), &*data) {
        return Err(RootKeyTextError::Checksum);
    }
    let (key, _) = data.split_first_chunk_mut::<KEY_BYTES>().ok_or(RootKeyTextError::WrongLength)?;
    Ok(LockedKey::from_wiped(key)?)
}

/// Key, then 44 bits of SHA-256 under a prefix of its own, then 4 zero bits.
fn with_checksum(key: &[u8; 32]) -> Zeroizing<[u8; DATA_BYTES]> {
    let mut data = Zeroizing::new([0; DATA_BYTES]);
    let digest = Zeroizing::new(crate::sha256(&[b"bulla root key on paper", key]));
    for (to, from) in data.iter_mut().zip(key.iter().chain(digest.iter())) {
        *to = *from;
    }
    if let Some(last) = data.last_mut() {
        *last &= 0xf0;
    }
    data
}

/// The four 5-bit symbols of a group.
fn group_symbols(data: &[u8; DATA_BYTES], group: usize) -> [u8; DATA_CHARS] {
    std::array::from_fn(|place| {
        let bit = (group * DATA_CHARS + place) * 5;
        let byte = |at: usize| u16::from(data.get(at).copied().unwrap_or(0));
        let pair = byte(bit / 8) << 8 | byte(bit / 8 + 1);
        (pair >> (11 - bit % 8)) as u8 & 0x1f
    })
}

/// Sets the 5 bits from `bit` on, which are zero before.
fn put_bits(data: &mut [u8; DATA_BYTES], bit: usize, value: u8) {
    let [high, low] = (u16::from(value) << (11 - bit % 8)).to_be_bytes();
    for (at, part) in [(bit / 8, high), (bit / 8 + 1, low)] {
        if let Some(byte) = data.get_mut(at) {
            *byte |= part;
        }
    }
}

/// The sum of α^(place+1) times the symbol over GF(32), plus the group's number. The weights are different and none is 1,
/// so a wrong symbol, and a swap of two (the check character included), changes it.
fn check_symbol(symbols: &[u8; DATA_CHARS], group: usize) -> u8 {
    let weighted = symbols.iter().rev().fold(0, |sum, symbol| double(sum ^ symbol));
    // 15 groups: the number fits 5 bits.
    weighted ^ (group as u8 + 1)
}

/// Times α in GF(32) by x^5 + x^2 + 1.
const fn double(value: u8) -> u8 {
    let shifted = value << 1;
    if shifted & 0x20 == 0 { shifted } else { shifted ^ 0b10_0101 }
}

fn character(symbol: u8) -> u8 {
    ALPHABET.get(usize::from(symbol)).copied().unwrap_or(b'?')
}

fn symbol(character: u8) -> Option<u8> {
    let upper = match character.to_ascii_uppercase() {
        b'O' => b'0',
        b'I' | b'L' => b'1',
        other => other,
    };
    ALPHABET.iter().position(|candidate| *candidate == upper).and_then(|at| u8::try_from(at).ok())
}
