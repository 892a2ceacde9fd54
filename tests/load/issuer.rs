//! Who signs tokens, and the server that publishes its keys.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{Request, Response, StatusCode, header::LOCATION};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::{net::TcpListener, time::sleep};
use tokio_util::task::AbortOnDropHandle;

use crate::support::now;

/// A key that signs tokens.
pub(crate) struct Signer {
    id: String,
    pair: EcdsaKeyPair,
}

/// What a key server answers.
#[derive(Clone, Debug)]
pub(crate) enum Says {
    /// These keys, after a while.
    Keys(Vec<Value>),
    Failure,
    Garbage,
    Hang,
    /// 50 MiB that would be these keys if anybody read all of it.
    Large(Vec<Value>),
    /// To where these keys are.
    Redirect(Vec<Value>),
}

/// A key server on this machine.
pub(crate) struct Issuer {
    address: SocketAddr,
    shared: Arc<Shared>,
    _serving: AbortOnDropHandle<()>,
}

struct Shared {
    says: Mutex<Says>,
    fetches: AtomicUsize,
}

/// How long a key server that works takes: a request comes meanwhile.
const TAKES: Duration = Duration::from_millis(50);

impl Signer {
    pub(crate) fn new(id: &str) -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        Self { id: id.to_owned(), pair }
    }

    /// Its public half.
    pub(crate) fn jwk(&self) -> Value {
        let (x, y) = self.pair.public_key().as_ref()[1..].split_at(32);
        let (x, y) = (base64url(x), base64url(y));
        json!({ "kty": "EC", "crv": "P-256", "kid": self.id, "x": x, "y": y })
    }

    /// A token for `subject` that is good for ten minutes.
    pub(crate) fn sign(&self, subject: &str) -> String {
        self.sign_as(&self.id, subject, now().as_secs() + 600)
    }

    /// The same under another name, with another end.
    pub(crate) fn sign_as(&self, kid: &str, subject: &str, exp: u64) -> String {
        let header = json!({ "alg": "ES256", "kid": kid }).to_string();
        let claims = json!({ "iss": "house", "aud": "vingate", "sub": subject, "exp": exp });
        let text = format!("{}.{}", base64url(header), base64url(claims.to_string()));
        let signature = self
            .pair
            .sign(&SystemRandom::new(), text.as_bytes())
            .unwrap();
        format!("{text}.{}", base64url(signature))
    }
}

fn base64url(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

impl Issuer {
    pub(crate) async fn start(says: Says) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared { says: Mutex::new(says), fetches: 0.into() });
        let serving = tokio::spawn(serve(listener, Arc::clone(&shared)));
        Self { address, shared, _serving: AbortOnDropHandle::new(serving) }
    }

    pub(crate) fn say(&self, says: Says) {
        *self.shared.says.lock() = says;
    }

    /// How many fetches have come, wherever they went.
    pub(crate) fn fetches(&self) -> usize {
        self.shared.fetches.load(Ordering::SeqCst)
    }

    /// What a gateway needs to know of it.
    pub(crate) fn toml(&self) -> String {
        let address = self.address;
        format!(
            "[auth]\nissuer = \"house\"\naudience = [\"vingate\"]\n\
             jwks_url = \"http://{address}/jwks\"\n"
        )
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        let service = service_fn(move |request: Request<Incoming>| {
            shared.fetches.fetch_add(1, Ordering::SeqCst);
            let says = shared.says.lock().clone();
            async move { Ok::<_, Infallible>(says.response(request.uri().path()).await) }
        });
        tokio::spawn(async move {
            // Who has had enough of a long answer hangs up.
            let _ = http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

impl Says {
    async fn response(self, path: &str) -> Response<Full<Bytes>> {
        let response = Response::builder();
        let set = |keys| json!({ "keys": keys as Vec<Value> }).to_string();
        let (response, body) = match self {
            Self::Hang => std::future::pending().await,
            Self::Failure => (response.status(StatusCode::INTERNAL_SERVER_ERROR), String::new()),
            Self::Garbage => (response, "<html>{\"keys\":[".to_owned()),
            Self::Redirect(_) if path == "/jwks" => (
                response
                    .status(StatusCode::FOUND)
                    .header(LOCATION, "/moved"),
                String::new(),
            ),
            Self::Large(keys) => (response, " ".repeat(50 << 20) + &set(keys)),
            Self::Keys(keys) | Self::Redirect(keys) => {
                sleep(TAKES).await;
                (response, set(keys))
            }
        };
        response.body(Full::from(body)).unwrap()
    }
}
