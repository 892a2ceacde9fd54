mod connections;
mod contents;
mod renewals;

use std::sync::Arc;

use rustls::{
    ClientConfig, RootCertStore, SupportedProtocolVersion,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _},
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{
    Config, Files, Tls,
    testing::{Authority, Folder, Pair},
};
use crate::server::{Metrics, tests::Served};

const NAME: &str = "vingate.example";

/// The files of a listener, an authority that signed its certificate, and what came of it.
struct Listener {
    authority: Authority,
    folder: Folder,
    files: Files,
}

impl Listener {
    fn new() -> Self {
        let (authority, folder) = (Authority::new("authority"), Folder::new());
        folder.write_pair(&authority.issue(NAME));
        let files = Files {
            certificate: folder.path().join("cert.pem"),
            key: folder.path().join("key.pem"),
            client_ca: None,
        };
        Self { authority, folder, files }
    }

    /// With certificates of clients, signed by the same authority.
    fn with_clients() -> Self {
        let mut listener = Self::new();
        let pem = listener.authority.pem();
        listener.files.client_ca = Some(listener.folder.write("clients.pem", &pem));
        listener
    }

    fn load(&self) -> Config {
        Config::load(self.files.clone()).unwrap()
    }

    /// What handshakes are made with, as of now and without renewal.
    fn tls(&self) -> Tls {
        self.load().begin(&Metrics::unregistered().unwrap()).0
    }

    /// A client that trusts the authority and offers these protocols.
    fn client(&self, protocols: &[&str]) -> ClientConfig {
        self.client_of(rustls::ALL_VERSIONS, protocols)
    }

    /// The same with these versions of TLS only.
    fn client_of(
        &self,
        versions: &[&'static SupportedProtocolVersion],
        protocols: &[&str],
    ) -> ClientConfig {
        let pem = self.authority.pem();
        let mut roots = RootCertStore::empty();
        let root = CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
        roots.add(root).unwrap();
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut client = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        client.alpn_protocols = protocols
            .iter()
            .map(|protocol| protocol.as_bytes().to_vec())
            .collect();
        client
    }
}

/// The same client with a certificate of its own.
fn with_certificate(mut client: ClientConfig, pair: &Pair) -> ClientConfig {
    let chain = CertificateDer::pem_slice_iter(pair.certificate.as_bytes())
        .collect::<Result<_, _>>()
        .unwrap();
    let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
    let pair = rustls::sign::CertifiedKey::from_der(chain, key, client.crypto_provider()).unwrap();
    client.client_auth_cert_resolver = Arc::new(rustls::sign::SingleCertAndKey::from(pair));
    client
}

/// Shakes hands with the server of `served`.
async fn connect(
    client: impl Into<Arc<ClientConfig>>,
    served: &mut Served,
) -> std::io::Result<TlsStream<DuplexStream>> {
    let (unused, _) = tokio::io::duplex(1);
    let socket = std::mem::replace(&mut served.client, unused);
    let name = ServerName::try_from(NAME).unwrap();
    TlsConnector::from(client.into())
        .connect(name, socket)
        .await
}

/// What HTTP/1.1 answers to one request, after which the connection is closed.
async fn get(stream: &mut TlsStream<DuplexStream>, path: &str) -> std::io::Result<String> {
    let request = format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut response = String::new();
    stream.read_to_string(&mut response).await?;
    Ok(response)
}
