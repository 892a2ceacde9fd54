//! `Retry-After` (RFC 9110 section 10.2.3): how long an answer asks for no further call.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, Response, StatusCode, header::RETRY_AFTER};

/// The longest that is believed. Whoever asks for more has most likely made a mistake, and a
/// gateway that stays silent for a day is one, too.
const MAX: Duration = Duration::from_secs(5 * 60);

/// How long an answer that came at `now` asks to be left alone; `None`: it does not, or in words
/// that are no `Retry-After`.
pub(super) fn of<B>(response: &Response<B>, now: SystemTime) -> Option<Duration> {
    match response.status() {
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
            parse(response.headers(), now)
        }
        _ => None,
    }
}

fn parse(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let mut fields = headers.get_all(RETRY_AFTER).iter();
    // Two that contradict each other say nothing.
    let (Some(field), None) = (fields.next(), fields.next()) else {
        return None;
    };
    let text = field.to_str().ok()?;
    let after = match text.bytes().all(|byte| byte.is_ascii_digit()) {
        // Too many digits for a number are more than the most all the same.
        true if !text.is_empty() => text.parse().map_or(MAX, Duration::from_secs),
        true => return None,
        false => {
            let at = httpdate::parse_http_date(text).ok()?;
            at.duration_since(now).unwrap_or_default()
        }
    };
    (!after.is_zero()).then(|| after.min(MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(status: u16, fields: &[&[u8]]) -> Option<u64> {
        // Sun, 06 Nov 1994 08:49:37 GMT
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        let mut response = Response::builder().status(status);
        for &field in fields {
            response = response.header(RETRY_AFTER, field);
        }
        of(&response.body(()).unwrap(), now).map(|after| after.as_secs())
    }

    #[test]
    fn reads_seconds_and_dates_and_nothing_else() {
        for (field, want) in [
            ("1", Some(1)),
            ("007", Some(7)),
            ("300", Some(300)),
            ("301", Some(300)),
            ("99999999999999999999999999999999", Some(300)),
            ("0", None),
            ("", None),
            ("-1", None),
            ("+1", None),
            ("1.5", None),
            ("1s", None),
            ("1, 2", None),
            ("0x10", None),
            ("soon", None),
            ("\u{661}", None),
            ("Sun, 06 Nov 1994 08:49:47 GMT", Some(10)),
            ("Sunday, 06-Nov-94 08:49:47 GMT", Some(10)),
            ("Sun Nov  6 08:49:47 1994", Some(10)),
            ("Sun, 06 Nov 1994 09:49:37 GMT", Some(300)),
            ("Fri, 31 Dec 9999 23:59:59 GMT", Some(300)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", None),
            ("Thu, 01 Jan 1970 00:00:00 GMT", None),
            ("Sun, 06 Nov 1994 08:49:47 CET", None),
            ("Sun, 06 Nov 1994 08:49:47", None),
        ] {
            let field = field.as_bytes();
            assert_eq!(after(503, &[field]), want, "{}", String::from_utf8_lossy(field));
        }
        assert_eq!(after(503, &[b"\xff"]), None);
        assert_eq!(after(503, &[b"1", b"1"]), None, "twice");
        assert_eq!(after(503, &[]), None);
    }

    #[test]
    fn only_of_answers_that_ask_to_come_later() {
        for (status, want) in
            [(429, Some(2)), (503, Some(2)), (301, None), (500, None), (200, None)]
        {
            assert_eq!(after(status, &[b"2"]), want, "{status}");
        }
    }
}
