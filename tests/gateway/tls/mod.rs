//! TLS, from callers and to the upstream.

#[path = "../../../src/server/tls/testing.rs"]
#[allow(dead_code, reason = "the program's own tests use the rest")]
mod certificates;
mod listener;
mod renewal;
mod upstream;

use std::{io, net::SocketAddr, sync::Arc};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _},
    sign::{CertifiedKey, SingleCertAndKey},
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

use self::certificates::{Authority, Folder, Pair};
use crate::support::Gateway;

const NAME: &str = "localhost";

/// A gateway with a certificate, and who has signed it.
struct Secured {
    gateway: Gateway,
    authority: Authority,
    folder: Folder,
}

/// A connection to ask for one thing after the other.
enum Caller {
    Http1(hyper::client::conn::http1::SendRequest<Full<Bytes>>),
    Http2(hyper::client::conn::http2::SendRequest<Full<Bytes>>),
}

impl Secured {
    async fn start() -> Self {
        Self::with("").await
    }

    /// With more keys of the `[server.tls]` table, and whatever follows; files are relative to the
    /// folder of the pair, where `ca.pem` is the authority's.
    async fn with(toml: &str) -> Self {
        let (authority, folder) = (Authority::new("authority"), Folder::new());
        folder.write_pair(&authority.issue(NAME));
        folder.write("ca.pem", &authority.pem());
        let path = folder.path().display();
        let toml = toml.replace("ca.pem", &format!("{path}/ca.pem"));
        let text = format!(
            "[auth]\nenabled = false\n[server.tls]\n\
             certificate = \"{path}/cert.pem\"\nkey = \"{path}/key.pem\"\n{toml}"
        );
        Self { gateway: Gateway::start(&text).await, authority, folder }
    }

    /// A client that trusts the authority and offers these protocols.
    fn client(&self, protocols: &[&str]) -> ClientConfig {
        client(&self.authority, protocols)
    }

    /// Shakes hands.
    async fn connect(&self, client: ClientConfig) -> io::Result<TlsStream<TcpStream>> {
        connect(self.gateway.address, Arc::new(client)).await
    }

    /// How many connections ended for this reason.
    async fn errors(&self, reason: &str) -> f64 {
        let series = format!("vingate_http_connection_errors_total{{reason=\"{reason}\"}}");
        self.gateway.metric(&series).await
    }
}

fn client(authority: &Authority, protocols: &[&str]) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap())
        .unwrap();
    let mut client = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    client.alpn_protocols = protocols
        .iter()
        .map(|protocol| protocol.as_bytes().to_vec())
        .collect();
    client
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// What rustls serves or shows with `pair`.
fn certified(pair: &Pair) -> Arc<SingleCertAndKey> {
    let chain = CertificateDer::pem_slice_iter(pair.certificate.as_bytes())
        .collect::<Result<_, _>>()
        .unwrap();
    let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
    let pair = CertifiedKey::from_der(chain, key, &provider()).unwrap();
    Arc::new(SingleCertAndKey::from(pair))
}

async fn connect(
    address: SocketAddr,
    client: Arc<ClientConfig>,
) -> io::Result<TlsStream<TcpStream>> {
    let socket = TcpStream::connect(address).await?;
    let name = ServerName::try_from(NAME).unwrap();
    TlsConnector::from(client).connect(name, socket).await
}

impl Caller {
    /// Speaks what was agreed on over `stream`.
    async fn over(stream: TlsStream<TcpStream>) -> hyper::Result<Self> {
        match stream.get_ref().1.alpn_protocol() {
            Some(b"h2") => Self::http2(stream).await,
            _ => {
                let (sender, connection) =
                    hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
                tokio::spawn(connection);
                Ok(Self::Http1(sender))
            }
        }
    }

    async fn http2<I>(stream: I) -> hyper::Result<Self>
    where
        I: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin + 'static,
    {
        let io = TokioIo::new(stream);
        let (sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await?;
        tokio::spawn(connection);
        Ok(Self::Http2(sender))
    }

    async fn get(&mut self, target: &str) -> hyper::Result<Response<Incoming>> {
        let body = Full::default();
        match self {
            Self::Http1(sender) => {
                sender.ready().await?;
                let request = Request::get(target).header("host", NAME);
                sender.send_request(request.body(body).unwrap()).await
            }
            Self::Http2(sender) => {
                sender.ready().await?;
                let request = Request::get(format!("https://{NAME}{target}"));
                sender.send_request(request.body(body).unwrap()).await
            }
        }
    }
}
