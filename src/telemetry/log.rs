//! Log lines.
//!
//! They go to standard error, so that standard output stays free for what a subcommand prints.
//! Nothing waits for them: lines that cannot be written are dropped and counted.

use std::{
    fmt::Write as _,
    fs::File,
    io::{self, Write},
    os::fd::AsFd as _,
    panic::Location,
    sync::LazyLock,
    time::Duration,
};

use prometheus::IntCounter;
use tracing::{Level, Subscriber, error, level_filters::LevelFilter};
use tracing_subscriber::{
    Layer as _, Registry,
    filter::Targets,
    fmt::{MakeWriter, layer},
    layer::SubscriberExt as _,
    reload,
    util::SubscriberInitExt as _,
};

use super::{Format, lossy::Lossy};

/// The target of the lines that requests get. They have a switch of their own, `log.access`.
pub(super) const ACCESS: &str = "access";

/// How long the end of the process may wait for the last lines to be written.
const FLUSH_FOR: Duration = Duration::from_millis(500);

/// Lines of the process that were not written: it has one log, however many registries show this.
pub(super) static DROPPED: LazyLock<IntCounter> = LazyLock::new(|| {
    IntCounter::new(
        "vingate_log_dropped_lines_total",
        "Log lines that were dropped because they could not be written in time",
    )
    .expect("the name of the counter is valid")
});

/// The log of the process. Dropped, it waits for its last lines, but not long.
pub struct Log {
    levels: Levels,
    writer: Lossy,
}

/// Changes the level of the process's log lines: a handle, cheap to clone.
#[derive(Clone, Debug)]
pub struct Levels(reload::Handle<Targets, Registry>);

/// Sends the process's log lines to standard error, and panics to the log.
///
/// Libraries log from `warn` on, whatever the level: their finer lines may show what passes
/// through them.
///
/// # Errors
///
/// If it is set up already, or the process is short of descriptors or threads.
pub fn init(format: Format, level: Level) -> io::Result<Log> {
    // Of its own, because the usual handle is locked while it writes.
    let stderr = File::from(io::stderr().as_fd().try_clone_to_owned()?);
    let writer = Lossy::start(stderr, DROPPED.clone())?;
    let (levels, handle) = reload::Layer::new(targets(level));
    with_levels(format, levels, writer.clone())
        .try_init()
        .map_err(io::Error::other)?;
    std::panic::set_hook(Box::new(|panic| note_panic(panic.location())));
    Ok(Log { levels: Levels(handle), writer })
}

impl Log {
    /// What changes the level.
    pub fn levels(&self) -> Levels {
        self.levels.clone()
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.writer.flush(FLUSH_FOR);
    }
}

impl Levels {
    /// Writes lines from `level` on.
    pub fn set(&self, level: Level) {
        // It fails only when nothing is logged any more.
        let _ = self.0.reload(targets(level));
    }
}

fn targets(level: Level) -> Targets {
    Targets::new()
        .with_default(level.min(Level::WARN))
        .with_target(env!("CARGO_PKG_NAME"), level)
        .with_target(ACCESS, LevelFilter::INFO)
}

/// Turns what the process does into log lines, and gives each to `writer` in one write.
///
/// [`init`] writes them to standard error; tests have a writer that searches them.
pub fn subscriber<W>(format: Format, level: Level, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    with_levels(format, targets(level), writer)
}

fn with_levels<L, W>(format: Format, levels: L, writer: W) -> impl Subscriber + Send + Sync
where
    L: tracing_subscriber::Layer<Registry> + Send + Sync,
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let lines = layer()
        .with_ansi(false)
        // It would print, and panic, when a line cannot be written.
        .log_internal_errors(false)
        .with_writer(OneLine(writer));
    let lines = match format {
        Format::Json => lines
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .boxed(),
        Format::Text => lines.boxed(),
    };
    tracing_subscriber::registry().with(levels).with(lines)
}

/// Logs a panic without its message, which may quote what a client sent.
fn note_panic(location: Option<&Location<'_>>) {
    error!(location = location.map(display), "task panicked");
}

/// Keeps every line one line, whatever its fields hold: control characters, line separators and
/// changes of writing direction are escaped.
struct OneLine<W>(W);

