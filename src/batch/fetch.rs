//! One upstream call: composed, sent, and its answer taken apart.

use std::{any::Any, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri,
    header::{ACCEPT, CONTENT_TYPE, RETRY_AFTER, VIA},
};
use tokio::time::timeout;
use tower::ServiceExt as _;

use super::{CallError, Elements, Metrics, error::Refusal};
use crate::{
    body::{self, Body},
    route::{BATCH_PATH, Route},
    upstream::{self, Upstream},
    vehicle::{Plate, Vehicle, Vin},
};

/// Makes batch calls to the upstream.
#[derive(Clone, Debug)]
pub(super) struct Fetch {
    upstream: Upstream,
    metrics: Metrics,
    limits: Limits,
    /// Fields of a request that its calls carry: its credential and its name.
    carried: Arc<[HeaderName]>,
}

/// What one answer may take.
#[derive(Clone, Copy, Debug)]
struct Limits {
    max_answer: usize,
    idle_timeout: Duration,
    /// For all of it: whoever joins a call must not wait for one that never ends.
    timeout: Duration,
}

/// Bytes of a refusal that are passed on.
const MAX_REFUSAL: usize = 64 * 1024;

/// `{"vin":"","plate":""},` with the longest VIN and plate in it.
const MAX_ENTRY: usize = 22 + Vin::LENGTH + Plate::MAX_LENGTH;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

// === impl Fetch ===

impl Fetch {
    pub(super) fn new(
        upstream: Upstream,
        config: &super::Config,
        credential: &[HeaderName],
        metrics: Metrics,
    ) -> Self {
        let carried = credential
            .iter()
            .cloned()
            .chain([X_REQUEST_ID, TRACEPARENT])
            .collect();
        let limits = Limits {
            max_answer: config.max_answer,
            idle_timeout: config.stream_idle_timeout,
            timeout: config.request_timeout,
        };
        Self { upstream, metrics, limits, carried }
    }

    /// The head of the calls for a request with these fields: its credential, its name, and
    /// nothing else of its sender, because a call may serve several.
    pub(super) fn head(&self, fields: &HeaderMap) -> HeaderMap {
        let mut head = HeaderMap::with_capacity(8);
        head.insert(ACCEPT, JSON);
        head.insert(CONTENT_TYPE, JSON);
        head.insert(VIA, HeaderValue::from_static("1.1 vingate"));
        for name in self.carried.iter() {
            for value in fields.get_all(name) {
                head.append(name, value.clone());
            }
        }
        head
    }

    /// Asks for `vehicles`, which fit into one call, on behalf of `account`. As long as `turn`
    /// is awaited, nothing is sent. `sending` is dropped when the last byte of the call was
    /// taken, after it had its turn and a connection, and before Sync can have all of it.
    pub(super) async fn fetch(
        &self,
        head: HeaderMap,
        account: Option<upstream::Account>,
        turn: upstream::Turn,
        vehicles: impl ExactSizeIterator<Item = Vehicle> + Clone,
        sending: impl Any + Send,
    ) -> Result<Elements, CallError> {
        self.metrics.chunks.inc();
        let mut call = Request::new(Body::full(encode(vehicles.clone())).hold(sending));
        *call.method_mut() = Method::GET;
        *call.uri_mut() = Uri::from_static(BATCH_PATH);
        *call.headers_mut() = head;
        call.extensions_mut().insert(Route::Batch);
        call.extensions_mut().insert(turn);
        if let Some(account) = account {
            call.extensions_mut().insert(account);
        }
        let whole = async {
            let response = self.upstream.clone().oneshot(call).await?;
            self.whole(response).await
        };
        let response = timeout(self.limits.timeout, whole)
            .await
            .unwrap_or(Err(CallError::Upstream(upstream::Error::Timeout)))?;
        let elements = Elements::parse(&response, vehicles);
        let elements = elements.map_err(|error| CallError::Shape(error.into()))?;
        self.metrics.unasked.inc_by(elements.unasked);
        Ok(elements)
    }

    /// The bytes of a 200.
    async fn whole(&self, response: Response<Body>) -> Result<Bytes, CallError> {
        let (head, mut body) = response.into_parts();
        let Limits { max_answer, idle_timeout, .. } = self.limits;
        match head.status {
            StatusCode::OK => body
                .buffer(max_answer, idle_timeout)
                .await
                .map_err(CallError::Incomplete),
            status if status.is_client_error() || status.is_server_error() => {
                Err(CallError::Refused(Refusal {
                    status,
                    content_type: head.headers.get(CONTENT_TYPE).cloned(),
                    retry_after: head.headers.get(RETRY_AFTER).cloned(),
                    // What is cut or late is no reason to keep the status from the caller.
                    body: beginning(body, idle_timeout).await,
                }))
            }
            status => Err(CallError::Status(status)),
        }
    }
}

impl From<upstream::Error> for CallError {
    fn from(error: upstream::Error) -> Self {
        Self::Upstream(error)
    }
}

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// The body of a call. VINs and plates are letters and digits, so nothing needs escaping.
fn encode(vehicles: impl ExactSizeIterator<Item = Vehicle>) -> Vec<u8> {
    let mut body = Vec::with_capacity(16 + vehicles.len() * MAX_ENTRY);
    body.extend_from_slice(br#"{"vehicles":["#);
    for (nth, Vehicle { vin, plate }) in vehicles.enumerate() {
        if nth > 0 {
            body.push(b',');
        }
        body.extend_from_slice(br#"{"vin":""#);
        body.extend_from_slice(vin.as_bytes());
        body.extend_from_slice(br#"","plate":""#);
        body.extend_from_slice(plate.as_bytes());
        body.extend_from_slice(br#""}"#);
    }
    body.extend_from_slice(b"]}");
    body
}

/// As much of a refusal's body as is passed on.
async fn beginning(mut body: Body, idle_timeout: Duration) -> Bytes {
    use std::future::poll_fn;

    let mut idle = body::Idle::new(idle_timeout);
    let mut bytes = Vec::new();
    while bytes.len() < MAX_REFUSAL
        && let Some(Ok(frame)) = poll_fn(|cx| idle.poll_frame(&mut body, cx)).await
    {
        bytes.extend_from_slice(frame.data_ref().map_or(&[], |data| data));
    }
    bytes.truncate(MAX_REFUSAL);
    bytes.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodes_what_sync_documents() {
        let vehicles =
            [("3VWFE21C04M000001", "ABC123"), ("3VWFE21C04M000002", "X")].map(|(vin, plate)| {
                Vehicle { vin: Vin::parse(vin).unwrap(), plate: Plate::parse(plate).unwrap() }
            });
        let body = encode(vehicles.into_iter());
        assert_eq!(
            std::str::from_utf8(&body).unwrap(),
            r#"{"vehicles":[{"vin":"3VWFE21C04M000001","plate":"ABC123"},{"vin":"3VWFE21C04M000002","plate":"X"}]}"#
        );
    }
}
