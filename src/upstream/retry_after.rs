//! `Retry-After` (RFC 9110 section 10.2.3): how long a response asks for no further call, and
//! which accounts have been asked.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use foldhash::HashMap;
use http::{
    HeaderMap, HeaderValue, Response, StatusCode,
    header::{DATE, RETRY_AFTER},
};
use tokio::time::Instant;

use super::{Account, Error};
use crate::headers::only;

/// Who else has to know that Sync wants no calls for a while.
pub trait RetryAfterListener: fmt::Debug + Send + Sync {
    /// Sync wants no call for `account` for so long.
    fn retry_after(&self, account: Option<Account>, rest: Duration);
}

/// Until when no call is made for which account.
#[derive(Debug, Default)]
pub(super) struct RetryAfterTable(HashMap<Option<Account>, Instant>);

/// Accounts that are remembered at once. Clients with credentials of their own could make up any
/// number; beyond this the one that ends first is forgotten.
const MAX_ACCOUNTS: usize = 4096;

/// The longest that is believed. Whoever asks for more has most likely made a mistake, and a
/// gateway that stays silent for a day is one, too.
pub(super) const MAX: Duration = Duration::from_secs(5 * 60);

/// How long a response that came `now` asks for no call; `None`: it does not, or in words that
/// are no `Retry-After`. A date is taken against the response's own `Date`, if it has one: the
/// clocks of two machines differ.
pub(super) fn of<B>(response: &Response<B>, now: impl FnOnce() -> SystemTime) -> Option<Duration> {
    match response.status() {
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
            parse(response.headers(), now)
        }
        _ => None,
    }
}

fn parse(headers: &HeaderMap, now: impl FnOnce() -> SystemTime) -> Option<Duration> {
    // Two that contradict each other say nothing.
    let text = only(headers, RETRY_AFTER).ok()??.to_str().ok()?;
    let after = match text.bytes().all(|byte| byte.is_ascii_digit()) {
        // Too many digits for a number are more than the most all the same.
        true if !text.is_empty() => text.parse().map_or(MAX, Duration::from_secs),
        true => return None,
        false => {
            let at = httpdate::parse_http_date(text).ok()?;
            let date = headers.get(DATE).map(HeaderValue::to_str);
            let date = date.and_then(|date| httpdate::parse_http_date(date.ok()?).ok());
            at.duration_since(date.unwrap_or_else(now))
                .unwrap_or_default()
        }
    };
    (!after.is_zero()).then(|| after.min(MAX))
}

impl RetryAfterTable {
    /// Nothing, or how long it is until calls may be made for the account.
    pub(super) fn check(&mut self, account: Option<Account>, now: Instant) -> Result<(), Error> {
        match self.0.get(&account) {
            None => Ok(()),
            Some(&until) if until <= now => {
                self.0.remove(&account);
                Ok(())
            }
            Some(&until) => Err(Error::RetryAfter { rest: until - now }),
        }
    }

    /// No calls are made for the account before `until`.
    pub(super) fn note(&mut self, account: Option<Account>, until: Instant, now: Instant) {
        if let Some(noted) = self.0.get_mut(&account) {
            // The longest of several counts.
            *noted = until.max(*noted);
            return;
        }
        if self.0.len() >= MAX_ACCOUNTS {
            self.0.retain(|_, &mut until| until > now);
        }
        if self.0.len() >= MAX_ACCOUNTS {
            let first = self.0.iter().min_by_key(|&(_, &until)| until);
            let first = first.map(|(&account, _)| account);
            first.map(|account| self.0.remove(&account));
        }
        self.0.insert(account, until);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn account(number: u32) -> Option<Account> {
        let mut digest = [0; 32];
        digest[..4].copy_from_slice(&number.to_le_bytes());
        Some(Account(digest))
    }

    #[tokio::test(start_paused = true)]
    async fn the_longest_of_several_counts() {
        let (mut table, now) = (RetryAfterTable::default(), Instant::now());
        for (seconds, rest) in [(5, 5), (3, 5), (9, 9)] {
            table.note(None, now + seconds * SECOND, now);
            let Err(Error::RetryAfter { rest: found }) = table.check(None, now) else {
                panic!("calls are made");
            };
            assert_eq!(found, rest * SECOND);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn remembers_only_so_many() {
        let (mut table, now) = (RetryAfterTable::default(), Instant::now());
        let max = u32::try_from(MAX_ACCOUNTS).unwrap();
        for number in 0..max + 10 {
            table.note(account(number), now + (1 + number) * SECOND, now);
        }
        assert_eq!(table.0.len(), MAX_ACCOUNTS);
        assert!(table.check(account(9), now).is_ok(), "the first to end are forgotten");
        assert!(table.check(account(10), now).is_err());
        // Those that have ended make room for all that come.
        let later = now + (max + 10) * SECOND;
        table.note(None, later + SECOND, later);
        assert_eq!(table.0.len(), 1);
    }

    fn after(status: u16, fields: &[&[u8]]) -> Option<u64> {
        // Sun, 06 Nov 1994 08:49:37 GMT
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        let mut response = Response::builder().status(status);
        for &field in fields {
            response = response.header(RETRY_AFTER, field);
        }
        of(&response.body(()).unwrap(), || now).map(|after| after.as_secs())
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
    fn takes_a_date_against_that_of_the_response() {
        for (date, want) in [
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(10)),
            ("Sun, 06 Nov 1994 08:49:17 GMT", Some(30)),
            ("Sun, 06 Nov 1994 08:49:47 GMT", None),
            ("Sun, 06 Nov 1994 09:49:47 GMT", None),
            // No date: against the clock here, which says 37.
            ("yesterday", Some(10)),
        ] {
            let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
            let response = Response::builder()
                .status(503)
                .header(DATE, date)
                .header(RETRY_AFTER, "Sun, 06 Nov 1994 08:49:47 GMT")
                .body(());
            let after = of(&response.unwrap(), || now).map(|after| after.as_secs());
            assert_eq!(after, want, "{date}");
        }
    }

    #[test]
    fn only_of_responses_that_ask_to_come_later() {
        for (status, want) in
            [(429, Some(2)), (503, Some(2)), (301, None), (500, None), (200, None)]
        {
            assert_eq!(after(status, &[b"2"]), want, "{status}");
        }
    }
}
