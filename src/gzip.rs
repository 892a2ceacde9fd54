//! Gzip (RFC 1952) put together from pieces that were compressed before.
//!
//! A response that is spliced from cached elements need not be compressed when it is sent: each
//! piece is compressed once, by itself, and what refers to nothing before it may stand anywhere
//! in a DEFLATE stream (RFC 1951). A piece ends with the header of a stored block, which ends on a
//! byte boundary; the length of that block comes from whatever is written next, mostly a comma. The
//! checksum of the whole is combined from those of the pieces.
//!
//! Pieces that are compressed by themselves also tell nothing of one another by their size.

use bytes::{BufMut as _, BytesMut};
use crc32fast::Hasher;
use flate2::{Compress, Compression, FlushCompress};

/// A text, compressed by itself, in one block of memory: the CRC-32 of the text (4 bytes), what that
/// of the text before it is multiplied with (4 bytes), DEFLATE blocks, and the first byte of a stored
/// one.
pub struct Piece(Box<[u8]>);

/// A gzip member that is being written.
#[derive(Debug, Default)]
pub struct Member {
    crc: u32,
    /// Bytes of the text, modulo 2^32.
    length: u32,
    /// Whether a stored block has begun that has no length yet.
    is_open: bool,
}

/// No name, no time, nothing known of the system and the compressor.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];

/// The first byte of a stored block that begins on a byte boundary and is not the last.
const STORED: u8 = 0;

/// An empty block of fixed codes, the last one.
const LAST: [u8; 2] = [3, 0];

/// Bytes that a stored block can have.
const MAX_STORED: usize = 0xffff;

/// The length of a stored block, and its complement.
const LENGTHS: usize = 4;

/// What a piece begins with.
const CHECKSUMS: usize = 8;

/// What an empty stored block ends with, and a flush so.
const EMPTY: [u8; LENGTHS] = [0, 0, 0xff, 0xff];

/// The polynomial of CRC-32, without its highest power, the lowest bit first.
const POLYNOMIAL: u32 = 0xedb8_8320;

impl Piece {
    /// Compresses `text`. `None`: that does not make it smaller.
    pub fn of(text: &[u8]) -> Option<Self> {
        let mut piece = Vec::with_capacity(text.len().max(CHECKSUMS));
        piece.extend_from_slice(&crc32fast::hash(text).to_le_bytes());
        piece.extend_from_slice(&shift(text.len()).to_le_bytes());
        // Into the room that is there: what does not fit is not smaller.
        let mut compress = Compress::new(Compression::default(), false);
        let flush = FlushCompress::Sync;
        compress.compress_vec(text, &mut piece, flush).ok()?;
        let is_whole = compress.total_in() == text.len() as u64 && piece.ends_with(&EMPTY);
        if !is_whole || piece.len() == piece.capacity() {
            return None;
        }
        piece.truncate(piece.len() - LENGTHS);
        Some(Self(piece.into()))
    }

    /// Bytes that it takes in memory.
    pub fn size(&self) -> usize {
        self.0.len()
    }

    /// Bytes that it adds to a member.
    pub fn deflated_len(&self) -> usize {
        self.0.len() - CHECKSUMS
    }

    /// The CRC-32 of the text, the shift, and the blocks.
    fn parts(&self) -> (u32, u32, &[u8]) {
        let number = |at: usize| {
            let bytes = self.0[at..].first_chunk();
            bytes.map_or(0, |bytes| u32::from_le_bytes(*bytes))
        };
        (number(0), number(size_of::<u32>()), &self.0[CHECKSUMS..])
    }
}

impl Member {
    /// Bytes of a member beside what is written into it.
    pub const OVERHEAD: usize = HEADER.len() + LAST.len() + 2 * size_of::<u32>();

    /// Begins with it.
    pub fn begin(&self, out: &mut BytesMut) {
        out.put_slice(&HEADER);
    }

    /// Adds a text as it is.
    pub fn store(&mut self, text: &[u8], out: &mut BytesMut) {
        for block in text.chunks(MAX_STORED) {
            if !std::mem::take(&mut self.is_open) {
                out.put_u8(STORED);
            }
            // At most `MAX_STORED`.
            let length = block.len() as u16;
            out.put_u16_le(length);
            out.put_u16_le(!length);
            out.put_slice(block);
        }
        let mut crc = Hasher::new_with_initial(self.crc);
        crc.update(text);
        self.crc = crc.finalize();
        self.length = self.length.wrapping_add(text.len() as u32);
    }

