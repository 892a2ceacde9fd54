//! Where the messages of an HTTP/1 connection begin and end.
//!
//! hyper takes more than RFC 9112 allows: LF for CRLF in heads and in trailers, and nearly anything
//! behind the size of a chunk. A proxy in front of us that reads such bytes in another way would
//! see other requests than we do. So the bytes are followed on their way to hyper, and the first
//! line that could be read in two ways does not get there. The content of bodies is skipped, not
//! looked at.

mod chunk_size;
mod target;

use memchr::{memchr, memchr_iter};

use self::{chunk_size::chunk_size, target::replace_unreadable};

/// Bytes of a line that came in pieces: those of the largest head that can be configured. A longer
/// one is too large for hyper.
const MAX_LINE: usize = 1024 * 1024;

/// Follows the requests of a connection.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Framing {
    state: State,
    /// The beginning of a line whose end has not come yet.
    line: Vec<u8>,
    heads: u64,
    /// The request whose target hyper would not read, by its number.
    unreadable: Option<u64>,
}

/// The LF of a line that must not pass, by its place in the bytes that were read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BadLine {
    Head(usize),
    /// In the framing of its body.
    Body(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Head(Head),
    /// That many bytes of a body, and then the next head.
    Content(u64),
    Size,
    Chunk(u64),
    ChunkEnd,
    /// Lines behind the last chunk.
    Trailers,
    /// Unknown from here on.
    Lost,
}

/// What the lines of a head have said so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Head {
    has_begun: bool,
    /// Bytes of the lines that have come as a whole.
    size: usize,
    length: u64,
    is_chunked: bool,
}

impl Framing {
    /// Follows the next bytes, up to a line that must not pass.
    ///
    /// What hyper would not read in a target it replaces; [`unreadable`](Self::unreadable) says so.
    pub(super) fn follow(&mut self, bytes: &mut [u8]) -> Option<BadLine> {
        let mut at = 0;
        while let Some(rest) = bytes.get_mut(at..).filter(|rest| !rest.is_empty()) {
            match &mut self.state {
                State::Content(left) | State::Chunk(left) => {
                    let skipped = usize::try_from(*left).unwrap_or(usize::MAX).min(rest.len());
                    *left -= skipped as u64;
                    at += skipped;
                    if *left == 0 {
                        self.end_content();
                    }
                    continue;
                }
                State::Head(head) if head.has_begun && self.line.is_empty() => {
                    let taken = head.take_headers(rest);
                    at += taken;
                    if taken > 0 {
                        continue;
                    }
                }
                State::Lost => return None,
                _ => {}
            }
            let end = memchr(b'\n', rest);
            let line_end = end.unwrap_or(rest.len());
            if let State::Head(Head { has_begun: false, .. }) = self.state
                && replace_unreadable(&self.line, &mut rest[..line_end])
            {
                self.unreadable.get_or_insert(self.heads + 1);
            }
            let Some(end) = end else {
                self.keep(rest);
                return None;
            };
            let next = if self.line.is_empty() {
                self.state.after_line(&rest[..=end])
            } else {
                self.line.extend_from_slice(&rest[..=end]);
                let next = self.state.after_line(&self.line);
                self.line.clear();
                next
            };
            let Some(next) = next else {
                return Some(self.refuse(at + end));
            };
            if let State::Head(head) = self.state
                && head.ends_before(next)
            {
                self.heads += 1;
            }
            self.state = next;
            at += end + 1;
        }
        None
    }

    /// Bytes that may come next so that none of a head are beyond `max_head`: at least one.
    pub(super) fn room(&self, max_head: usize) -> usize {
        match self.state {
            State::Head(head) => max_head.saturating_sub(head.size + self.line.len()).max(1),
            State::Content(left) | State::Chunk(left) => {
                max_head.saturating_add(usize::try_from(left).unwrap_or(usize::MAX))
            }
            State::Size | State::ChunkEnd | State::Trailers => max_head,
            State::Lost => usize::MAX,
        }
    }

    pub(super) fn heads(&self) -> u64 {
        self.heads
    }