impl<'w, W: MakeWriter<'w>> MakeWriter<'w> for OneLine<W> {
    type Writer = OneLine<W::Writer>;

    fn make_writer(&'w self) -> Self::Writer {
        OneLine(self.0.make_writer())
    }
}

impl<W: Write> Write for OneLine<W> {
    /// Takes a whole line, as the formatter gives it.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = line.strip_suffix(b"\n").unwrap_or(line);
        if text.iter().all(|byte| (0x20..0x7f).contains(byte)) {
            self.0.write_all(line)?;
        } else {
            self.0
                .write_all(escape(&String::from_utf8_lossy(text)).as_bytes())?;
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Escapes as JSON does, because the text may be JSON.
fn escape(text: &str) -> String {
    let mut line = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {}
            c if c.is_control() => {}
            c => {
                line.push(c);
                continue;
            }
        }
        // Writing to a string does not fail.
        let _ = write!(line, "\\u{:04x}", u32::from(c));
    }
    line.push('\n');
    line
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use parking_lot::Mutex;
    use tracing::{debug, info, subscriber::with_default, warn};

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn lines(format: Format, level: Level, log: impl FnOnce()) -> String {
        let written = Written::default();
        let writer = written.clone();
        with_default(subscriber(format, level, move || writer.clone()), log);
        let bytes = written.0.lock().clone();
        String::from_utf8(bytes).unwrap()
    }

    const HOSTILE: &str = "a\r\nINFO forged\u{1b}[31m\u{85}\u{2028}\u{202e}\u{7f}";

    #[test]
    fn writes_one_line_whatever_the_fields_hold() {
        for format in [Format::Json, Format::Text] {
            let text = lines(format, Level::INFO, || info!(plain = %HOSTILE, "{HOSTILE}"));
            assert_eq!(text.matches('\n').count(), 1, "{text:?}");
            assert!(text.ends_with('\n'));
            let escaped = text.trim_end_matches('\n');
            assert!(!escaped.contains(|c: char| c.is_control() || c == '\u{2028}'), "{escaped:?}");
        }
    }

    #[test]
    fn writes_json_that_reads_back() {
        let text = lines(Format::Json, Level::INFO, || warn!(code = HOSTILE, "a sentence"));
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(line["level"], "WARN");
        assert_eq!(line["message"], "a sentence");
        assert_eq!(line["code"], HOSTILE);
    }

    #[test]
    fn keeps_to_the_level_but_for_the_lines_of_requests() {
        let log = || {
            info!("ours");
            debug!("ours too");
            info!(target: "h2::codec", "theirs");
            warn!(target: "h2::codec", "theirs, loud");
            info!(target: ACCESS, "a request");
        };
        for (level, count) in
            [(Level::ERROR, 1), (Level::WARN, 2), (Level::INFO, 3), (Level::DEBUG, 4)]
        {
            let text = lines(Format::Text, level, log);
            assert_eq!(text.lines().count(), count, "{level}: {text}");
        }
    }

    #[test]
    fn another_level_holds_for_the_next_line() {
        let written = Written::default();
        let writer = written.clone();
        let (levels, handle) = reload::Layer::new(targets(Level::WARN));
        with_default(with_levels(Format::Text, levels, move || writer.clone()), || {
            let levels = Levels(handle);
            for (level, text) in
                [(Level::WARN, "one"), (Level::INFO, "two"), (Level::WARN, "three")]
            {
                levels.set(level);
                info!("{text}");
            }
        });
        let text = String::from_utf8(written.0.lock().clone()).unwrap();
        assert!(text.contains("two") && !text.contains("one") && !text.contains("three"), "{text}");
    }

    #[test]
    fn tells_where_a_panic_was_and_not_why() {
        let text = lines(Format::Text, Level::INFO, || note_panic(Some(Location::caller())));
        assert!(text.contains("log.rs:"), "{text}");
    }

    #[test]
    fn survives_a_writer_that_fails() {
        struct Broken;
        impl Write for Broken {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let levels = targets(Level::INFO);
        with_default(with_levels(Format::Text, levels, || Broken), || info!("to nobody"));
    }
}
