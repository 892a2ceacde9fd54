//! Vehicles inside HTTP: one spelling in path, query and body.
//!
//! Below this layer a vehicle is spelled in one way only, so that what is keyed is what is
//! sent. Requests of other routes pass without an allocation.

mod error;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod path;
mod query;
mod upsert;

use std::{mem, time::Duration};

use http::{Method, Request};

pub use self::error::Error;
use crate::{
    body::Body,
    headers,
    request_context::RequestContext,
    route::Route,
    rule::{Pass, Rejection, Rule},
};

/// What the normalization needs to know.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Bytes of the body of a vehicle's upsert.
    pub max_body: usize,
    /// Silence in such a body.
    pub body_idle_timeout: Duration,
}

/// Brings vehicles into their one spelling, or refuses the request.
///
/// Goes by the [`Route`] of the request.
#[derive(Debug)]
pub struct Normalize(pub Config);

impl Rule for Normalize {
    type Error = Error;

    fn check(&self, request: &mut Request<Body>) -> Result<Pass<Error>, Error> {
        let route = RequestContext::of(request.extensions()).route;
        let clean = match (route, request.method()) {
            (Route::VehicleStatus, _) => path::normalize(request.uri())?,
            (Route::VehicleList, &Method::GET | &Method::HEAD) => query::normalize(request.uri()),
            (Route::VehicleUpsert, &Method::PUT) => {
                return Ok(Pass::later(normalize_body(mem::take(request), self.0)));
            }
            _ => None,
        };
        if let Some(uri) = clean {
            *request.uri_mut() = uri;
        }
        Ok(Pass::Now)
    }
}

async fn normalize_body(
    mut request: Request<Body>,
    config: Config,
) -> Result<Request<Body>, Rejection<Error>> {
    let client = RequestContext::of(request.extensions()).client;
    let buffered = request
        .body_mut()
        .buffer_of(client, config.max_body, config.body_idle_timeout)
        .await;
    let bytes = match buffered.map_err(Error::from).and_then(upsert::normalize) {
        Ok(bytes) => bytes,
        Err(error) => return Err(Rejection::new(error, request)),
    };
    headers::describe_body(request.headers_mut(), bytes.len());
    Ok(request.map(|_| Body::full(bytes)))
}

#[cfg(test)]
mod tests;