    /// Whether what has come ends with a message.
    pub(super) fn is_between_messages(&self) -> bool {
        self.state == State::default() && self.line.is_empty()
    }

    /// What comes next is not HTTP.
    pub(super) fn lose(&mut self) {
        self.state = State::Lost;
    }

    /// Whether nothing is known of what comes behind the last head.
    pub(super) fn is_lost(&self) -> bool {
        self.state == State::Lost
    }

    /// The first request of which the target could not be read, by its number.
    pub(super) fn unreadable(&self) -> Option<u64> {
        self.unreadable
    }

    fn end_content(&mut self) {
        self.state = match self.state {
            State::Chunk(_) => State::ChunkEnd,
            _ => State::default(),
        };
    }

    fn keep(&mut self, part: &[u8]) {
        if self.line.len() + part.len() > MAX_LINE {
            self.state = State::Lost;
        } else {
            self.line.extend_from_slice(part);
        }
    }

    fn refuse(&mut self, at: usize) -> BadLine {
        match std::mem::replace(&mut self.state, State::Lost) {
            State::Head(_) => BadLine::Head(at),
            _ => BadLine::Body(at),
        }
    }
}

impl Default for State {
    fn default() -> Self {
        Self::Head(Head::default())
    }
}

impl State {
    /// What follows `line`, which ends with LF. Nothing, if the line must not pass.
    fn after_line(self, line: &[u8]) -> Option<Self> {
        let line = line.strip_suffix(b"\r\n")?;
        match self {
            Self::Head(mut head) if !line.is_empty() => {
                head.take(line);
                Some(Self::Head(head))
            }
            Self::Head(head) => Some(head.end()),
            Self::Size => match chunk_size(line)? {
                0 => Some(Self::Trailers),
                size => Some(Self::Chunk(size)),
            },
            Self::ChunkEnd => line.is_empty().then_some(Self::Size),
            Self::Trailers if line.is_empty() => Some(Self::default()),
            Self::Trailers => Some(self),
            Self::Content(_) | Self::Chunk(_) | Self::Lost => Some(self),
        }
    }
}

impl Head {
    /// Takes in the headers that have come as a whole, and gives their length. Stops before a line
    /// that is empty or must not pass.
    fn take_headers(&mut self, bytes: &[u8]) -> usize {
        let mut taken = 0;
        for end in memchr_iter(b'\n', bytes) {
            match bytes[taken..end].strip_suffix(b"\r") {
                Some(line) if !line.is_empty() => self.take(line),
                _ => break,
            }
            taken = end + 1;
        }
        taken
    }

    /// Takes in the next line. What hyper refuses itself need not be understood.
    fn take(&mut self, line: &[u8]) {
        self.size += line.len() + b"\r\n".len();
        if !self.has_begun {
            self.has_begun = true;
            return;
        }
        match line[0] {
            b't' | b'T' => self.is_chunked |= value(line, "transfer-encoding").is_some(),
            b'c' | b'C' => {
                let length = value(line, "content-length").and_then(|value| {
                    let digits = str::from_utf8(value.trim_ascii()).ok()?;
                    digits.parse().ok()
                });
                self.length = length.unwrap_or(self.length);
            }
            _ => {}
        }
    }

    /// Whether it is whole, and `next` comes behind it.
    fn ends_before(self, next: State) -> bool {
        self.has_begun && !matches!(next, State::Head(next) if next.has_begun)
    }

    fn end(self) -> State {
        match self {
            // Empty lines before a request are none of it (RFC 9112 section 2.2).
            Self { has_begun: false, .. } => State::Head(self),
            Self { is_chunked: true, .. } => State::Size,
            Self { length: 0, .. } => State::default(),
            Self { length, .. } => State::Content(length),
        }
    }
}