    /// Bytes that [`Member::store`] adds for so many; behind a piece it is one less.
    pub fn stored_len(text: usize) -> usize {
        text + text.div_ceil(MAX_STORED) * (1 + LENGTHS)
    }

    /// Adds a text of so many bytes that was compressed. Something has to be stored behind it.
    pub fn add(&mut self, piece: &Piece, text: usize, out: &mut BytesMut) {
        debug_assert!(!self.is_open, "pieces have something between them");
        let (crc, shift, deflated) = piece.parts();
        out.put_slice(deflated);
        self.crc = multiply(shift, self.crc) ^ crc;
        self.length = self.length.wrapping_add(text as u32);
        self.is_open = true;
    }

    /// Ends the member.
    pub fn end(&self, out: &mut BytesMut) {
        debug_assert!(!self.is_open, "something is stored behind a piece");
        out.put_slice(&LAST);
        out.put_u32_le(self.crc);
        out.put_u32_le(self.length);
    }
}

/// The product of two polynomials modulo that of CRC-32, the highest bit being the power of 0.
fn multiply(a: u32, mut b: u32) -> u32 {
    let mut product = 0;
    for power in (0..u32::BITS).rev() {
        product ^= b & (a >> power & 1).wrapping_neg();
        b = b >> 1 ^ POLYNOMIAL & (b & 1).wrapping_neg();
    }
    product
}

/// The power of so many bytes, modulo the polynomial: what the checksum of a text is multiplied
/// with when that many follow.
fn shift(bytes: usize) -> u32 {
    let (mut product, mut square, mut left) = (1 << 31, 1 << 23, bytes);
    while left > 0 {
        if left & 1 == 1 {
            product = multiply(product, square);
        }
        square = multiply(square, square);
        left >>= 1;
    }
    product
}

impl std::fmt::Debug for Piece {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Piece")
            .field("deflated", &self.deflated_len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::io::Read as _;

    use flate2::read::MultiGzDecoder;
    use proptest::prelude::*;

    use super::*;

    /// What a gzip file contains, with its checksum verified.
    pub(crate) fn unpacked(bytes: &[u8]) -> Vec<u8> {
        let mut text = Vec::new();
        MultiGzDecoder::new(bytes).read_to_end(&mut text).unwrap();
        text
    }

    #[test]
    fn what_compression_makes_no_smaller_is_no_piece() {
        assert!(Piece::of(b"").is_none());
        assert!(Piece::of(b"a").is_none());
        assert!(Piece::of(&(0..=255).collect::<Vec<u8>>()).is_none());
        assert!(Piece::of(&[b'a'; 100]).is_some());
    }

    #[test]
    fn stored_blocks_are_counted() {
        for length in [0, 1, MAX_STORED - 1, MAX_STORED, MAX_STORED + 1, 3 * MAX_STORED] {
            let (text, mut out) = (vec![b'x'; length], BytesMut::new());
            let mut member = Member::default();
            member.begin(&mut out);
            member.store(&text, &mut out);
            member.end(&mut out);
            assert_eq!(out.len(), Member::OVERHEAD + Member::stored_len(length));
            assert_eq!(unpacked(&out), text);
        }
    }

    proptest! {
        #[test]
        fn is_what_was_written(
            texts in proptest::collection::vec(("[a-c]{0,400}|.{0,40}", any::<bool>()), 0..20),
        ) {
            let mut out = BytesMut::new();
            let mut member = Member::default();
        member.begin(&mut out);
            let (mut whole, mut length) = (Vec::new(), Member::OVERHEAD);
            for (text, is_compressed) in &texts {
                whole.extend_from_slice(text.as_bytes());
                match Piece::of(text.as_bytes()).filter(|_| *is_compressed) {
                    Some(piece) => {
                        member.add(&piece, text.len(), &mut out);
                        member.store(b",", &mut out);
                        whole.push(b',');
                        length += piece.deflated_len() + Member::stored_len(1) - 1;
                    }
                    None => {
                        member.store(text.as_bytes(), &mut out);
                        length += Member::stored_len(text.len());
                    }
                }
            }
            member.end(&mut out);
            prop_assert_eq!(out.len(), length);
            prop_assert!(unpacked(&out) == whole);
        }
    }
}
