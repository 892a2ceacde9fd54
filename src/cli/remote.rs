//! A running gateway, asked over HTTP.

use std::{error::Error, fmt, time::Duration};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, header,
};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use serde::Deserialize;
use serde_json::Value;
use tokio::time::timeout;

use super::{Outcome, env};
use crate::tls;

/// A listener of a running gateway. TLS is verified, with the roots of the system or of
/// `$SSL_CERT_FILE`.
#[derive(Clone, Debug)]
pub(super) struct Remote {
    client: Client<tls::Connector, Full<Bytes>>,
    base: Uri,
    /// What every request has, such as a token.
    headers: HeaderMap,
}

/// Why there is no response that is of use.
#[derive(Debug)]
pub(super) enum Failure {
    /// None came.
    Unreachable(String),
    /// One that refuses.
    Refused { status: StatusCode, detail: String, retry_after: Option<Duration> },
}

/// Where a gateway is by default.
pub(super) const GATEWAY: &str = "http://127.0.0.1:8080";

/// Where its admin listener is by default.
pub(super) const ADMIN: &str = "http://127.0.0.1:9090";

/// What is read of a response that a program or a person reads.
const MAX_BODY: usize = 4 * 1024 * 1024;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// From a request to the end of its response: longer than the gateway itself takes.
const TIMEOUT: Duration = Duration::from_secs(90);

/// The URL of a listener: scheme, host and optionally a port.
pub(super) fn url(text: &str) -> Result<Uri, String> {
    let uri: Uri = text.parse().map_err(|_| "not a URL")?;
    let is_bare = uri.query().is_none() && matches!(uri.path(), "" | "/");
    match (uri.scheme_str(), uri.authority()) {
        (Some("http" | "https"), Some(_)) if is_bare => Ok(uri),
        _ => Err("expected http or https, a host and optionally a port".to_owned()),
    }
}

impl Remote {
    /// The listener at `base`. The environment variable `variable` has the bearer token, if one is
    /// needed.
    pub(super) fn new(base: &Uri, variable: &str) -> Outcome<Self> {
        let tls = tls::client_config(None, base.scheme_str() == Some("https"))?;
        let client =
            Client::builder(TokioExecutor::new()).build(tls::connector(tls, CONNECT_TIMEOUT));
        let mut headers = HeaderMap::new();
        if let Some(token) = env(variable) {
            let token = [b"Bearer ", token.as_encoded_bytes()].concat();
            let mut token = HeaderValue::try_from(token)
                .map_err(|_| format!("the value of {variable} is no bearer token"))?;
            token.set_sensitive(true);
            headers.insert(header::AUTHORIZATION, token);
        }
        Ok(Self { client, base: base.clone(), headers })
    }

    /// The same with the headers of the environment variable `variable`, a line each, which may be
    /// credentials. They take the place of others of their names.
    pub(super) fn with_headers(mut self, variable: &str) -> Outcome<Self> {
        let text = env(variable).unwrap_or_default();
        let headers = headers(text.as_encoded_bytes());
        self.headers
            .extend(headers.ok_or_else(|| format!("{variable} needs lines such as Name: value"))?);
        Ok(self)
    }

    /// The response to a request, if it is a 2xx. A body is JSON.
    pub(super) async fn send(
        &self,
        method: Method,
        path: &str,
        json: impl Into<Bytes>,
    ) -> Result<Response<Incoming>, Failure> {
        let mut parts = self.base.clone().into_parts();
        parts.path_and_query = path.parse().ok();
        let unreachable = |reason: &dyn fmt::Display| {
            Failure::Unreachable(format!("cannot reach {}: {reason}", self.base))
        };
        let request = Request::builder()
            .method(method)
            .uri(Uri::from_parts(parts).map_err(|error| unreachable(&error))?)
            .header(header::CONTENT_TYPE, "application/json");
        let mut request = request
            .body(Full::new(json.into()))
            .map_err(|error| unreachable(&error))?;
        request.headers_mut().extend(self.headers.clone());
        let response = match timeout(TIMEOUT, self.client.request(request)).await {
            Ok(response) => response.map_err(|error| unreachable(&root(&error)))?,
            Err(_) => return Err(unreachable(&"no response in time")),
        };
        if response.status().is_success() { Ok(response) } else { Err(refused(response).await) }
    }

