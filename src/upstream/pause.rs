//! Sync's own wish to be left alone, kept to for the account that it was said to.
//!
//! The wish is noted where answers come by, and looked at before each call goes: no call is made
//! before its time, not even one that had been waiting for its turn.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::SystemTime,
};

use foldhash::{HashMap, HashMapExt as _};
use futures_util::future::{self, Either};
use http::{Request, Response};
use parking_lot::Mutex;
use pin_project_lite::pin_project;
use tokio::time::Instant;
use tower::{Layer, Service};

use super::{Error, call::Account, retry_after};
use crate::body::Body;

/// Until when which account is not to call: a handle, cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Pauses(Arc<Mutex<HashMap<Option<Account>, Instant>>>);

#[derive(Clone, Debug)]
pub(super) struct PauseLayer(Pauses);

#[derive(Clone, Debug)]
pub(super) struct Pause<S> {
    inner: S,
    pauses: Pauses,
}

type Answer = Result<Response<Body>, Error>;

pin_project! {
    /// The answer of [`Pause`].
    pub(super) struct ResponseFuture<F> {
        #[pin]
        inner: F,
        account: Option<Account>,
        pauses: Pauses,
    }
}

/// Accounts that pause at once. Callers with credentials of their own could make up any number;
/// beyond this the pause that ends first is forgotten.
const MAX_PAUSES: usize = 4096;

// === impl Pauses ===

impl Pauses {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(HashMap::new())))
    }

    /// Nothing, or the rest of the pause.
    pub(super) fn check(&self, account: Option<Account>, now: Instant) -> Result<(), Error> {
        let mut pauses = self.0.lock();
        match pauses.get(&account) {
            None => Ok(()),
            Some(&until) if until <= now => {
                pauses.remove(&account);
                Ok(())
            }
            Some(&until) => Err(Error::Paused { rest: until - now }),
        }
    }

    fn note(&self, account: Option<Account>, until: Instant, now: Instant) {
        let mut pauses = self.0.lock();
        if let Some(noted) = pauses.get_mut(&account) {
            // The longest wish of several counts.
            *noted = until.max(*noted);
            return;
        }
        if pauses.len() >= MAX_PAUSES {
            pauses.retain(|_, &mut until| until > now);
        }
        if pauses.len() >= MAX_PAUSES {
            let first = pauses.iter().min_by_key(|&(_, &until)| until);
            let first = first.map(|(&account, _)| account);
            first.map(|account| pauses.remove(&account));
        }
        pauses.insert(account, until);
    }
}

// === impl PauseLayer ===

impl PauseLayer {
    pub(super) fn new(pauses: Pauses) -> Self {
        Self(pauses)
    }
}

impl<S> Layer<S> for PauseLayer {
    type Service = Pause<S>;

    fn layer(&self, inner: S) -> Pause<S> {
        Pause { inner, pauses: self.0.clone() }
    }
}

// === impl Pause ===

impl<S> Service<Request<Body>> for Pause<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Error>,
{
    type Response = Response<Body>;
    type Error = Error;
    type Future = Either<ResponseFuture<S::Future>, future::Ready<Answer>>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let account = request.extensions().get().copied();
        if let Err(paused) = self.pauses.check(account, Instant::now()) {
            return Either::Right(future::ready(Err(paused)));
        }
        let pauses = self.pauses.clone();
        Either::Left(ResponseFuture { inner: self.inner.call(request), account, pauses })
    }
}

// === impl ResponseFuture ===

impl<F: Future<Output = Answer>> Future for ResponseFuture<F> {
    type Output = Answer;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Answer> {
        let this = self.project();
        let response = ready!(this.inner.poll(cx))?;
        if let Some(after) = retry_after::of(&response, SystemTime::now()) {
            let now = Instant::now();
            this.pauses.note(*this.account, now + after, now);
        }
        Poll::Ready(Ok(response))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::header::RETRY_AFTER;
    use tokio::time::advance;
    use tower::{ServiceExt as _, service_fn};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn account(number: u32) -> Option<Account> {
        let mut digest = [0; 32];
        digest[..4].copy_from_slice(&number.to_le_bytes());
        Some(Account(digest))
    }

    #[tokio::test(start_paused = true)]
    async fn calls_nobody_for_the_account_before_its_time() {
        let upstream = service_fn(async |request: Request<Body>| {
            let is_busy = request.uri().path() == "/busy";
            let response = Response::builder().status(if is_busy { 503 } else { 200 });
            Ok(response
                .header(RETRY_AFTER, "7")
                .body(Body::empty())
                .unwrap())
        });
        let service = PauseLayer::new(Pauses::new()).layer(upstream);
        let call = async |account: Option<Account>, path: &str| {
            let mut request = Request::new(Body::empty());
            *request.uri_mut() = path.parse().unwrap();
            account.map(|account| request.extensions_mut().insert(account));
            service.clone().oneshot(request).await
        };
        for paused in [None, account(1)] {
            let other = account(2);
            assert!(call(paused, "/").await.is_ok());
            assert_eq!(call(paused, "/busy").await.unwrap().status(), 503, "as it came");
            advance(3 * SECOND).await;
            let Err(Error::Paused { rest }) = call(paused, "/").await else {
                panic!("it was called");
            };
            assert_eq!(rest, 4 * SECOND);
            assert!(call(other, "/").await.is_ok());
            advance(4 * SECOND).await;
            assert!(call(paused, "/").await.is_ok());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_longest_wish_counts() {
        let (pauses, now) = (Pauses::new(), Instant::now());
        for (seconds, rest) in [(5, 5), (3, 5), (9, 9)] {
            pauses.note(None, now + seconds * SECOND, now);
            let Err(Error::Paused { rest: found }) = pauses.check(None, now) else {
                panic!("no pause");
            };
            assert_eq!(found, rest * SECOND);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn remembers_only_so_many() {
        let (pauses, now) = (Pauses::new(), Instant::now());
        let max = u32::try_from(MAX_PAUSES).unwrap();
        for number in 0..max + 10 {
            pauses.note(account(number), now + (1 + number) * SECOND, now);
        }
        assert_eq!(pauses.0.lock().len(), MAX_PAUSES);
        assert!(pauses.check(account(9), now).is_ok(), "the first to end are forgotten");
        assert!(pauses.check(account(10), now).is_err());
        // Those that have ended make room for all that come.
        let later = now + (max + 10) * SECOND;
        pauses.note(None, later + SECOND, later);
        assert_eq!(pauses.0.lock().len(), 1);
    }
}
