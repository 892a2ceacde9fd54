//! How far it is, for who looks at a terminal.

use indicatif::{ProgressBar, ProgressStyle};

/// The precision of `per_sec` is its width. Behind a dot there would be a colour.
const TEMPLATE: &str = "{wide_bar} {pos}/{len} vehicles, {per_sec:0}, {eta} left";

/// A bar on a terminal; elsewhere it is not drawn.
pub(super) fn bar(vehicles: usize) -> ProgressBar {
    let style = ProgressStyle::with_template(TEMPLATE);
    let bar = ProgressBar::new(vehicles as u64);
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

#[cfg(test)]
mod tests {
    use std::{io, sync::Arc, time::Duration};

    use indicatif::{ProgressDrawTarget, TermLike};
    use parking_lot::Mutex;

    use super::*;

    /// Keeps what is written to it.
    #[derive(Clone, Debug, Default)]
    struct Paper(Arc<Mutex<String>>);

    impl TermLike for Paper {
        fn width(&self) -> u16 {
            80
        }

        fn move_cursor_up(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn move_cursor_down(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn move_cursor_right(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn move_cursor_left(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn write_line(&self, text: &str) -> io::Result<()> {
            self.write_str(text)
        }

        fn write_str(&self, text: &str) -> io::Result<()> {
            self.0.lock().push_str(text);
            Ok(())
        }

        fn clear_line(&self) -> io::Result<()> {
            self.0.lock().clear();
            Ok(())
        }

        fn flush(&self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn the_rate_is_whole_and_of_no_colour() {
        let paper = Paper::default();
        let bar = bar(1_000).with_elapsed(Duration::from_secs(3));
        bar.set_draw_target(ProgressDrawTarget::term_like(Box::new(paper.clone())));
        bar.inc(1_000);
        bar.abandon();
        let text = paper.0.lock().clone();
        let rate = text.split(", ").find_map(|part| part.strip_suffix("/s"));
        let rate = rate.unwrap_or_else(|| panic!("{text:?} has no rate"));
        assert!(rate.bytes().all(|byte| byte.is_ascii_digit()), "{text:?}");
        assert!(text.contains(" 1000/1000 vehicles, "), "{text:?}");
        // Which is not drawn where colours are off.
        assert!(!TEMPLATE.contains('.'));
    }
}
