//! Searches every log line that is written while tests run for what they have sent.
//!
//! Clients and configurations of tests note here what nobody may find in a log. A line that shows
//! any of it ends the process at once, whichever thread writes it, so that no test can pass over
//! it. `tests/gateway/watched.rs` shows that this bites.
//!
//! What is looked for, with the escapes of URLs undone:
//!
//! * Credentials of clients and of accounts, wherever they are, from 6 characters on.
//! * Tokens: every word that begins as a JWT does, and the parts of those that were sent.
//! * VINs: every word that could be one.
//! * VINs and plates that were sent, in any spelling, as whole words of at least 5 characters, a
//!   letter and a digit among them: whatever is shorter or plainer stands somewhere by chance.

use std::{
    collections::HashSet,
    io::{self, Write},
    process, str,
    sync::{LazyLock, Once},
    thread,
};

use parking_lot::RwLock;
use percent_encoding::percent_decode_str;
use tracing::{Level, subscriber::set_global_default};
use vingate::{
    telemetry::{self, Format},
    vehicle::clean,
};

/// What is not to be found in a line.
#[derive(Default)]
pub(crate) struct Watch {
    secrets: HashSet<String>,
    /// Parts of tokens.
    parts: HashSet<String>,
    /// VINs and plates in their one spelling.
    vehicles: HashSet<String>,
}

/// Where every line of the process goes.
struct Searched;

static WATCH: LazyLock<RwLock<Watch>> = LazyLock::new(RwLock::default);

/// Fields that carry who is calling.
const CREDENTIALS: [&str; 4] = ["authorization", "cookie", "proxy-authorization", "x-api-key"];

/// What stands before a credential and is none.
const SCHEMES: [&str; 3] = ["basic", "bearer", "digest"];

const VIN_LENGTH: usize = 17;

/// Of a part of a token.
const SHORTEST_PART: usize = 8;

/// Of a VIN or a plate.
const SHORTEST: usize = 5;

/// Where it ends that words are put together to a VIN or a plate.
const LONGEST: usize = 24;

/// Has all that this process logs searched from now on, at the most talkative level.
pub(crate) fn begin() {
    static BEGUN: Once = Once::new();
    BEGUN.call_once(|| {
        set_global_default(telemetry::subscriber(Format::Json, Level::TRACE, || Searched)).unwrap();
    });
}

/// Notes what is secret in bytes that a client sends.
pub(crate) fn sent(bytes: impl AsRef<[u8]>) {
    WATCH.write().note(&String::from_utf8_lossy(bytes.as_ref()));
}

/// Notes what is secret in a field that a client sends.
pub(crate) fn sent_field(name: &str, value: &[u8]) {
    if is_credential(name) {
        let mut watch = WATCH.write();
        watch.note_credential(&String::from_utf8_lossy(value));
    }
}

/// Notes a secret that is looked for as it is.
pub(crate) fn secret(text: &str) {
    WATCH.write().secrets.insert(text.to_owned());
}

/// Ends the process if `line` shows what was noted.
pub(crate) fn search(line: &str) {
    let Some(what) = WATCH.read().find(line) else { return };
    let current = thread::current();
    let thread = current.name().unwrap_or("a thread");
    // Past what tests catch of their output, which is lost with the process.
    let _ = writeln!(io::stderr(), "\n{thread}: a log line shows {what}: {line}");
    process::abort();
}

impl Watch {
    /// Notes what is secret in a request, or in some of its bytes.
    pub(crate) fn note(&mut self, text: &str) {
        for line in text.lines() {
            if let Some((name, value)) = line.split_once(':')
                && is_credential(name)
            {
                self.note_credential(value);
            }
        }
        for name in ["vin", "plate"] {
            for rest in after(text, &format!("\"{name}\"")) {
                if let Some(value) = rest.trim_start().strip_prefix(':') {
                    let mut values = serde_json::Deserializer::from_str(value).into_iter();
                    self.note_vehicle(values.next().and_then(Result::ok).unwrap_or_default());
                }
            }
            for value in after(text, &format!("{name}=")) {
                self.note_vehicle(target_part(value, &['&']).replace('+', " "));
            }
        }
        for segment in after(text, "/vehicles/") {
            self.note_vehicle(target_part(segment, &['/', '?']));
        }
    }

