//! From the bytes of the files to what rustls serves with.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rustls::{
    ServerConfig,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{
        CertificateDer, PrivateKeyDer, UnixTime,
        pem::{Error as PemError, PemObject as _},
    },
    server::{NoServerSessionStorage, WebPkiClientVerifier, danger::ClientCertVerifier},
    sign::{CertifiedKey, SingleCertAndKey},
    version::{TLS12, TLS13},
};
use webpki::{EndEntityCert, KeyUsage};

use crate::{files::Sources, tls};

/// The protocols that are offered over TLS, the preferred one first (RFC 7301).
pub(super) const HTTP2: &[u8] = b"h2";
const HTTP1: &[u8] = b"http/1.1";

/// The files of a listener, all PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// The certificate chain, the listener's own first.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// Who signs the certificates of clients; `None`: clients are not asked for any.
    pub client_ca: Option<PathBuf>,
}

/// Why one of the files cannot be used. It quotes nothing of the file: it may be the wrong one, with
/// a key.
#[derive(Debug, thiserror::Error)]
#[error("server.tls.{key}: found {found}")]
pub struct Error {
    /// The key in the `[server.tls]` table that names the file.
    pub key: &'static str,
    /// What was found there, in words.
    pub found: String,
}

#[derive(Clone)]
pub(super) struct Credentials {
    pub(super) config: Arc<ServerConfig>,
    /// When the first certificate of the chain to expire does so.
    pub(super) expires_at: SystemTime,
}

impl Credentials {
    /// Reads the files, noted in `sources`, or says everything that is wrong with them. An
    /// expired certificate is not wrong.
    pub(super) fn read(files: &Files, sources: &mut Sources) -> Result<Self, Vec<Error>> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let chain = read("certificate", &files.certificate, sources, chain);
        let key = read("key", &files.key, sources, key);
        let client_ca = files.client_ca.as_deref();
        let verifier = client_ca
            .map(|path| read("client_ca", path, sources, |pem| verifier(pem, &provider)))
            .transpose();
        match (chain, key, verifier) {
            (Ok((chain, expires_at)), Ok(key), Ok(verifier)) => {
                let config = config(chain, key, verifier, provider).map_err(|error| vec![error])?;
                Ok(Self { config: Arc::new(config), expires_at })
            }
            (chain, key, verifier) => Err([chain.err(), key.err(), verifier.err()]
                .into_iter()
                .flatten()
                .collect()),
        }
    }

    pub(super) fn have_expired(&self, now: SystemTime) -> bool {
        now > self.expires_at
    }
}

/// Without the key, although rustls hides it, too.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

fn read<T>(
    key: &'static str,
    path: &Path,
    sources: &mut Sources,
    parse: impl FnOnce(&[u8]) -> Result<T, String>,
) -> Result<T, Error> {
    let pem = sources
        .read(path)
        .map_err(|error| error.at(path).to_string());
    pem.and_then(|pem| parse(&pem))
        .map_err(|found| Error { key, found })
}

type Chain = Vec<CertificateDer<'static>>;

/// The certificates, and when the first of them to expire does so.
fn chain(pem: &[u8]) -> Result<(Chain, SystemTime), String> {
    let chain = tls::certificates(pem)?;
    let ends: Result<Vec<_>, _> = chain.iter().map(not_after).collect();
    let ends = ends.map_err(|error| format!("a certificate that cannot be used ({error})"))?;
    let expires_at = ends.into_iter().min().expect("there is a certificate");
    Ok((chain, expires_at))
}

fn key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, String> {
    PrivateKeyDer::from_pem_slice(pem).map_err(|error| match error {
        PemError::NoItemsFound => "a file without a private key, or with an encrypted one".into(),
        _ => tls::NOT_PEM.into(),
    })
}

fn verifier(
    pem: &[u8],
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, String> {
    let roots = tls::roots(&tls::certificates(pem)?).map_err(refused)?;
    let provider = Arc::clone(provider);
    // Without revocation lists, none can be wrong, and there is a root.
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .map_err(refused)
}

fn refused(error: impl fmt::Display) -> String {
    format!("a certificate that TLS refuses ({error})")
}

/// When `certificate` expires.
///
/// webpki, with which rustls verifies, tells it only when it refuses a certificate as expired, and
/// does so before any other check: so it verifies for a time that never comes. That spares the
/// program a second parser of certificates.
fn not_after(certificate: &CertificateDer<'_>) -> Result<SystemTime, webpki::Error> {
    let end = UnixTime::since_unix_epoch(Duration::from_secs(u64::MAX));
    let usage = KeyUsage::server_auth();
    match EndEntityCert::try_from(certificate)?.verify_for_usage(
        &[],
        &[],
        &[],
        end,
        usage,
        None,
        None,
    ) {
        Err(webpki::Error::CertExpired { not_after, .. }) => UNIX_EPOCH
            .checked_add(Duration::from_secs(not_after.as_secs()))
            .ok_or(webpki::Error::BadDerTime),
        Err(error) => Err(error),
        Ok(_) => Err(webpki::Error::UnknownIssuer),
    }
}

fn config(
    chain: Chain,
    key: PrivateKeyDer<'static>,
    verifier: Option<Arc<dyn ClientCertVerifier>>,
    provider: Arc<CryptoProvider>,
) -> Result<ServerConfig, Error> {
    let pair = CertifiedKey::from_der(chain, key, &provider).map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => Error {
            key: "key",
            found: "the private key of another certificate than the first".into(),
        },
        error => {
            Error { key: "key", found: format!("a private key that cannot be used ({error})") }
        }
    })?;
    let refused = |error: rustls::Error| Error { key: "certificate", found: refused(error) };
    let resumes = verifier.is_none();
    let builder = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13, &TLS12])
        .map_err(refused)?;
    let builder = match verifier {
        Some(verifier) => builder.with_client_cert_verifier(verifier),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(pair)));
    config.alpn_protocols = vec![HTTP2.to_vec(), HTTP1.to_vec()];
    // A replayed GET may be a write in disguise to those behind us: no 0-RTT.
    config.max_early_data_size = 0;
    // Resumption is by tickets, which the clients keep: sessions take no memory here. Who has to
    // show a certificate shows it each time, since a ticket outlives its end.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    if resumes {
        config.ticketer = aws_lc_rs::Ticketer::new().map_err(refused)?;
    } else {
        config.send_tls13_tickets = 0;
    }
    Ok(config)
}