    /// The JSON of a response.
    pub(super) async fn json(
        &self,
        method: Method,
        path: &str,
        json: impl Into<Bytes>,
    ) -> Outcome<Value> {
        let response = self.send(method, path, json).await?;
        let body = body(response)
            .await
            .ok_or("the response of the gateway ended early")?;
        Ok(serde_json::from_slice(&body).map_err(|_| "the response of the gateway is not JSON")?)
    }
}

/// The headers of these lines; `None`: one of them is none.
fn headers(lines: &[u8]) -> Option<HeaderMap> {
    let lines = lines.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    let mut headers = HeaderMap::new();
    for line in lines.filter(|line| !line.is_empty()) {
        let (name, value) = line.split_at(memchr::memchr(b':', line)?);
        let mut value = HeaderValue::from_bytes(value[1..].trim_ascii()).ok()?;
        value.set_sensitive(true);
        headers.append(HeaderName::from_bytes(name).ok()?, value);
    }
    Some(headers)
}

/// The end of a chain of errors says what the others only wrap.
fn root(error: &dyn Error) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}

async fn body(response: Response<Incoming>) -> Option<Bytes> {
    let read = Limited::new(response.into_body(), MAX_BODY).collect();
    Some(timeout(TIMEOUT, read).await.ok()?.ok()?.to_bytes())
}

async fn refused(response: Response<Incoming>) -> Failure {
    #[derive(Deserialize)]
    struct Problem {
        detail: String,
    }
    let status = response.status();
    let retry_after = response.headers().get(header::RETRY_AFTER);
    let retry_after = retry_after.and_then(|seconds| seconds.to_str().ok()?.parse().ok());
    let body = body(response).await.unwrap_or_default();
    let problem = serde_json::from_slice(&body).ok();
    let detail = problem
        .map(|problem: Problem| problem.detail)
        .unwrap_or_default();
    Failure::Refused { status, detail, retry_after: retry_after.map(Duration::from_secs) }
}

impl Failure {
    /// Whether the next request would fail in the same way.
    pub(super) fn is_lasting(&self) -> bool {
        match self {
            Self::Unreachable(_) => true,
            Self::Refused { status, .. } => {
                matches!(*status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
            }
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(reason) => f.write_str(reason),
            Self::Refused { status, detail, .. } if detail.is_empty() => {
                write!(f, "the gateway responded {status}")
            }
            Self::Refused { status, detail, .. } => {
                write!(f, "the gateway responded {status}: {detail}")
            }
        }
    }
}

impl Error for Failure {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_lines() {
        let sent = headers(b"\nCookie: a=b: c\r\n  x-api-key:k\nX-API-KEY: l\n").unwrap();
        assert_eq!(sent["cookie"], "a=b: c");
        let keys: Vec<_> = sent.get_all("x-api-key").into_iter().collect();
        assert_eq!(keys, ["k", "l"]);
        assert!(keys.iter().all(|key| key.is_sensitive()));
        assert_eq!(headers(b""), Some(HeaderMap::new()));
        for text in ["Bearer abc", "a b: c", ": c", "a: \u{1}"] {
            assert_eq!(headers(text.as_bytes()), None, "{text:?}");
        }
    }

    #[test]
    fn a_listener_has_no_path() {
        for (text, is_fine) in [
            ("http://127.0.0.1:9090", true),
            ("https://vingate.internal/", true),
            ("127.0.0.1:9090", false),
            ("ftp://vingate.internal", false),
            ("http://vingate.internal/status", false),
            ("http://vingate.internal?a", false),
            ("http://a b", false),
        ] {
            assert_eq!(url(text).is_ok(), is_fine, "{text}");
        }
    }
}
