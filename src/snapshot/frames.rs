//! A sealed stream of bytes: 16 random bytes, then frames.
//!
//! Each frame seals 64 KiB, the last one the rest. It is bound to those random bytes, to its number
//! and to whether it is the last, so that frames can be neither left out, repeated, put in another
//! order or taken from another file, and no file can be cut.

use std::io::{self, BufRead as _, BufReader, Read, Write};

use crate::seal::{OVERHEAD, Sealer, random};

/// Seals what is written.
pub(super) struct FrameWriter<W> {
    out: W,
    place: Place,
    sealer: Sealer,
    frame: Vec<u8>,
}

/// Opens what is read. Nothing is read of a frame that does not open.
pub(super) struct FrameReader<R> {
    input: BufReader<R>,
    place: Place,
    sealer: Sealer,
    frame: io::Cursor<Vec<u8>>,
    is_over: bool,
}

/// Where a frame stands.
struct Place {
    file: [u8; FILE],
    number: u64,
}

/// Bytes that tell one file from another.
const FILE: usize = 16;

/// Bytes of a frame, before they are sealed.
const FRAME: usize = 64 * 1024;

impl Place {
    /// What the frame is bound to. The next is another one.
    fn next(&mut self, is_last: bool) -> [u8; FILE + 9] {
        let mut name = [0; FILE + 9];
        name[..FILE].copy_from_slice(&self.file);
        name[FILE..FILE + 8].copy_from_slice(&self.number.to_le_bytes());
        name[FILE + 8] = is_last.into();
        self.number += 1;
        name
    }
}

impl<W: Write> FrameWriter<W> {
    pub(super) fn new(mut out: W, sealer: Sealer) -> io::Result<Self> {
        let file = random();
        out.write_all(&file)?;
        let frame = Vec::with_capacity(FRAME);
        Ok(Self { out, place: Place { file, number: 0 }, sealer, frame })
    }

    /// Appends `bytes`.
    pub(super) fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            // A full one waits until it is known not to be the last.
            if self.frame.len() == FRAME {
                self.seal(false)?;
            }
            let (now, rest) = bytes.split_at(bytes.len().min(FRAME - self.frame.len()));
            self.frame.extend_from_slice(now);
            bytes = rest;
        }
        Ok(())
    }

    /// Writes the last frame, and gives what all was written to.
    pub(super) fn finish(mut self) -> io::Result<W> {
        self.seal(true)?;
        Ok(self.out)
    }

    /// What all is written to.
    pub(super) fn out(&self) -> &W {
        &self.out
    }

    fn seal(&mut self, is_last: bool) -> io::Result<()> {
        let name = self.place.next(is_last);
        self.out.write_all(&self.sealer.seal(&name, &self.frame))?;
        self.frame.clear();
        Ok(())
    }
}

impl<R: Read> FrameReader<R> {
    pub(super) fn new(input: R, sealer: Sealer) -> io::Result<Self> {
        let mut input = BufReader::with_capacity(FRAME + OVERHEAD, input);
        let mut file = [0; FILE];
        input.read_exact(&mut file)?;
        let place = Place { file, number: 0 };
        Ok(Self { input, place, sealer, frame: io::Cursor::default(), is_over: false })
    }

    fn open(&mut self) -> io::Result<()> {
        let mut sealed = Vec::with_capacity(FRAME + OVERHEAD);
        let input = &mut self.input;
        input
            .take((FRAME + OVERHEAD) as u64)
            .read_to_end(&mut sealed)?;
        self.is_over = input.fill_buf()?.is_empty();
        let name = self.place.next(self.is_over);
        let opened = self.sealer.open(&name, sealed);
        let opened = opened.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))?;
        self.frame = io::Cursor::new(opened);
        Ok(())
    }
}

impl<R: Read> Read for FrameReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.frame.read(buffer)?;
        if read > 0 || buffer.is_empty() || self.is_over {
            return Ok(read);
        }
        self.open()?;
        self.frame.read(buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seal::{Secret, Secrets};

    fn sealer(secret: &[u8]) -> Sealer {
        Secrets::new(&Secret::new(secret.to_vec()), &[]).sealer(b"frames")
    }

    fn sealed(text: &[u8]) -> Vec<u8> {
        let mut writer = FrameWriter::new(Vec::new(), sealer(b"one")).unwrap();
        for piece in text.chunks(1000) {
            writer.write(piece).unwrap();
        }
        writer.finish().unwrap()
    }

    fn opened(sealed: &[u8]) -> io::Result<Vec<u8>> {
        opened_with(b"one", sealed)
    }

    fn opened_with(secret: &[u8], sealed: &[u8]) -> io::Result<Vec<u8>> {
        let mut text = Vec::new();
        FrameReader::new(sealed, sealer(secret))?.read_to_end(&mut text)?;
        Ok(text)
    }

    fn text(length: usize) -> Vec<u8> {
        (0..length).map(|nth| (nth / 7) as u8).collect()
    }

    #[test]
    fn what_was_sealed_opens() {
        for length in [0, 1, FRAME - 1, FRAME, FRAME + 1, 3 * FRAME] {
            let text = text(length);
            let sealed = sealed(&text);
            assert_eq!(opened(&sealed).unwrap(), text, "{length}");
            let frames = length.div_ceil(FRAME).max(1);
            assert_eq!(sealed.len(), FILE + length + frames * OVERHEAD);
        }
    }

    #[test]
    fn nothing_else_opens() {
        let whole = sealed(&text(3 * FRAME + 10));
        let step = FRAME + OVERHEAD;
        let frame = |nth: usize| FILE + nth * step..FILE + (nth + 1) * step;
        let without =
            |gap: std::ops::Range<usize>| [&whole[..gap.start], &whole[gap.end..]].concat();
        let mut swapped = whole.clone();
        swapped[frame(0)].copy_from_slice(&whole[frame(1)]);
        swapped[frame(1)].copy_from_slice(&whole[frame(0)]);
        let mut foreign = whole.clone();
        foreign[frame(1)].copy_from_slice(&sealed(&text(3 * FRAME + 10))[frame(1)]);
        let repeated =
            [&whole[..frame(1).end], &whole[frame(1)], &whole[frame(2).start..]].concat();
        let longer = [&whole[..], b"x"].concat();
        for (spoilt, what) in [
            (swapped, "swapped"),
            (foreign, "foreign"),
            (repeated, "repeated"),
            (longer, "longer"),
            (without(frame(1)), "left out"),
            (whole[..frame(2).end].to_vec(), "cut between frames"),
            (whole[..whole.len() - 1].to_vec(), "cut"),
            (whole[..FILE].to_vec(), "nothing but its head"),
            (whole[..3].to_vec(), "less than its head"),
        ] {
            assert!(opened(&spoilt).is_err(), "{what}");
        }
        for at in (0..whole.len()).step_by(9973).chain([whole.len() - 1]) {
            let mut spoilt = whole.clone();
            spoilt[at] ^= 1;
            assert!(opened(&spoilt).is_err(), "changed at {at}");
        }
        assert!(opened_with(b"other", &whole).is_err());
    }
}
