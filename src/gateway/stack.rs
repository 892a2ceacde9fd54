//! The request path, read top-down: the order in which a request meets each line.

use std::convert::Infallible;

use http::{Request, Response};
use tower::{ServiceBuilder, util::BoxCloneSyncService};

use super::{
    Config,
    dispatch::{Batch, Dispatch},
    edge::Edge,
    identify::Identify,
    peer::TrustProxies,
    refused::CountRefusedLayer,
    respond::RespondLayer,
    route::RouteLayer,
};
use crate::{
    auth::{AuthenticateLayer, Authorize},
    body::Body,
    forward::Forward,
    limit::{AdmitLayer, DeadlineLayer, RateLimit, ShareLayer},
    normalize::NormalizeLayer,
    request_id::RequestIdLayer,
    rule::RuleLayer,
    telemetry::TelemetryLayer,
};

/// The finished request path: answers every request.
pub type Gateway = BoxCloneSyncService<Request<Body>, Response<Body>, Infallible>;

/// What the path is made of.
#[derive(Debug)]
pub struct Parts {
    /// The edge's limits.
    pub config: Config,
    /// Counts and logs.
    pub telemetry: TelemetryLayer,
    /// Requests at once.
    pub admit: AdmitLayer,
    /// Time for each.
    pub deadline: DeadlineLayer,
    /// Who is it.
    pub authenticate: AuthenticateLayer,
    /// How often.
    pub rate: RateLimit,
    /// How many of one client at once.
    pub share: ShareLayer,
    /// What may they do, and with which credential.
    pub authorize: Authorize,
    /// Vehicles in one spelling.
    pub normalize: NormalizeLayer,
    /// Batches.
    pub batch: Batch,
    /// Everything else.
    pub forward: Forward,
}

/// Puts the path together.
pub fn stack(parts: Parts) -> Gateway {
    let Parts { config, telemetry, admit, deadline, authenticate, .. } = parts;
    let Parts { rate, share, authorize, normalize, batch, forward, .. } = parts;
    let path = ServiceBuilder::new()
        // Identity first: every later line can name the request.
        .layer(RequestIdLayer::new())
        // Decided once; labels, scopes and dispatch read it.
        .layer(RouteLayer)
        // Counts refusals and panics too, so it stands above whatever makes them.
        .layer(telemetry)
        // Below: typed errors, and bodies that nobody read. Above: answers only.
        .layer(RespondLayer)
        // 400, 405, 414, 417, 431: what no later line should ever see.
        .layer(RuleLayer::new(Edge::new(&config)))
        // The client's own address, as far as proxies that we trust say it.
        .layer(RuleLayer::new(TrustProxies::new(config)))
        // 503 before anything costs time; the permit lives as long as the answer's body.
        .layer(admit)
        // 504: from here on somebody may be waited for.
        .layer(deadline)
        // A refused token counts against the address it came from.
        .layer(CountRefusedLayer::new(rate.clone()))
        // 401, or a caller.
        .layer(authenticate)
        // The client that a caller counts as.
        .layer(RuleLayer::new(Identify))
        // 429.
        .layer(RuleLayer::new(rate))
        // 503: one client has its share and no more.
        .layer(share)
        // 403, or the credential that goes upstream.
        .layer(RuleLayer::new(authorize))
        // 400, 413: one spelling of every vehicle below this line.
        .layer(normalize)
        .service(Dispatch::new(batch, forward));
    BoxCloneSyncService::new(path)
}
