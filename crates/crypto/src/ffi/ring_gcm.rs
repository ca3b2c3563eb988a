//! AES-GCM by ring, with what ring leaves undone: its keys are moved by value, and wiped nowhere.

use std::hint::black_box;
use std::mem::MaybeUninit;

use ring::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use zeroize::Zeroize;

/// Stack below a call that may hold copies of a key when it returns, in bytes: a key is some 600 bytes, and unoptimised
/// code moves it a few times.
const STACK_BYTES: usize = 16 << 10;

/// A key in one place on the heap, which is wiped when it is dropped.
pub(crate) struct RingGcm(Box<MaybeUninit<LessSafeKey>>);

impl RingGcm {
    /// From a key of 16 or 32 bytes; ring has no other lengths.
    pub(crate) fn new(key: &[u8]) -> Option<Self> {
        let mut place = Box::new(MaybeUninit::uninit());
        let made = fill(&mut place, key);
        // Both run right below this function's own frame, so that the second one writes over what the first left.
        wipe_stack();
        made.then_some(Self(place))
    }

    fn key(&self) -> &LessSafeKey {
        // SAFETY: `new`, the one constructor, gives a value only after `fill` has initialised the place.
        unsafe { self.0.assume_init_ref() }
    }

    /// Seals in place. False for what is too long, of which nothing is sealed.
    pub(crate) fn seal(&self, nonce: &[u8; 12], aad: &[u8], in_out: &mut [u8], tag: &mut [u8; 16]) -> bool {
        let nonce = Nonce::assume_unique_for_key(*nonce);
        match self.key().seal_in_place_separate_tag(nonce, Aad::from(aad), in_out) {
            Ok(made) => made.as_ref().first_chunk::<16>().map(|made| *tag = *made).is_some(),
            Err(_) => false,
        }
    }

    /// Opens in place. False when the tag doesn't hold.
    pub(crate) fn open(&self, nonce: &[u8; 12], aad: &[u8], in_out: &mut [u8], tag: &[u8; 16]) -> bool {
        let nonce = Nonce::assume_unique_for_key(*nonce);
        self.key().open_in_place_separate_tag(nonce, Aad::from(aad), (*tag).into(), in_out, 0..).is_ok()
    }
}

impl Drop for RingGcm {
    fn drop(&mut self) {
        let place: *mut LessSafeKey = self.0.as_mut_ptr();
        // SAFETY: the place is initialised (as in `key`), owned by this struct alone, dropped once, and afterwards only
        // bytes of memory that this struct still owns, which are written as such.
        unsafe {
            place.drop_in_place();
            std::slice::from_raw_parts_mut(place.cast::<MaybeUninit<u8>>(), size_of::<LessSafeKey>())
                .zeroize();
        }
    }
}

#[inline(never)]
fn fill(place: &mut MaybeUninit<LessSafeKey>, key: &[u8]) -> bool {
    let algorithm = match key.len() {
        16 => &AES_128_GCM,
        32 => &AES_256_GCM,
        _ => return false,
    };
    let made = UnboundKey::new(algorithm, key).map(|key| _ = place.write(LessSafeKey::new(key)));
    made.is_ok()
}

#[inline(never)]
fn wipe_stack() {
    let mut below = [0_u8; STACK_BYTES];
    below.zeroize();
    black_box(&below);
}
