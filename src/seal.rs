//! What is kept outside of the process, encrypted: who reads it there learns nothing, and what was
//! changed, moved or made up there is not taken.
//!
//! AES-256-GCM-SIV, because many replicas draw nonces under one key and a nonce drawn twice must
//! not give anything away (RFC 8452). Each purpose has a key of its own, which HKDF makes of the
//! configured secret (RFC 5869). A sealed text is `version (1) · key (4) · nonce (12) ·
//! ciphertext · tag (16)`; the first two and the name that it is kept under are authenticated.
//!
//! Where the name itself would tell something, it is a [keyed hash](Namer) of it.

use aws_lc_rs::{
    aead::{AES_256_GCM_SIV, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    hkdf::{HKDF_SHA256, KeyType, Prk, Salt},
    hmac, rand,
};
use zeroize::Zeroizing;

/// A secret as it is configured.
pub type Secret = Zeroizing<Vec<u8>>;

/// What keys are made of. The first secret seals, the others only open.
pub(crate) struct Secrets(Vec<Root>);

/// Seals and opens for one purpose.
pub(crate) struct Sealer(Vec<(KeyId, LessSafeKey)>);

/// Gives names that tell nothing of what they stand for: HMAC-SHA-256 (RFC 2104), cut.
pub(crate) struct Namer(hmac::Key);

/// A name that tells nothing.
pub(crate) type HashedName = [u8; 16];

struct Root {
    id: KeyId,
    secret: Prk,
}

/// Tells secrets apart, and nothing else of them.
type KeyId = [u8; 4];

const VERSION: u8 = 1;

const HEAD: usize = 1 + size_of::<KeyId>();

/// Bytes that a sealed text has more than what is in it.
pub(crate) const OVERHEAD: usize = HEAD + NONCE_LEN + 16;

/// A length, for the library.
struct Bytes(usize);

impl Secrets {
    pub(crate) fn new(current: &Secret, previous: &[Secret]) -> Self {
        let salt = Salt::new(HKDF_SHA256, b"vingate");
        let root = |secret: &Secret| {
            let secret = salt.extract(secret);
            Root { id: *derive(&secret, b"key id"), secret }
        };
        Self([current].into_iter().chain(previous).map(root).collect())
    }

    /// Names by the secret that seals.
    pub(crate) fn namer(&self, purpose: &[u8]) -> Namer {
        let key: Zeroizing<[u8; 32]> = derive(&self.0[0].secret, purpose);
        Namer(hmac::Key::new(hmac::HMAC_SHA256, &*key))
    }

    pub(crate) fn sealer(&self, purpose: &[u8]) -> Sealer {
        let sealer = |root: &Root| {
            let key: Zeroizing<[u8; 32]> = derive(&root.secret, purpose);
            let key = UnboundKey::new(&AES_256_GCM_SIV, &*key).expect("the length is that of keys");
            (root.id, LessSafeKey::new(key))
        };
        Sealer(self.0.iter().map(sealer).collect())
    }
}

fn derive<const LENGTH: usize>(secret: &Prk, purpose: &[u8]) -> Zeroizing<[u8; LENGTH]> {
    let mut derived = Zeroizing::new([0; LENGTH]);
    secret
        .expand(&[purpose], Bytes(LENGTH))
        .and_then(|material| material.fill(&mut *derived))
        .expect("HKDF gives up to 255 hashes");
    derived
}

/// Bytes that nobody can guess.
pub(crate) fn random<const LENGTH: usize>() -> [u8; LENGTH] {
    let mut bytes = [0; LENGTH];
    rand::fill(&mut bytes).expect("the system has random bytes");
    bytes
}

impl KeyType for Bytes {
    fn len(&self) -> usize {
        self.0
    }
}

impl Namer {
    /// The name of what these parts say one behind the other.
    pub(crate) fn name(&self, parts: &[&[u8]]) -> HashedName {
        let mut context = hmac::Context::with_key(&self.0);
        parts.iter().for_each(|part| context.update(part));
        let whole = context.sign();
        let (names, _) = whole.as_ref().as_chunks();
        names[0]
    }
}

impl Sealer {
    /// `text`, to be kept under `name`.
    pub(crate) fn seal(&self, name: &[u8], text: &[u8]) -> Vec<u8> {
        let (id, key) = &self.0[0];
        let nonce: [u8; NONCE_LEN] = random();
        let mut sealed = Vec::with_capacity(text.len() + OVERHEAD);
        sealed.push(VERSION);
        sealed.extend_from_slice(id);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(text);
        let aad = Aad::from([&sealed[..HEAD], name].concat());
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag = key
            .seal_in_place_separate_tag(nonce, aad, &mut sealed[HEAD + NONCE_LEN..])
            .expect("no text is so long that it cannot be sealed");
        sealed.extend_from_slice(tag.as_ref());
        sealed
    }

    /// What was sealed to be kept under `name`; `None` if `sealed` is anything else.
    pub(crate) fn open(&self, name: &[u8], mut sealed: Vec<u8>) -> Option<Vec<u8>> {
        let (head, nonce) = (sealed.get(..HEAD)?, sealed.get(HEAD..HEAD + NONCE_LEN)?);
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let (&VERSION, id) = head.split_first()? else {
            return None;
        };
        let (_, key) = self.0.iter().find(|(known, _)| known == id)?;
        let aad = Aad::from([head, name].concat());
        let text = key
            .open_in_place(nonce, aad, &mut sealed[HEAD + NONCE_LEN..])
            .ok()?;
        let length = text.len();
        sealed.drain(..HEAD + NONCE_LEN);
        sealed.truncate(length);
        Some(sealed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Secret {
        Zeroizing::new(text.as_bytes().to_vec())
    }

    fn sealer(current: &str, previous: &[&str]) -> Sealer {
        let previous: Vec<_> = previous.iter().map(|text| secret(text)).collect();
        Secrets::new(&secret(current), &previous).sealer(b"test")
    }

    #[test]
    fn gives_back_what_was_sealed_and_shows_nothing_of_it() {
        let sealer = sealer("one", &[]);
        for text in [&b""[..], b"x", &[7; 5000]] {
            let sealed = sealer.seal(b"name", text);
            assert_eq!(sealed.len(), text.len() + OVERHEAD);
            assert!(text.len() < 5000 || !sealed.windows(8).any(|window| window == [7; 8]));
            assert_ne!(sealed, sealer.seal(b"name", text), "the nonce is another one");
            assert_eq!(sealer.open(b"name", sealed).as_deref(), Some(text));
        }
    }

    #[test]
    fn takes_nothing_that_was_changed_moved_or_cut() {
        let sealer = sealer("one", &[]);
        let sealed = sealer.seal(b"name", b"text");
        assert!(sealer.open(b"names", sealed.clone()).is_none(), "moved");
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(sealer.open(b"name", changed).is_none(), "byte {at} changed");
            assert!(sealer.open(b"name", sealed[..at].to_vec()).is_none(), "cut at {at}");
        }
        assert!(sealer.open(b"name", [&sealed[..], b"x"].concat()).is_none(), "longer");
        let other = Secrets::new(&secret("one"), &[]).sealer(b"other purpose");
        assert!(other.open(b"name", sealed).is_none(), "another purpose");
    }

    #[test]
    fn names_differ_by_what_they_stand_for_and_by_secret_and_purpose() {
        let namer = |text, purpose| Secrets::new(&secret(text), &[]).namer(purpose);
        let name = namer("one", b"name").name(&[b"ab", b"c"]);
        assert_eq!(name, namer("one", b"name").name(&[b"a", b"bc"]));
        for (other, text) in [
            (namer("one", b"name"), &b"abd"[..]),
            (namer("two", b"name"), b"abc"),
            (namer("one", b"other"), b"abc"),
        ] {
            assert_ne!(name, other.name(&[text]));
        }
    }

    #[test]
    fn a_former_secret_opens_and_does_not_seal() {
        let (old, new) = (sealer("old", &[]), sealer("new", &["old"]));
        assert!(new.open(b"", old.seal(b"", b"text")).is_some());
        assert!(old.open(b"", new.seal(b"", b"text")).is_none());
        assert!(
            sealer("new", &[])
                .open(b"", old.seal(b"", b"text"))
                .is_none()
        );
    }
}
