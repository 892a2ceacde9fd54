//! Which answer a request gets.

use std::{
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt as _};
use http::{Method, Request, Response, StatusCode};
use prometheus::{Registry, TextEncoder};
use secrecy::SecretString;
use serde_json::json;
use tokio::time::Instant;
use tower::Service;
use tracing::{error, info};

use super::{
    guard, page,
    purge::{Purge, PurgeRequest},
    readiness::Readiness,
    respond::{Refusal, response},
};
use crate::body::Body;

const JSON: &str = "application/json";
const TEXT: &str = "text/plain; charset=utf-8";
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";

/// The admin listener's service: a handle, cheap to clone.
#[derive(Clone)]
pub struct Admin(Arc<Shared>);

/// What the admin listener shows and reaches.
pub struct Parts {
    /// The metrics.
    pub registry: Registry,
    /// Whether the gateway can serve.
    pub readiness: Readiness,
    /// Drops entries of the cache.
    pub purge: Purge,
    /// The configuration in force as JSON, its secrets masked.
    pub config: Bytes,
    /// Since when the gateway runs.
    pub started_at: Instant,
}

struct Shared {
    token: Option<SecretString>,
    parts: Parts,
}

enum Endpoint {
    Metrics,
    Health,
    Ready,
    Purge,
    Config,
    Page,
}

// === impl Endpoint ===

impl Endpoint {
    fn of(path: &str) -> Option<Self> {
        match path {
            "/metrics" => Some(Self::Metrics),
            "/healthz" => Some(Self::Health),
            "/readyz" => Some(Self::Ready),
            "/cache/purge" => Some(Self::Purge),
            "/config" => Some(Self::Config),
            "/" => Some(Self::Page),
            _ => None,
        }
    }

    /// Whether it is for probes, which have no token.
    fn is_open(&self) -> bool {
        match self {
            Self::Metrics | Self::Health | Self::Ready => true,
            Self::Purge | Self::Config | Self::Page => false,
        }
    }

    fn check_method(&self, method: &Method) -> Result<(), Refusal> {
        let (allowed, text) = match self {
            Self::Purge => (method == Method::POST, "POST"),
            _ => (method == Method::GET || method == Method::HEAD, "GET, HEAD"),
        };
        if allowed { Ok(()) } else { Err(Refusal::MethodNotAllowed(text)) }
    }
}

// === impl Admin ===

impl Admin {
    /// A service with these parts.
    pub fn new(token: Option<SecretString>, parts: Parts) -> Self {
        Self(Arc::new(Shared { token, parts }))
    }
}

impl Service<Request<Body>> for Admin {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let shared = Arc::clone(&self.0);
        async move { Ok(shared.respond(request).await.unwrap_or_else(Response::from)) }.boxed()
    }
}

// === impl Shared ===

impl Shared {
    async fn respond(&self, request: Request<Body>) -> Result<Response<Body>, Refusal> {
        guard::check_host(&request)?;
        let endpoint = Endpoint::of(request.uri().path());
        // Who has no token does not learn either what is there.
        let open = endpoint.as_ref().is_some_and(Endpoint::is_open);
        if let Some(token) = &self.token
            && !open
            && !guard::is_authorized(&request, token)
        {
            return Err(Refusal::Unauthorized);
        }
        let endpoint = endpoint.ok_or(Refusal::NotFound)?;
        endpoint.check_method(request.method())?;

        Ok(match endpoint {
            Endpoint::Metrics => response(StatusCode::OK, METRICS, self.metrics()?),
            Endpoint::Health => response(StatusCode::OK, TEXT, "ok\n"),
            Endpoint::Ready => self.ready(),
            Endpoint::Purge => self.purge(request).await?,
            Endpoint::Config => response(StatusCode::OK, JSON, self.parts.config.clone()),
            Endpoint::Page => {
                let reasons = self.parts.readiness.reasons();
                let families = self.parts.registry.gather();
                let page = page::render(self.parts.started_at.elapsed(), &reasons, &families);
                response(StatusCode::OK, HTML, page)
            }
        })
    }

    fn metrics(&self) -> Result<String, Refusal> {
        TextEncoder::new()
            .encode_to_string(&self.parts.registry.gather())
            .map_err(|error| {
                error!(%error, "the metrics cannot be written");
                Refusal::Internal
            })
    }

    fn ready(&self) -> Response<Body> {
        let reasons = self.parts.readiness.reasons();
        let ready = reasons.is_empty();
        let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        response(status, JSON, json!({ "ready": ready, "reasons": reasons }).to_string())
    }

    async fn purge(&self, request: Request<Body>) -> Result<Response<Body>, Refusal> {
        let (head, body) = request.into_parts();
        let wanted = PurgeRequest::read(&head.headers, body).await?;
        let purged = (self.parts.purge)(wanted).await?;
        info!(purged, "the cache was purged");
        Ok(response(StatusCode::OK, JSON, json!({ "purged": purged }).to_string()))
    }
}
