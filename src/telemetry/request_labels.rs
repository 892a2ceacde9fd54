//! Closed sets of labels for what clients may choose: methods and statuses.

use http::{Method, StatusCode};

/// The label of values outside the registry.
const OTHER: &str = "other";

/// The methods of IANA's registry, sorted.
#[rustfmt::skip]
const METHODS: [&str; 40] = [
    "ACL", "BASELINE-CONTROL", "BIND", "CHECKIN", "CHECKOUT", "CONNECT", "COPY", "DELETE", "GET",
    "HEAD", "LABEL", "LINK", "LOCK", "MERGE", "MKACTIVITY", "MKCALENDAR", "MKCOL",
    "MKREDIRECTREF", "MKWORKSPACE", "MOVE", "OPTIONS", "ORDERPATCH", "PATCH", "POST", "PRI",
    "PROPFIND", "PROPPATCH", "PUT", "QUERY", "REBIND", "REPORT", "SEARCH", "TRACE", "UNBIND",
    "UNCHECKOUT", "UNLINK", "UNLOCK", "UPDATE", "UPDATEREDIRECTREF", "VERSION-CONTROL",
];

/// A method as a label: a registered one, or `other`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MethodLabel(usize);

/// A status as a label: a registered one, or `other`, which is also the label of requests that
/// ended without a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StatusLabel(Option<StatusCode>);

impl MethodLabel {
    pub(super) const COUNT: usize = METHODS.len() + 1;

    pub(super) fn of(method: &Method) -> Self {
        Self(
            METHODS
                .binary_search(&method.as_str())
                .unwrap_or(METHODS.len()),
        )
    }

    pub(super) fn as_str(self) -> &'static str {
        METHODS.get(self.0).copied().unwrap_or(OTHER)
    }

    pub(super) fn index(self) -> usize {
        self.0
    }
}

impl StatusLabel {
    /// How many there are, with room for statuses that may be registered later.
    pub(super) const COUNT: usize = 501;

    pub(super) fn of(status: Option<StatusCode>) -> Self {
        Self(status.filter(|status| status.canonical_reason().is_some()))
    }

    pub(super) fn as_str(&self) -> &str {
        self.0.as_ref().map_or(OTHER, StatusCode::as_str)
    }

    pub(super) fn index(self) -> usize {
        let place = |status: StatusCode| usize::from(status.as_u16()).checked_sub(99);
        self.0
            .and_then(place)
            .filter(|place| *place < Self::COUNT)
            .unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sorts_the_registered_methods() {
        assert!(METHODS.is_sorted());
    }

    #[test]
    fn names_registered_methods_and_no_others() {
        for (method, label) in [
            ("GET", "GET"),
            ("QUERY", "QUERY"),
            ("PROPFIND", "PROPFIND"),
            ("get", "other"),
            ("X", "other"),
        ] {
            let found = MethodLabel::of(&Method::from_bytes(method.as_bytes()).unwrap());
            assert_eq!(found.as_str(), label);
            assert!(found.index() < MethodLabel::COUNT);
        }
    }

    #[test]
    fn names_registered_statuses_and_no_others() {
        for (status, label, index) in [
            (100, "100", 1),
            (200, "200", 101),
            (511, "511", 412),
            (299, "other", 0),
            (999, "other", 0),
        ] {
            let found = StatusLabel::of(StatusCode::from_u16(status).ok());
            assert_eq!((found.as_str(), found.index()), (label, index));
        }
        assert_eq!(StatusLabel::of(None).as_str(), "other");
    }
}
