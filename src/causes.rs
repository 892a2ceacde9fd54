//! What lies behind an error, for people.

use std::{error::Error, iter::successors};

/// What each error of the chain behind this one says, to the last, if there is one; once, where one
/// only repeats another.
pub(crate) fn causes(error: &dyn Error) -> Option<String> {
    let mut said = vec![error.to_string()];
    for cause in successors(error.source(), |&cause| cause.source()) {
        let cause = cause.to_string();
        if said.last() != Some(&cause) {
            said.push(cause);
        }
    }
    (said.len() > 1).then(|| said[1..].join(": "))
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{said}")]
    struct Wrapped {
        said: &'static str,
        source: Box<dyn Error>,
    }

    #[test]
    fn names_every_cause_once() {
        let last = io::Error::new(io::ErrorKind::ConnectionRefused, "refused");
        let inner = Wrapped { said: "no connection", source: last.into() };
        let outer = Wrapped { said: "no connection", source: inner.into() };
        assert_eq!(causes(&outer).as_deref(), Some("refused"));
        let outer = Wrapped { said: "no key set", source: outer.into() };
        assert_eq!(causes(&outer).as_deref(), Some("no connection: refused"));
        assert_eq!(causes(&io::Error::other("alone")), None);
    }
}
