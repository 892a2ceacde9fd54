//! One fetch of a key set, over HTTP or from a file. It is bounded in size here, and in time by
//! whoever asks for it.

use std::{path::PathBuf, time::Duration};

use bytes::Bytes;
use http::{
    HeaderValue, Request, StatusCode, Uri,
    header::{ACCEPT, USER_AGENT},
};
use http_body_util::Empty;
use hyper_util::{client::legacy, rt::TokioExecutor};
use tokio::task::spawn_blocking;

use super::{
    Error, freshness,
    source::{Config, Place},
    usable_keys::UsableKeys,
};
use crate::{body::Body, files, headers::PRODUCT, tls};

/// How long a fetch may take.
pub(super) const TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes of a key set.
const MAX_BYTES: usize = files::MAX_BYTES;

/// RFC 7517 section 8.5.2, and what most servers call it.
const MEDIA_TYPES: HeaderValue =
    HeaderValue::from_static("application/jwk-set+json, application/json");

/// Fetches a key set.
#[derive(Debug)]
pub(super) struct Fetcher {
    place: Place,
    /// Keeps no connections: minutes lie between two fetches.
    client: legacy::Client<tls::Connector, Empty<Bytes>>,
}

/// A key set that came.
#[derive(Debug)]
pub(super) struct Fetched {
    pub(super) usable: UsableKeys,
    pub(super) fresh_for: Duration,
}

/// Why TLS to the key server cannot be set up.
#[derive(Debug, thiserror::Error)]
#[error("cannot set up TLS to the key server: {0}")]
pub struct TlsError(#[from] rustls::Error);

impl Fetcher {
    pub(super) fn new(config: Config) -> Result<Self, TlsError> {
        let tls = tls::client_config(config.ca.as_deref(), config.source.needs_tls())?;
        let client = legacy::Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(0)
            .build(tls::connector(tls, TIMEOUT));
        Ok(Self { place: config.source.0, client })
    }

    pub(super) async fn fetch(&self) -> Result<Fetched, Error> {
        match &self.place {
            Place::Url(uri) => self.get(uri).await,
            Place::File(path) => read(path.clone()).await,
        }
    }

    async fn get(&self, uri: &Uri) -> Result<Fetched, Error> {
        let request = Request::get(uri)
            .header(ACCEPT, MEDIA_TYPES)
            .header(USER_AGENT, PRODUCT)
            .body(Empty::new())
            .expect("a URI and two fields make a request");
        let response = self
            .client
            .request(request)
            .await
            .map_err(Error::Unreachable)?;
        // Redirects are not followed: keys come from where the configuration says.
        if response.status() != StatusCode::OK {
            return Err(Error::Status(response.status()));
        }
        let fresh_for = freshness::fresh_for(response.headers());
        let mut body = Body::incoming(response.into_body());
        let json = body.buffer(MAX_BYTES, TIMEOUT).await?;
        Ok(Fetched { usable: UsableKeys::parse(&json)?, fresh_for })
    }
}

async fn read(path: PathBuf) -> Result<Fetched, Error> {
    let json = spawn_blocking(move || files::read(&path))
        .await
        .map_err(|stopping| Error::File(stopping.into()))??;
    // A file says nothing of its lifetime, and to read it again is cheap.
    Ok(Fetched { usable: UsableKeys::parse(&json)?, fresh_for: freshness::MIN })
}

#[cfg(test)]
mod tests;
