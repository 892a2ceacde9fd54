//! Trailers: passed on only when they were announced (RFC 9110 section 6.6.2).

use bytes::Bytes;
use http::{HeaderMap, HeaderName, header::TRAILER};
use http_body::Frame;

use super::header_filter::is_forbidden_trailer;
use crate::headers::tokens;

/// The trailer fields of one message that are passed on.
#[derive(Debug)]
pub(super) struct Trailers(Vec<HeaderName>);

impl Trailers {
    /// What `headers` announce, less what may not be a trailer; `headers` then say the same.
    pub(super) fn announced(headers: &mut HeaderMap, credential_headers: &[HeaderName]) -> Self {
        if !headers.contains_key(TRAILER) {
            return Self(Vec::new());
        }
        let names: Vec<HeaderName> = tokens(headers, TRAILER)
            .filter_map(|name| name.parse().ok())
            .filter(|name| !is_forbidden_trailer(name, credential_headers))
            .collect();
        headers.remove(TRAILER);
        for name in &names {
            headers.append(TRAILER, name.clone().into());
        }
        Self(names)
    }

    /// `frame` without the trailers that are not passed on; `None` if that leaves nothing.
    pub(super) fn filter(&self, frame: Frame<Bytes>) -> Option<Frame<Bytes>> {
        match frame.into_trailers() {
            Err(frame) => Some(frame),
            Ok(mut trailers) => {
                let unwanted: Vec<HeaderName> = trailers
                    .keys()
                    .filter(|name| !self.0.contains(name))
                    .cloned()
                    .collect();
                for name in unwanted {
                    trailers.remove(name);
                }
                (!trailers.is_empty()).then(|| Frame::trailers(trailers))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn pass_only_if_announced_and_harmless() {
        let mut headers = HeaderMap::new();
        headers.append(TRAILER, HeaderValue::from_static("X-Sum, Authorization, content-length"));
        headers.append(TRAILER, HeaderValue::from_static("(no name), x-api-key, Server-Timing"));
        let trailers = Trailers::announced(&mut headers, &[HeaderName::from_static("x-api-key")]);
        let left: Vec<_> = headers.get_all(TRAILER).iter().collect();
        assert_eq!(left, ["x-sum", "server-timing"]);

        let sent = ["x-sum", "authorization", "x-api-key", "x-unannounced"];
        let sent = sent.map(|name| (HeaderName::from_static(name), HeaderValue::from(1)));
        let passed = trailers
            .filter(Frame::trailers(sent.into_iter().collect()))
            .unwrap();
        let passed = passed.into_trailers().unwrap();
        assert_eq!(passed.keys().collect::<Vec<_>>(), ["x-sum"]);
    }

    #[test]
    fn that_were_not_announced_leave_nothing() {
        let trailers = Trailers::announced(&mut HeaderMap::new(), &[]);
        let mut sent = HeaderMap::new();
        sent.insert("x-sum", HeaderValue::from(1));
        assert!(trailers.filter(Frame::trailers(sent)).is_none());
        assert!(trailers.filter(Frame::data(Bytes::new())).is_some());
    }
}