    /// Notes the value of a field that says who is calling.
    pub(crate) fn note_credential(&mut self, value: &str) {
        let is_scheme = |word: &&str| {
            SCHEMES
                .iter()
                .any(|scheme| word.eq_ignore_ascii_case(scheme))
        };
        let words = value.split([' ', ',', ';', '=', '"']);
        for word in words.filter(|word| !is_scheme(word)) {
            if word.matches('.').count() >= 2 {
                let parts = word.split('.').filter(|part| part.len() >= SHORTEST_PART);
                self.parts.extend(parts.map(str::to_owned));
            } else if word.len() >= 6 {
                self.secrets.insert(word.to_owned());
            }
        }
    }

    fn note_vehicle(&mut self, text: String) {
        let text = percent_decode_str(&text).decode_utf8_lossy();
        let clean = clean(&text).into_owned();
        if (SHORTEST..=LONGEST).contains(&clean.len()) && is_mixed(&clean) {
            self.vehicles.insert(clean);
        }
    }

    /// What `line` shows of all that was noted, or could have been.
    pub(crate) fn find(&self, line: &str) -> Option<&'static str> {
        let line = percent_decode_str(line).decode_utf8_lossy();
        let is_secret = |secret: &String| line.contains(secret.as_str());
        let is_token = |word: &str| {
            word.len() >= SHORTEST_PART && (word.starts_with("eyJ") || self.parts.contains(word))
        };
        if self.secrets.iter().any(is_secret) {
            return Some("a credential");
        }
        if line.split(|c| !is_base64url(c)).any(is_token) {
            return Some("a token");
        }
        let is_end = |c| spell(c) != ' ' && !spell(c).is_alphanumeric();
        line.split(is_end)
            .filter(|text| !is_fraction(text))
            .any(|text| self.has_vehicle(text))
            .then_some("a vehicle")
    }

    /// Whether words of `text`, one or some in a row, are a VIN or a plate.
    fn has_vehicle(&self, text: &str) -> bool {
        let spelled: String = text.chars().map(spell).collect();
        let words: Vec<_> = spelled.split_whitespace().collect();
        (0..words.len()).any(|first| {
            let mut joined = String::new();
            let mut are_known = words[first..].iter().map_while(|word| {
                joined.push_str(word);
                let length = joined.len();
                (length <= LONGEST).then(|| length >= SHORTEST && self.vehicles.contains(&joined))
            });
            is_vin(words[first]) || are_known.any(|is_known| is_known)
        })
    }
}

impl Write for Searched {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        search(&String::from_utf8_lossy(line));
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What follows each `mark` in `text`.
fn after<'t>(text: &'t str, mark: &str) -> Vec<&'t str> {
    let found = text.match_indices(mark);
    found.map(|(at, mark)| &text[at + mark.len()..]).collect()
}

/// A part of a request target, up to one of `ends` or the end of the target.
fn target_part(text: &str, ends: &[char]) -> String {
    let is_end = |c: char| ends.contains(&c) || c.is_whitespace() || c.is_control();
    text.split(is_end).next().unwrap_or_default().to_owned()
}

fn is_credential(field: &str) -> bool {
    CREDENTIALS
        .iter()
        .any(|name| field.eq_ignore_ascii_case(name))
}

/// A character in the spelling of vehicles, a gap for one that this leaves out.
fn spell(c: char) -> char {
    if c.is_ascii_alphanumeric() {
        return c.to_ascii_uppercase();
    }
    let clean = clean(c.encode_utf8(&mut [0; 4])).chars().next();
    clean.unwrap_or(' ')
}

/// Whether it is a number such as 8.9184e-5, where `9184E` is no plate.
fn is_fraction(text: &str) -> bool {
    text.contains('.') && text.trim().parse::<f64>().is_ok()
}

fn is_base64url(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '-' || c == '_'
}

fn is_vin(word: &str) -> bool {
    let is_vin_char = |c: char| c.is_ascii_alphanumeric() && !"IOQ".contains(c);
    word.len() == VIN_LENGTH && is_mixed(word) && word.chars().all(is_vin_char)
}

fn is_mixed(word: &str) -> bool {
    word.contains(|c: char| c.is_ascii_digit()) && word.contains(char::is_alphabetic)
}
