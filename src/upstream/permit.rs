//! The right to make a call.

use std::time::SystemTime;

use http::{Request, Response, StatusCode};
use http_body::Body as _;

use super::{
    Call, Error, Reservation, Upstream,
    admission::{Admitted, Attempt, Slot, StreamingSlot},
    breaker::End,
    retry_after,
};
use crate::{body::Body, route::Route};

/// The right to make one call, which counts among the calls at once from here on.
///
/// It is given back when the body of the response has ended or is dropped, or with the permit
/// itself if nothing is sent.
#[must_use = "a permit that is not used keeps others waiting"]
#[derive(Debug)]
pub struct Permit {
    upstream: Upstream,
    reservation: Reservation,
    admitted: Admitted,
}

// === impl Permit ===

impl Permit {
    pub(super) fn new(upstream: Upstream, reservation: Reservation, admitted: Admitted) -> Self {
        Self { upstream, reservation, admitted }
    }

    pub(super) fn upstream(&self) -> &Upstream {
        &self.upstream
    }

    pub(super) fn reservation(&self) -> Reservation {
        self.reservation
    }

    /// Makes the call, and makes it again if it fails and that can hurt nobody. Ready with the head
    /// of the response; its body streams.
    pub async fn send(self, call: Call) -> Result<Response<Body>, Error> {
        super::retry::send(self, call).await
    }

    /// Makes the call once.
    pub(super) async fn attempt(
        self,
        route: Route,
        mut request: Request<Body>,
    ) -> Result<Response<Body>, Error> {
        let Self { upstream, admitted: Admitted { slot, mut streaming, attempt }, .. } = self;
        if !request.body().is_end_stream() {
            // Once the client has sent all, it sets the pace no more.
            let streaming = streaming.take();
            request = request.map(|body| body.hold(streaming));
        }
        let response = upstream.attempts().send(request, route).await;
        finish(attempt, &response);
        Ok(hold(response?, slot, streaming))
    }
}

/// Tells how the attempt has ended.
fn finish(attempt: Attempt, response: &Result<Response<Body>, Error>) {
    match response {
        Ok(response) => {
            let is_failure = response.status().is_server_error();
            let end = if is_failure { End::Failure } else { End::Success };
            attempt.finish(end, retry_after::of(response, SystemTime::now()));
        }
        Err(error) if error.trips_breaker() => attempt.finish(End::Failure, None),
        Err(_) => attempt.finish(End::GivenUp, None),
    }
}

/// Keeps the permit until the response has ended. A tunnel goes at its ends' pace.
fn hold(response: Response<Body>, slot: Slot, streaming: Option<StreamingSlot>) -> Response<Body> {
    let is_tunnel = response.status() == StatusCode::SWITCHING_PROTOCOLS;
    let streaming = streaming.filter(|_| is_tunnel);
    response.map(|body| body.hold((slot, streaming)))
}

#[cfg(test)]
mod tests;
