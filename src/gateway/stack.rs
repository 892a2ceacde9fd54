//! The request path. A request meets the layers from top to bottom, and in the last of them the
//! rules from top to bottom.

use std::{convert::Infallible, time::Duration};

use http::{Request, Response};
use tower::{ServiceBuilder, layer::layer_fn, util::BoxCloneSyncService};

use super::{
    Config,
    cors::{Cors, Origins, Preflights},
    dispatch::{Batch, Dispatch},
    edge::Edge,
    error::Error,
    identify::Identify,
    respond::Respond,
    routing::route_of,
    trusted_proxies::TrustProxies,
    unauthorized::CountUnauthorized,
};
use crate::{
    auth::{Authenticate, Authorize},
    body::Body,
    forward::Forward,
    limit::{Admit, Deadline, RateLimit, Share},
    normalize::Normalize,
    request_context::RequestContext,
    request_id::RequestIds,
    rule::{self, PassAll, Rule as _},
    telemetry::TelemetryLayer,
};

/// The finished request path: answers every request.
pub type Gateway = BoxCloneSyncService<Request<Body>, Response<Body>, Infallible>;

/// What the path is made of.
#[derive(Debug)]
pub struct Parts {
    /// The limits of a request head, and the proxies that are trusted.
    pub config: Config,
    /// Counts and logs requests.
    pub telemetry: TelemetryLayer,
    /// Bounds requests in flight.
    pub admit: Admit,
    /// Bounds the time until a response.
    pub request_timeout: Duration,
    /// Checks tokens.
    pub authenticate: Authenticate,
    /// Bounds each client's requests a second.
    pub rate: RateLimit,
    /// Bounds each client's requests in flight.
    pub share: Share,
    /// Checks scopes and selects the credential for the upstream.
    pub authorize: Authorize,
    /// Brings vehicles into one spelling.
    pub normalize: Normalize,
    /// Answers batches.
    pub batch: Batch,
    /// Forwards everything else.
    pub forward: Forward,
}

/// Puts the path together.
pub fn stack(parts: Parts) -> Gateway {
    let Parts { config, telemetry, admit, request_timeout, authenticate, .. } = parts;
    let Parts { rate, share, authorize, normalize, batch, forward, .. } = parts;
    let ids = RequestIds::new();
    let origins = Origins::new(config.origins.clone());
    let preflights = origins.clone().map(Preflights);
    let rules = PassAll::<Error>::default()
        // The client's own address, if a trusted proxy says it: also of what is refused below.
        .and(TrustProxies::new(&config))
        // 400, 405, 414, 417, 431: what no later line should ever see.
        .and(Edge::new(&config))
        // 503 before anything costs time; the permit lives as long as the response's body.
        .and(admit)
        // Before the token check: a browser sends no token with the question whether it may.
        .and(preflights)
        // 401, or a principal. A refused token counts against the address it came from.
        .and(CountUnauthorized::new(authenticate, rate.clone()))
        // The client that a principal counts as.
        .and(Identify)
        // 429.
        .and(rate)
        // 503 for a client that has its share in flight.
        .and(share)
        // 403, or the credential that goes upstream.
        .and(authorize)
        // 400, 413: one spelling of every vehicle below this line.
        .and(normalize);
    let path = ServiceBuilder::new()
        .map_request(move |mut request: Request<Body>| {
            let headers = request.headers().len();
            // First, so that every later line can name the request.
            let id = ids.mark(request.headers_mut());
            // Decided once; labels, scopes and dispatch read it.
            let route = route_of(&request);
            let context = RequestContext::of_mut(request.extensions_mut());
            (context.headers, context.id, context.route) = (headers, Some(id), route);
            request
        })
        // Counts refusals and panics too, so it stands above whatever makes them.
        .layer(telemetry)
        // Every response says who may read it, also one that refuses.
        .option_layer(
            origins.map(|origins| layer_fn(move |inner| Cors { origins: origins.clone(), inner })),
        )
        // Below: typed errors, and bodies that nobody read. Above: only responses, with their IDs.
        .layer_fn(Respond)
        // 408, 504: from here on a request may have to wait.
        .layer_fn(move |inner| Deadline::new(inner, request_timeout))
        .layer(rule::layer(rules))
        .service(Dispatch::new(batch, forward));
    BoxCloneSyncService::new(path)
}
