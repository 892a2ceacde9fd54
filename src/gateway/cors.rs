//! Which browser applications may call the gateway: CORS, as the Fetch Standard has it (section
//! "HTTP-request" of "CORS protocol").
//!
//! A browser asks first whether it may send what is more than a form could, and a preflight has no
//! token. So those of listed origins are answered before the token check. What the upstream says
//! about origins is about clients that it does not have, and is dropped.

use std::{
    collections::HashSet,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode,
    header::{
        ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
        ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
        ACCESS_CONTROL_REQUEST_METHOD, AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, IF_NONE_MATCH,
        ORIGIN, VARY,
    },
};
use pin_project_lite::pin_project;
use tower::Service;

use super::routing::METHOD_OVERRIDE;
use crate::{
    body::Body,
    headers,
    route::METHODS,
    rule::{Pass, Rule},
};

/// The origins that are listed: as browsers write them, so that they are compared as bytes.
#[derive(Clone, Debug)]
pub(super) struct Origins(Arc<[HeaderValue]>);

/// Answers the preflights of listed origins.
#[derive(Debug)]
pub(super) struct Preflights(pub(super) Origins);

/// A preflight of a listed origin: nothing is wrong, but it is the gateway that answers.
#[derive(Debug, thiserror::Error)]
#[error("a preflight of a listed origin")]
pub struct Preflight {
    /// The value of `Access-Control-Allow-Headers`.
    allowed: HeaderValue,
}

/// A service that says on every response which origin may read it.
#[derive(Clone, Debug)]
pub(super) struct Cors<S> {
    pub(super) origins: Origins,
    pub(super) inner: S,
}

pin_project! {
    /// The response of [`Cors`].
    pub(super) struct ResponseFuture<F> {
        #[pin]
        inner: F,
        origin: Option<HeaderValue>,
        // The upstream never sees one.
        is_preflight: bool,
    }
}

/// What a request may have besides what every page may send, whether it is asked for or not.
const ALLOWED: [HeaderName; 5] =
    [AUTHORIZATION, CONTENT_TYPE, IF_NONE_MATCH, CACHE_CONTROL, METHOD_OVERRIDE];

/// What an application may read besides what every page may read.
const EXPOSED: HeaderValue =
    HeaderValue::from_static("etag, cache-status, retry-after, x-request-id");

/// Seconds for which a browser need not ask again; no browser takes more.
const MAX_AGE: HeaderValue = HeaderValue::from_static("7200");

/// What the names of all begin with that a response can say of origins. Browsers know more of them
/// than the standard.
const SAID: &str = "access-control-";

impl Origins {
    /// These, or `None` if there are none: then CORS is the upstream's business.
    pub(super) fn new(listed: Vec<HeaderValue>) -> Option<Self> {
        (!listed.is_empty()).then(|| Self(listed.into()))
    }

    /// The origin of a request, if it is listed.
    fn listed(&self, headers: &HeaderMap) -> Option<&HeaderValue> {
        let origin = headers::only(headers, ORIGIN).ok()??;
        self.0.iter().find(|listed| *listed == origin)
    }

    fn is_preflight(&self, request: &Request<Body>) -> bool {
        *request.method() == Method::OPTIONS
            && request
                .headers()
                .contains_key(ACCESS_CONTROL_REQUEST_METHOD)
            && self.listed(request.headers()).is_some()
    }
}

impl Rule for Preflights {
    type Error = Preflight;

    fn check(&self, request: &mut Request<Body>) -> Result<Pass<Preflight>, Preflight> {
        if self.0.is_preflight(request) {
            Err(Preflight::of(request.headers()))
        } else {
            Ok(Pass::Now)
        }
    }
}

impl Preflight {
    fn of(headers: &HeaderMap) -> Self {
        let asked = headers::list(headers, ACCESS_CONTROL_REQUEST_HEADERS);
        let asked = asked.filter_map(|name| HeaderName::from_bytes(name).ok());
        let names: Vec<_> = ALLOWED.into_iter().chain(asked).collect();
        let (names, mut seen) = (names.iter().map(HeaderName::as_str), HashSet::new());
        let names: Vec<_> = names.filter(|name| seen.insert(*name)).collect();
        let allowed = HeaderValue::try_from(names.join(", "));
        Self { allowed: allowed.expect("names of headers are visible ASCII") }
    }

    /// The response, but for what every response to a listed origin has.
    pub(super) fn response(&self) -> Response<Body> {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        let headers = response.headers_mut();
        let methods = HeaderValue::from_static(METHODS);
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, methods);
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, self.allowed.clone());
        headers.insert(ACCESS_CONTROL_MAX_AGE, MAX_AGE);
        let varies = "access-control-request-method, access-control-request-headers";
        headers.insert(VARY, HeaderValue::from_static(varies));
        response
    }
}

impl<S> Service<Request<Body>> for Cors<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let origin = self.origins.listed(request.headers()).cloned();
        let is_preflight = self.origins.is_preflight(&request);
        ResponseFuture { inner: self.inner.call(request), origin, is_preflight }
    }
}