/// The value of a header line, if it is of this name.
fn value<'a>(line: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let (start, rest) = line.split_at_checked(name.len())?;
    let value = rest.strip_prefix(b":")?;
    start.eq_ignore_ascii_case(name.as_bytes()).then_some(value)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GET: &str = "GET /a HTTP/1.1\r\nHost: a\r\n\r\n";

    fn follow(framing: &mut Framing, bytes: impl AsRef<[u8]>) -> Option<BadLine> {
        framing.follow(&mut bytes.as_ref().to_vec())
    }

    /// A chunked request with these bytes as its body.
    fn chunked(body: &str) -> String {
        format!("POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n{body}")
    }

    fn sized(length: &str, body: &str) -> String {
        format!("POST /a HTTP/1.1\r\nContent-Length:{length}\r\n\r\n{body}")
    }

    #[test]
    fn follows_requests_to_their_ends() {
        for (bytes, heads) in [
            (GET.to_owned(), 1),
            (GET.repeat(3), 3),
            (format!("\r\n\r\n{GET}\r\n{GET}"), 2),
            (sized(" 5", "a\nb\n\n") + GET, 2),
            (sized("\t005 ", "hello") + GET, 2),
            (sized("0", "") + GET, 2),
            (sized(" 5\r\ncontent-LENGTH: 5", "hello") + GET, 2),
            // The GET is a part of the body.
            (sized(&GET.len().to_string(), GET) + GET, 2),
            (chunked("5\r\na\nb\n\n\r\n0\r\n\r\n") + GET, 2),
            (chunked("5;a=b; c ;d=\"\\\"e;f\"\r\nhello\r\n00;g\r\n\r\n") + GET, 2),
            (chunked("2 \t;\ta = b\r\nhe\r\n0\r\nX: y\r\nZ: z\r\n\r\n") + GET, 2),
            (chunked("5\r\nhello\r\n0\r\n\r\n").replace("Tran", "tRAN") + GET, 2),
            // The coding overrides the length.
            (chunked("0\r\n\r\n").replace("Tran", "Content-Length: 5\r\nTran") + GET, 2),
            (GET.replace("Host", "Xransfer-Encoding: chunked\r\nHost") + GET, 2),
        ] {
            let mut framing = Framing::default();
            assert_eq!(follow(&mut framing, &bytes), None, "{bytes:?}");
            assert_eq!(framing.heads(), heads, "{bytes:?}");
            assert_eq!(framing.state, State::default(), "{bytes:?}");
        }
    }

    #[test]
    fn stops_at_the_first_line_that_can_be_read_in_two_ways() {
        // The last LF is the one that must not pass.
        for bytes in [
            "\n",
            "GET /a HTTP/1.1\n",
            "GET /a HTTP/1.1\r\nHost: a\n",
            "GET /a HTTP/1.1\r\nHost: a\r\n\n",
            "GET /a HTTP/1.1\r\nX: y\nZ: z",
        ] {
            let mut framing = Framing::default();
            let at = bytes.rfind('\n').unwrap();
            assert_eq!(follow(&mut framing, bytes), Some(BadLine::Head(at)), "{bytes:?}");
            assert!(framing.is_lost());
        }
        for body in [
            "5;\r\n",
            "5;bad[=x\r\n",
            "5 \r\n",
            "5\t\r\n",
            "5;a=\r\n",
            "5;a= \r\n",
            "5;=b\r\n",
            "5;a=\"b\r\n",
            "5;a=\"b\"c\r\n",
            "5;a=\"\u{1}\"\r\n",
            "5;a\0\r\n",
            "5;a b\r\n",
            "5;a;\r\n",
            "5;a \r\n",
            "5,a\r\n",
            "5\n",
            "5;a\n",
            " 5\r\n",
            "\r\n",
            ";a\r\n",
            "g\r\n",
            "0x5\r\n",
            "+5\r\n",
            "-5\r\n",
            "10000000000000005\r\n",
            "5\r\nhello\n",
            "5\r\nhello!\r\n",
            "5\r\nhello5\r\n",
            "0\n",
            "0\r\n\n",
            "0\r\nX: y\n",
            "0\r\nX: y\r\n\n",
        ] {
            let bytes = chunked(body);
            let mut framing = Framing::default();
            let want = Some(BadLine::Body(bytes.len() - 1));
            assert_eq!(follow(&mut framing, &bytes), want, "{body:?}");
            assert!(framing.is_lost());
        }
    }

    #[test]
    fn follows_no_other_protocol() {
        let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\n";
        let mut framing = Framing::default();
        assert_eq!(follow(&mut framing, GET.replace("Host", &format!("{upgrade}Host"))), None);
        framing.lose();
        assert_eq!(follow(&mut framing, b"\n\0\n"), None);
        // Whether it is one is known only with the response.
        for head in ["", "0\r\n\n"] {
            let post = chunked(head).replace("Trans", &format!("{upgrade}Trans"));
            let mut framing = Framing::default();
            assert!(follow(&mut framing, post + "\n").is_some());
        }
    }

    #[test]
    fn has_room_for_the_rest_of_a_head() {
        let max_head = 64;
        for (bytes, room) in [
            ("".to_owned(), 64),
            ("\r\n".to_owned(), 64),
            ("GET".to_owned(), 61),
            (GET[..GET.len() - 2].to_owned(), 64 - 26),
            (GET.to_owned(), 64),
            (format!("{GET}GET"), 61),
            (sized(" 100", ""), 164),
            (sized(" 100", "hello"), 159),
            (sized(" 5", "helloGET"), 61),
            (sized(" 18446744073709551615", ""), usize::MAX),
            (chunked("5\r\nhel"), 66),
            (chunked("5\r\nhello\r\n0\r\n"), 64),
            (format!("GET /{}", "a".repeat(100)), 1),
        ] {
            let mut framing = Framing::default();
            assert_eq!(follow(&mut framing, &bytes), None);
            assert_eq!(framing.room(max_head), room, "{bytes:?}");
        }
        let mut lost = Framing::default();
        lost.lose();
        assert_eq!(lost.room(max_head), usize::MAX);
    }

    #[test]
    fn follows_what_comes_behind_a_long_line() {
        let mut framing = Framing::default();
        assert_eq!(follow(&mut framing, "GET /a HTTP/1.1\r\nX: "), None);
        for _ in 0..1000 {
            assert_eq!(follow(&mut framing, [b'x'; 1024]), None);
        }
        assert_eq!(follow(&mut framing, "\r\nY: z\nZ: w"), Some(BadLine::Head(6)));
    }

    #[test]
    fn gives_up_on_a_line_without_an_end() {
        let mut framing = Framing::default();
        for _ in 0..MAX_LINE / 1024 {
            assert_eq!(follow(&mut framing, [b'x'; 1024]), None);
            assert!(!framing.is_lost());
        }
        assert_eq!(follow(&mut framing, b"x"), None);
        assert!(framing.is_lost());
    }

    proptest! {
        #[test]
        fn it_does_not_matter_how_the_bytes_are_cut(
            requests in prop::collection::vec(prop_oneof![
                Just(GET.to_owned()),
                Just(sized("5", "a\nb\n\n")),
                Just(chunked("5;a=\"b\"\r\na\nb\n\n\r\n0\r\nX: y\r\n\r\n")),
                Just(chunked("0\r\n\n")),
                Just("GET /a HTTP/1.1\r\nX: y\n\r\n".to_owned()),
                Just(GET.replace("/a", "/\"\u{e9}>?\"")),
            ], 1..5),
            sizes in prop::collection::vec(1_usize..9, 1..200),
        ) {
            let bytes = requests.concat().into_bytes();
            let mut whole = Framing::default();
            let want = follow(&mut whole, &bytes);

            let (mut pieces, mut at, mut found) = (Framing::default(), 0_usize, None);
            for size in sizes.into_iter().chain([usize::MAX]) {
                let piece = &bytes[at..bytes.len().min(at.saturating_add(size))];
                found = follow(&mut pieces, piece).map(|bad| match bad {
                    BadLine::Head(place) => BadLine::Head(at + place),
                    BadLine::Body(place) => BadLine::Body(at + place),
                });
                if found.is_some() {
                    break;
                }
                at += piece.len();
            }
            prop_assert_eq!(found, want);
            prop_assert_eq!(pieces, whole);
        }
    }
}
