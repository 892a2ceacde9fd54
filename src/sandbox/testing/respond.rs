//! The life of one call: read, recorded, delayed, done, spoilt, sent.

use std::time::Duration;

use http::{
    Request, Response, StatusCode,
    header::{CONTENT_LENGTH, HeaderName, HeaderValue},
};
use hyper::body::Incoming;
use serde_json::json;
use tokio::time;

use super::{
    calls::{CallKind, Counted},
    control::Control,
    faults::Faults,
    harness::Harness,
    helpers,
    mutation::Mutation,
    payload::{Aborted, Body, Payload},
};
use crate::sandbox::{api::Endpoint, error::ApiError, received::Received, reply};

impl Harness {
    /// Responds to a request.
    ///
    /// # Errors
    ///
    /// The request broke off, or a fault wants the connection closed.
    pub(in crate::sandbox) async fn respond(
        &self,
        request: Request<Incoming>,
    ) -> Result<Response<Body>, Aborted> {
        let control = Control::of(request.method(), request.uri().path());
        let open = control.is_none().then(|| self.calls.open());
        let received = Received::read(request).await.map_err(Aborted::Request)?;
        if let Some(control) = control {
            let response = control.respond(self, &received);
            let response = response.unwrap_or_else(Response::from);
            return Ok(send(response.map(Payload::new), false, open));
        }

        let endpoint = Endpoint::of(&received);
        let (kind, vehicles) = (CallKind::of(&endpoint), endpoint.vehicles());
        let number = self.calls.record(kind, &received, vehicles);
        let (faults, mut replaced) = self.faults.match_call(kind, vehicles);
        let at_once = self.calls.counters().open;
        pass(faults.latency_of(number, vehicles.len(), at_once)).await;
        let response = self
            .work(endpoint, &received, &faults)
            .unwrap_or_else(|error| {
                self.calls.reject();
                Response::from(error).map(Payload::new)
            });
        pass(faults.hold).await;
        if faults.hang {
            let _hanging = self.calls.hanging();
            // The sender is the harness's own and outlives the call, so that this never fails.
            let _ = replaced.changed().await;
        }
        if faults.close {
            return Err(Aborted::Closed);
        }
        Ok(send(spoil(response, &faults), faults.chunked, open))
    }

    fn work(
        &self,
        endpoint: Endpoint<'_>,
        received: &Received,
        faults: &Faults,
    ) -> Result<Response<Payload>, ApiError> {
        if let Some(response) = helpers::respond(received) {
            return response;
        }
        let response = match endpoint {
            Endpoint::Batch(Ok(call)) if !faults.mutations.is_empty() => {
                let elements = self.api.elements(&call);
                let body = Mutation::envelope(&faults.mutations, &call.vehicles, elements);
                reply::json_bytes(body)
            }
            endpoint => self.api.respond(endpoint, received)?,
        };
        Ok(response.map(Payload::new))
    }
}

/// Does to status, headers and body what `faults` say.
fn spoil(mut response: Response<Payload>, faults: &Faults) -> Response<Payload> {
    if let Some(status) = faults.status {
        let fault = json!({ "type": "fault", "detail": "Fault", "message": "as requested" });
        response = reply::json(&fault).map(Payload::new);
        *response.status_mut() =
            StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    }
    if let Some(body) = &faults.body {
        *response.body_mut() = Payload::new(body.clone());
    }
    for (name, value) in &faults.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().insert(name, value);
        }
    }
    let payload = response.body_mut();
    let padded = faults.pad_to.unwrap_or_default();
    payload.fill += padded.saturating_sub(payload.length());
    payload.cut_after = faults.cut_after;
    payload.bytes_per_second = faults.bytes_per_second;
    response
}

/// The response as it goes out, of unknown length if `chunked`; `open` lives until its last byte.
fn send(response: Response<Payload>, chunked: bool, open: Option<Counted>) -> Response<Body> {
    let (mut head, payload) = response.into_parts();
    let length = payload.length();
    if length > 0 && !chunked {
        head.headers.insert(CONTENT_LENGTH, length.into());
    }
    Response::from_parts(head, payload.into_body(open))
}

/// Lets `time` pass; a sleep of no time would still take up to a tick of the timer.
async fn pass(time: Duration) {
    if !time.is_zero() {
        time::sleep(time).await;
    }
}