impl<F, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<Body>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut response = ready!(this.inner.poll(cx))?;
        let headers = response.headers_mut();
        if !*this.is_preflight {
            let is_of_origins = |name: &&HeaderName| name.as_str().starts_with(SAID);
            let said: Vec<_> = headers.keys().filter(is_of_origins).cloned().collect();
            for name in said {
                headers.remove(name);
            }
        }
        // Also without an origin: what is stored for one must not be given to another.
        headers.append(VARY, HeaderValue::from_static("origin"));
        if let Some(origin) = this.origin.take() {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
        }
        Poll::Ready(Ok(response))
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, convert::Infallible};

    use serde_json::Value;
    use tower::{ServiceExt as _, service_fn};

    use super::*;
    use crate::{gateway::OPENAPI, rule::apply_now};

    const LISTED: &str = "https://fleet.example";

    fn origins() -> Origins {
        Origins::new(vec![HeaderValue::from_static(LISTED)]).unwrap()
    }

    fn request(method: Method, headers: &[(&str, &str)]) -> Request<Body> {
        let mut request = Request::builder().method(method);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(Body::empty()).unwrap()
    }

    #[test]
    fn only_preflights_of_listed_origins_are_answered() {
        let asks = ("access-control-request-method", "QUERY");
        for (method, headers, is_answered) in [
            (Method::OPTIONS, &[("origin", LISTED), asks][..], true),
            (Method::OPTIONS, &[("origin", LISTED)], false),
            (Method::OPTIONS, &[asks], false),
            (Method::GET, &[("origin", LISTED), asks], false),
            (Method::OPTIONS, &[("origin", "https://fleet.example:8443"), asks], false),
            (Method::OPTIONS, &[("origin", "http://fleet.example"), asks], false),
            (Method::OPTIONS, &[("origin", "https://fleet.example.evil.example"), asks], false),
            (Method::OPTIONS, &[("origin", "null"), asks], false),
            (Method::OPTIONS, &[("origin", LISTED), ("origin", "https://b.example"), asks], false),
        ] {
            let passed = apply_now(&Preflights(origins()), request(method, headers));
            assert_eq!(passed.is_err(), is_answered, "{headers:?}");
        }
        assert!(Origins::new(Vec::new()).is_none());
    }

    #[test]
    fn a_preflight_may_send_what_it_asks_for_if_it_is_a_name_and_each_name_is_said_once() {
        const ASKED: &str = "access-control-request-headers";
        let asked = [
            (ASKED, "x-tenant, a b,, traceparent, Authorization, x-tenant"),
            (ASKED, "X-Tenant,content-type"),
        ];
        let request = request(Method::OPTIONS, &asked);
        let response = Preflight::of(request.headers()).response();
        let allowed = response.headers()[ACCESS_CONTROL_ALLOW_HEADERS].to_str();
        assert_eq!(
            allowed.unwrap(),
            "authorization, content-type, if-none-match, cache-control, x-http-method-override, \
             x-tenant, traceparent"
        );
    }

    #[tokio::test]
    async fn the_description_of_a_preflight_has_its_headers() {
        let asks = [("origin", LISTED), ("access-control-request-method", "QUERY")];
        let inner = service_fn(async |request: Request<Body>| {
            Ok::<_, Infallible>(Preflight::of(request.headers()).response())
        });
        let cors = Cors { origins: origins(), inner };
        let Ok(response) = cors.oneshot(request(Method::OPTIONS, &asks)).await;
        let document: Value = serde_json::from_str(OPENAPI).unwrap();
        let described = &document["components"]["responses"]["Preflight"]["headers"];
        // The edge adds the last to every response.
        let described = described.as_object().unwrap().iter();
        let described = described.filter(|(name, _)| *name != "X-Request-Id");
        let described = described.map(|(name, header)| {
            let pointer = header["$ref"].as_str().map(|to| to.trim_start_matches('#'));
            let header = pointer.map_or(header, |to| document.pointer(to).unwrap());
            let value = header["schema"].get("const").unwrap_or(&header["example"]);
            (name.to_lowercase(), value.as_str().unwrap().to_owned())
        });
        let sent = response.headers().keys().map(|name| {
            let lines: Vec<_> = response.headers().get_all(name).iter().collect();
            let lines: Vec<_> = lines.iter().map(|line| line.to_str().unwrap()).collect();
            (name.to_string(), lines.join(", "))
        });
        assert_eq!(sent.collect::<BTreeMap<_, _>>(), described.collect());
    }

    #[tokio::test]
    async fn what_the_upstream_says_of_origins_is_dropped() {
        let inner = service_fn(async |_: Request<Body>| {
            let response = Response::builder().header(VARY, "accept");
            let said = [
                "Access-Control-Allow-Credentials",
                "Access-Control-Allow-Headers",
                "Access-Control-Allow-Methods",
                "Access-Control-Allow-Origin",
                "Access-Control-Allow-Private-Network",
                "Access-Control-Expose-Headers",
                "Access-Control-Max-Age",
            ];
            let response = said
                .into_iter()
                .fold(response, |response, name| response.header(name, "*"));
            Ok::<_, Infallible>(response.body(Body::empty()).unwrap())
        });
        for (origin, allowed) in [(LISTED, Some(LISTED)), ("https://other.example", None)] {
            let cors = Cors { origins: origins(), inner };
            let request = request(Method::GET, &[("origin", origin)]);
            let Ok(response) = cors.oneshot(request).await;
            let headers = response.headers();
            let says = |name: HeaderName| headers.get(name).map(|value| value.to_str().unwrap());
            assert_eq!(says(ACCESS_CONTROL_ALLOW_ORIGIN), allowed);
            assert_eq!(says(ACCESS_CONTROL_EXPOSE_HEADERS).is_some(), allowed.is_some());
            let said = headers
                .keys()
                .filter(|name| name.as_str().starts_with(SAID))
                .count();
            assert_eq!(said, if allowed.is_some() { 2 } else { 0 });
            let varies: Vec<_> = headers.get_all(VARY).iter().collect();
            assert_eq!(varies, ["accept", "origin"]);
        }
    }
}
