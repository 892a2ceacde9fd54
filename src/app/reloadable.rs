//! A service that can be replaced while it serves.

use std::task::{Context, Poll};

use tokio::sync::watch;
use tower::Service;

/// Gives each request to the current service, which serves it to its end.
///
/// Connections call one service again and again, because a clone costs more than everything else
/// about a request. So each keeps a clone and asks only whether it is still current, which is
/// the reading of one number. A clone of this begins without: whoever accepts connections must
/// not keep the first service, its keys and its secrets, for ever.
pub(super) struct Reloadable<S> {
    current: watch::Receiver<S>,
    service: Option<S>,
}

impl<S: Clone> Reloadable<S> {
    pub(super) fn new(first: S) -> (watch::Sender<S>, Self) {
        let (sender, current) = watch::channel(first);
        (sender, Self { current, service: None })
    }

    fn renew(&mut self) -> &mut S {
        let current = self.current.borrow_and_update().clone();
        self.service.insert(current)
    }
}

impl<S> Clone for Reloadable<S> {
    fn clone(&self) -> Self {
        Self { current: self.current.clone(), service: None }
    }
}

impl<R, S: Service<R> + Clone> Service<R> for Reloadable<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        let is_old = self.current.has_changed().unwrap_or(false);
        match &mut self.service {
            Some(service) if !is_old => service.poll_ready(cx),
            _ => self.renew().poll_ready(cx),
        }
    }

    #[inline]
    fn call(&mut self, request: R) -> S::Future {
        match &mut self.service {
            Some(service) => service.call(request),
            None => self.renew().call(request),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{convert::Infallible, sync::Arc};

    use tower::{ServiceExt as _, service_fn, util::BoxCloneSyncService};

    use super::*;

    #[tokio::test]
    async fn every_request_meets_the_current_service_and_none_keeps_the_old() {
        let held = |generation: u32| {
            let held = Arc::new(generation);
            let weak = Arc::downgrade(&held);
            let service = service_fn(move |(): ()| {
                let held = Arc::clone(&held);
                async move { Ok::<_, Infallible>(*held) }
            });
            (service, weak)
        };
        let (service, first) = held(1);
        let (sender, accepting) = Reloadable::new(BoxCloneSyncService::new(service));
        let mut kept = accepting.clone();
        let mut idle = accepting.clone();
        assert_eq!(kept.ready().await.unwrap().call(()).await, Ok(1));
        let under_way = kept.ready().await.unwrap().call(());

        let (service, second) = held(2);
        sender.send_replace(BoxCloneSyncService::new(service));
        assert_eq!(kept.ready().await.unwrap().call(()).await, Ok(2));
        assert_eq!(idle.ready().await.unwrap().call(()).await, Ok(2));
        assert_eq!(accepting.clone().oneshot(()).await, Ok(2));
        assert_eq!(under_way.await, Ok(1), "begun on the old, ended on the old");
        assert_eq!(first.strong_count(), 0, "the old is gone");

        // Without anybody who could replace it, the last stays.
        drop(sender);
        assert_eq!(kept.ready().await.unwrap().call(()).await, Ok(2));
        assert_eq!(accepting.clone().oneshot(()).await, Ok(2));
        drop((kept, idle, accepting));
        assert_eq!(second.strong_count(), 0);
    }
}
