//! Requests of operators and their tools, by path.

use std::{
    convert::Infallible,
    net::IpAddr,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt as _};
use http::{
    Extensions, Method, Request, Response, StatusCode,
    header::{ALLOW, AUTHORIZATION, CONTENT_SECURITY_POLICY, WWW_AUTHENTICATE},
};
use prometheus::{Registry, TextEncoder};
use serde_json::json;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;
use tower::Service;
use tracing::{error, info, warn};

use super::{
    Config,
    cache_purge::{self, Accounts},
    explanation, guard,
    history::History,
    json_body, page,
    readiness::Readiness,
    responses::{Error, response},
};
use crate::{
    body::Body,
    gateway::OPENAPI,
    loader,
    problem::Code,
    refusal_log::{Kind, RefusalLog},
    request_context::RequestContext,
    request_id::RequestIds,
    upstream::Upstream,
    vehicle_cache::{Cause, Moment, Reason, VehicleCache},
};

const JSON: &str = "application/json";
const TEXT: &str = "text/plain; charset=utf-8";
const EXPOSITION: &str = "text/plain; version=0.0.4; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";

/// The admin listener's service: a handle, cheap to clone.
#[derive(Clone)]
pub struct Admin(Arc<Shared>);

/// What the admin listener shows and changes.
pub struct Parts {
    /// The metrics.
    pub registry: Registry,
    /// Whether the gateway can serve.
    pub readiness: Readiness,
    /// What a purge drops entries of.
    pub cache: VehicleCache<loader::Failure>,
    /// Whose entries they are.
    pub accounts: Accounts,
    /// Whether they are called for.
    pub upstream: Upstream,
    /// A purge is one of these, so that it goes on when its client hangs up.
    pub tasks: TaskTracker,
    /// The effective configuration as JSON, its secrets masked.
    pub config: Bytes,
    /// When the gateway started.
    pub started_at: Instant,
    /// What the figures were since.
    pub history: History,
}

struct Shared {
    config: Config,
    /// For purges, which the log has a line of.
    ids: RequestIds,
    refusals: RefusalLog<(), IpAddr>,
    parts: Parts,
}

enum Endpoint {
    Metrics,
    Health,
    Ready,
    Purge,
    Explain,
    Config,
    OpenApi,
    Page,
    Status,
}

impl Endpoint {
    fn of(path: &str) -> Option<Self> {
        match path {
            "/metrics" => Some(Self::Metrics),
            "/healthz" => Some(Self::Health),
            "/readyz" => Some(Self::Ready),
            "/cache/purge" => Some(Self::Purge),
            "/explain" => Some(Self::Explain),
            "/config" => Some(Self::Config),
            "/openapi.json" => Some(Self::OpenApi),
            "/" => Some(Self::Page),
            "/status" => Some(Self::Status),
            _ => None,
        }
    }

    /// Whether it is for scrapes and probes, which have no token.
    fn is_open(&self) -> bool {
        matches!(self, Self::Metrics | Self::Health | Self::Ready)
    }

    fn check_method(&self, method: &Method) -> Result<(), Error> {
        let (allowed, text) = match self {
            Self::Purge | Self::Explain => (method == Method::POST, "POST"),
            _ => (method == Method::GET || method == Method::HEAD, "GET, HEAD"),
        };
        if allowed {
            return Ok(());
        }
        let error = Error::new(Code::MethodNotAllowed, "this path does not allow the method");
        Err(error.with(ALLOW, text))
    }
}

