//! One upstream call: composed, sent, and its response taken apart.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri,
    header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE, RETRY_AFTER, VIA},
};
use tokio::time::{Instant, timeout_at};

use super::{CallError, Config, Elements, ErrorResponse, Metrics};
use crate::{
    body::{self, Body},
    headers::{VIA_1_1, X_REQUEST_ID},
    long_work,
    route::{BATCH_PATH, Route},
    trace::{self, TRACEPARENT},
    upstream::{self, Call, Permit},
    vehicle::{Plate, Vehicle, Vin},
};

/// Makes batch calls to the upstream.
#[derive(Clone, Debug)]
pub(super) struct Fetch {
    metrics: Metrics,
    config: Config,
    /// Headers of a request that its calls carry: its credential and its id.
    carried: Arc<[HeaderName]>,
}

/// A call of so many vehicles takes hardly longer with more, also if somebody waits for it, and
/// what to do with its response is long work.
pub(super) const LARGE: usize = 100;

/// Bytes of an error response that are passed on.
const MAX_ERROR_BODY: usize = 64 * 1024;

/// `{"vin":"","plate":""},` with the longest VIN and plate in it.
const MAX_ENTRY: usize = 22 + Vin::LENGTH + Plate::MAX_LENGTH;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

impl Fetch {
    pub(super) fn new(config: &Config, credential: &[HeaderName], metrics: Metrics) -> Self {
        let carried = credential
            .iter()
            .cloned()
            .chain([X_REQUEST_ID, TRACEPARENT])
            .collect();
        Self { metrics, config: config.clone(), carried }
    }

    /// The headers of the calls for a request with these: its credential, its id, and nothing
    /// else of its sender, because a call may serve several.
    pub(super) fn headers(&self, headers: &HeaderMap) -> HeaderMap {
        let mut head = HeaderMap::with_capacity(8);
        head.insert(ACCEPT, JSON);
        // Elements are served as they come. Without it, any coding would be fine.
        head.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        head.insert(CONTENT_TYPE, JSON);
        head.insert(VIA, HeaderValue::from_static(VIA_1_1));
        for name in self.carried.iter() {
            for value in headers.get_all(name) {
                head.append(name, value.clone());
            }
        }
        head
    }

    /// Until when a call that leaves now has to be over, whatever it takes: who joins it must not
    /// wait for one that never ends.
    pub(super) fn deadline(&self) -> Instant {
        Instant::now() + self.config.request_timeout
    }

    /// Asks for `vehicles`, which fit into one call.
    pub(super) async fn fetch(
        &self,
        permit: Permit,
        headers: HeaderMap,
        span: trace::Parent,
        deadline: Instant,
        vehicles: impl ExactSizeIterator<Item = Vehicle> + Clone,
    ) -> Result<Elements, CallError> {
        self.metrics.calls.inc();
        self.metrics.call_vehicles.observe(vehicles.len() as f64);
        let mut request = Request::new(Body::full(encode(vehicles.clone())));
        *request.method_mut() = Method::GET;
        *request.uri_mut() = Uri::from_static(BATCH_PATH);
        *request.headers_mut() = headers;
        let call = Call { vehicles: vehicles.len(), span, ..Call::new(Route::Batch, request) };
        let whole = async {
            let response = permit.send(call).await?;
            self.whole(*response).await
        };
        let response = timeout_at(deadline, whole)
            .await
            .unwrap_or(Err(CallError::Upstream(upstream::Error::Timeout)))?;
        let parse = || Elements::parse(&response, vehicles.clone());
        let elements = long_work::run(vehicles.len() >= LARGE, parse).await;
        let elements = elements.map_err(|error| CallError::Shape(error.into()))?;
        self.metrics.unasked.inc_by(elements.unasked);
        Ok(elements)
    }

    /// The bytes of a 200.
    async fn whole(&self, response: Response<Body>) -> Result<Bytes, CallError> {
        let (head, mut body) = response.into_parts();
        let Config { max_response, stream_idle_timeout: idle_timeout, .. } = self.config;
        match head.status {
            StatusCode::OK => body
                .buffer(max_response, idle_timeout)
                .await
                .map_err(CallError::Incomplete),
            status if status.is_client_error() || status.is_server_error() => {
                Err(CallError::Refused(ErrorResponse {
                    status,
                    content_type: head.headers.get(CONTENT_TYPE).cloned(),
                    retry_after: head.headers.get(RETRY_AFTER).cloned(),
                    // A body that is cut or late is no reason to keep the status from the client.
                    body: beginning(body, idle_timeout).await,
                }))
            }
            status => Err(CallError::Status(status)),
        }
    }
}

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

/// As much of an error response's body as is passed on.
async fn beginning(mut body: Body, idle_timeout: Duration) -> Bytes {
    use std::future::poll_fn;

    let mut idle = body::Idle::new(idle_timeout);
    let mut bytes = Vec::new();
    while bytes.len() < MAX_ERROR_BODY
        && let Some(Ok(frame)) = poll_fn(|cx| idle.poll_frame(&mut body, cx)).await
    {
        bytes.extend_from_slice(frame.data_ref().map_or(&[], |data| data));
    }
    bytes.truncate(MAX_ERROR_BODY);
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
