//! Key sets and a key server for the tests.

use std::{
    convert::Infallible,
    net::SocketAddr,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use aws_lc_rs::signature::KeyPair as _;
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderValue, Request, Response, StatusCode, header::LOCATION};
use http_body::Frame;
use http_body_util::StreamBody;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use jsonwebtoken::Algorithm;
use parking_lot::Mutex;
use rcgen::CertifiedKey;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    task::AbortHandle,
};
use tokio_rustls::TlsAcceptor;

use super::{
    super::testing::{PAIRS, base64url},
    Config, Source,
    usable_keys::{Jwk, UsableKeys},
};
use crate::body::Body;

/// The public key of the house for `algorithm` as a JWK with just the members it must have.
pub(in crate::auth) fn jwk(algorithm: Algorithm) -> Value {
    let point = |curve: &str, public: &[u8]| {
        let (x, y) = public[1..].split_at(public.len() / 2);
        json!({ "kty": "EC", "crv": curve, "x": base64url(x), "y": base64url(y) })
    };
    match algorithm {
        Algorithm::RS256 => {
            // A SEQUENCE of two INTEGERs, the first with a zero before it.
            let der = PAIRS.rsa.public_key().as_ref();
            let (n, e) = (&der[9..9 + 256], &der[der.len() - 3..]);
            json!({ "kty": "RSA", "n": base64url(n), "e": base64url(e) })
        }
        Algorithm::ES256 => point("P-256", PAIRS.p256.public_key().as_ref()),
        Algorithm::ES384 => point("P-384", PAIRS.p384.public_key().as_ref()),
        Algorithm::EdDSA => {
            let x = base64url(PAIRS.ed25519.public_key());
            json!({ "kty": "OKP", "crv": "Ed25519", "x": x })
        }
        other => panic!("no JWK for {other:?}"),
    }
}

/// `jwk` with more members, or with others.
pub(in crate::auth) fn with(mut jwk: Value, members: Value) -> Value {
    let members = members.as_object().unwrap().clone();
    jwk.as_object_mut().unwrap().extend(members);
    jwk
}

/// An ES256 key named `id`. It is the same for every name.
pub(in crate::auth) fn named(id: &str) -> Value {
    with(jwk(Algorithm::ES256), json!({ "kid": id }))
}

/// The text of a key set.
pub(in crate::auth) fn set(keys: impl Into<Vec<Value>>) -> String {
    json!({ "keys": keys.into() }).to_string()
}

/// A set of ES256 keys with these names.
pub(super) fn keys(ids: &[&str]) -> Vec<Jwk> {
    let text = set(ids.iter().map(|id| named(id)).collect::<Vec<_>>());
    UsableKeys::parse(text.as_bytes()).unwrap().keys
}

/// What a key server answers.
#[derive(Clone, Debug)]
pub(in crate::auth) enum Reply {
    Text(StatusCode, &'static str, String),
    Redirect(String),
    /// So many bytes without an end in sight.
    Large(usize),
    /// Part of a set, and then the connection is closed.
    Incomplete,
    /// The head only, then silence.
    Stall,
    Hang,
}

/// A key server on this machine.
pub(in crate::auth) struct KeyServer {
    address: SocketAddr,
    /// With TLS: what its certificate must be trusted by.
    ca: Option<CertificateDer<'static>>,
    shared: Arc<Shared>,
    task: AbortHandle,
}

struct Shared {
    reply: Mutex<Reply>,
    fetches: AtomicUsize,
}

impl Reply {
    /// A key set that says nothing of its life.
    pub(in crate::auth) fn set(keys: impl Into<Vec<Value>>) -> Self {
        Self::Text(StatusCode::OK, "", set(keys))
    }

    async fn response(self) -> Response<Body> {
        match self {
            Self::Text(status, cache_control, text) => {
                let cache_control = HeaderValue::from_static(cache_control);
                let response = Response::builder().status(status);
                let response = response.header("cache-control", cache_control);
                response.body(Body::full(text)).unwrap()
            }
            Self::Redirect(location) => {
                let response = Response::builder().status(StatusCode::FOUND);
                response
                    .header(LOCATION, location)
                    .body(Body::full(set([named("a")])))
                    .unwrap()
            }
            Self::Large(bytes) => {
                let chunk = Bytes::from(vec![b' '; 64 * 1024]);
                let frames = (0..bytes.div_ceil(chunk.len()))
                    .map(move |_| Ok::<_, Infallible>(Frame::data(chunk.clone())));
                Response::new(Body::new(StreamBody::new(stream::iter(frames))))
            }
            Self::Incomplete => {
                let frames = [Ok(Frame::data(Bytes::from("{\"keys\":["))), Err("torn")];
                Response::new(Body::new(StreamBody::new(stream::iter(frames))))
            }
            Self::Stall => {
                let never = stream::pending::<Result<Frame<Bytes>, Infallible>>();
                Response::new(Body::new(StreamBody::new(never)))
            }
            Self::Hang => std::future::pending().await,
        }
    }
}

impl KeyServer {
    pub(in crate::auth) async fn start(reply: Reply) -> Self {
        let (listener, address) = bind().await;
        let shared = Arc::new(Shared { reply: Mutex::new(reply), fetches: 0.into() });
        let serving = Arc::clone(&shared);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(Arc::clone(&serving).serve(stream));
            }
        });
        Self { address, ca: None, shared, task: task.abort_handle() }
    }

    pub(in crate::auth) async fn start_with_tls(reply: Reply) -> Self {
        let CertifiedKey { cert, signing_key } =
            rcgen::generate_simple_self_signed(["127.0.0.1".into()]).unwrap();
        let key = PrivatePkcs8KeyDer::from(signing_key.serialize_der());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key.into())
            .unwrap();
        let tls = TlsAcceptor::from(Arc::new(tls));

        let (listener, address) = bind().await;
        let shared = Arc::new(Shared { reply: Mutex::new(reply), fetches: 0.into() });
        let serving = Arc::clone(&shared);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                if let Ok(stream) = tls.accept(stream).await {
                    tokio::spawn(Arc::clone(&serving).serve(stream));
                }
            }
        });
        Self { address, ca: Some(cert.der().clone()), shared, task: task.abort_handle() }
    }

    pub(in crate::auth) fn reply(&self, reply: Reply) {
        *self.shared.reply.lock() = reply;
    }

    /// How many fetches have come.
    pub(in crate::auth) fn fetches(&self) -> usize {
        self.shared.fetches.load(Ordering::SeqCst)
    }

    pub(super) fn url(&self) -> String {
        let scheme = if self.ca.is_some() { "https" } else { "http" };
        format!("{scheme}://{}/jwks", self.address)
    }

    pub(in crate::auth) fn config(&self) -> Config {
        let ca = self.ca.clone().map(|certificate| vec![certificate]);
        Config { ca, ..config(&self.url()) }
    }
}

impl Drop for KeyServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    async fn serve(self: Arc<Self>, stream: impl AsyncRead + AsyncWrite + Unpin) {
        let service = service_fn(|request: Request<Incoming>| {
            assert_eq!(request.uri(), "/jwks");
            self.fetches.fetch_add(1, Ordering::SeqCst);
            let reply = self.reply.lock().clone();
            async { Ok::<_, Infallible>(reply.response().await) }
        });
        // Clients hang up in the middle of long answers.
        let _ = http1::Builder::new()
            .serve_connection(TokioIo::new(stream), service)
            .await;
    }
}

/// Without certificates of its own.
pub(super) fn config(source: &str) -> Config {
    Config { source: Source::parse(source, Path::new("/")).unwrap(), ca: None }
}

async fn bind() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}