impl Admin {
    /// A service with these parts.
    pub fn new(config: Config, parts: Parts) -> Self {
        let (ids, refusals) = (RequestIds::new(), RefusalLog::default());
        Self(Arc::new(Shared { config, ids, refusals, parts }))
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

/// The page, which may run what it brings and nothing else.
fn page_response() -> Response<Body> {
    let mut response = response(StatusCode::OK, HTML, page::PAGE);
    response
        .headers_mut()
        .insert(CONTENT_SECURITY_POLICY, page::POLICY.clone());
    response
}

/// Who has sent a request.
fn client(extensions: &Extensions) -> Option<IpAddr> {
    RequestContext::of(extensions).peer.map(|peer| peer.client)
}

impl Shared {
    async fn respond(&self, request: Request<Body>) -> Result<Response<Body>, Error> {
        let endpoint = Endpoint::of(request.uri().path());
        let is_open = endpoint.as_ref().is_some_and(Endpoint::is_open);
        let Config { token, hosts } = &self.config;
        // No foreign page knows the token.
        let any_host = is_open || token.is_some();
        guard::check_host(&request, (!any_host).then_some(hosts))?;
        // A client without the token does not learn either which paths there are.
        if let Some(token) = token
            && !is_open
            && !guard::is_authorized(&request, token)
        {
            self.note_refusal(&request);
            let error = Error::new(Code::Unauthorized, "the admin token is needed");
            let challenges = guard::CHALLENGES.into_iter();
            return Err(challenges.fold(error, |error, it| error.with(WWW_AUTHENTICATE, it)));
        }
        let endpoint =
            endpoint.ok_or_else(|| Error::new(Code::NotFound, "there is nothing at this path"))?;
        endpoint.check_method(request.method())?;

        let (media_type, body) = match endpoint {
            Endpoint::Metrics => (EXPOSITION, self.metrics()?.into()),
            Endpoint::Health => (TEXT, "ok\n".into()),
            Endpoint::Ready => return Ok(self.ready()),
            Endpoint::Purge => (JSON, self.purge(request).await?.into()),
            Endpoint::Explain => (JSON, self.explain(request).await?.into()),
            Endpoint::Config => (JSON, self.parts.config.clone()),
            Endpoint::OpenApi => (JSON, OPENAPI.into()),
            Endpoint::Page => return Ok(page_response()),
            Endpoint::Status => (JSON, self.status().into()),
        };
        Ok(response(StatusCode::OK, media_type, body))
    }

    /// Says in the log who sends another token. Who sends none may be a browser that does not know
    /// yet that one is needed.
    fn note_refusal(&self, request: &Request<Body>) {
        if request.headers().contains_key(AUTHORIZATION) {
            let lines = self.refusals.note((), client(request.extensions()));
            for (Kind { client, .. }, count) in lines {
                warn!(client = client.map(display), count, "admin token refused");
            }
        }
    }

    fn metrics(&self) -> Result<String, Error> {
        TextEncoder::new()
            .encode_to_string(&self.parts.registry.gather())
            .map_err(|error| {
                error!(%error, "metrics not encoded");
                Error::internal()
            })
    }

    fn ready(&self) -> Response<Body> {
        let reasons = self.parts.readiness.reasons();
        let ready = reasons.is_empty();
        let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        let mut detail = json!({ "ready": ready, "reasons": reasons });
        // Which is no reason: without the others, the gateway serves all the same.
        if let Some(hears) = self.parts.cache.hears_of_writes() {
            detail["shared"] = if hears { "heard" } else { "lost" }.into();
        }
        response(status, JSON, detail.to_string())
    }

    fn status(&self) -> String {
        let Parts { registry, readiness, started_at, history, .. } = &self.parts;
        let reasons = readiness.reasons();
        page::status(started_at.elapsed(), &reasons, &registry.gather(), history).to_string()
    }

    async fn purge(&self, mut request: Request<Body>) -> Result<String, Error> {
        let id = self.ids.mark(request.headers_mut());
        let (head, body) = request.into_parts();
        let body = json_body::read(&head.headers, body).await?;
        let selection = cache_purge::read(&body, &self.parts.accounts)?;
        let (cache, filter) = (self.parts.cache.clone(), selection.filter);
        let reason = Reason { cause: Cause::Purge, request: Some(id.clone()) };
        let purge = async move { cache.purge_vehicles(&filter, reason).await };
        // A panic is logged where it happens.
        let purged = self.parts.tasks.spawn(purge).await;
        let purged = purged.map_err(|_| Error::internal())?;
        info!(
            request_id = id.as_str(),
            client = client(&head.extensions).map(display),
            account = selection.account,
            filter = selection.named(),
            purged,
            "cache purged"
        );
        Ok(json!({ "purged": purged }).to_string())
    }

    async fn explain(&self, request: Request<Body>) -> Result<String, Error> {
        let (head, body) = request.into_parts();
        let body = json_body::read(&head.headers, body).await?;
        let Parts { cache, upstream, accounts, .. } = &self.parts;
        let (vehicle, asked) = explanation::read(&body, accounts)?;
        let explanation = explanation::explain(cache, upstream, vehicle, &asked, Moment::now());
        Ok(explanation.to_string())
    }
}
