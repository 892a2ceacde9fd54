//! From the bytes of the files to what rustls serves with.

use std::{
    fmt,
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rustls::{
    RootCertStore, ServerConfig,
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

use super::{
    Files,
    error::{Error, Found, Role},
};
use crate::files::Sources;

/// The protocols that are offered over TLS, the preferred one first (RFC 7301).
pub(super) const HTTP2: &[u8] = b"h2";
const HTTP1: &[u8] = b"http/1.1";

/// All that a handshake needs.
#[derive(Clone)]
pub(super) struct Credentials {
    /// For rustls.
    pub(super) config: Arc<ServerConfig>,
    /// When the first certificate of the chain to expire does so.
    pub(super) expires_at: SystemTime,
}

// === impl Credentials ===

impl Credentials {
    /// Reads the files, noted in `sources`, or says everything that is wrong with them. An
    /// expired certificate is not wrong.
    pub(super) fn read(files: &Files, sources: &mut Sources) -> Result<Self, Vec<Error>> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let chain = read(Role::Certificate, &files.certificate, sources, chain);
        let key = read(Role::Key, &files.key, sources, key);
        let client_ca = files.client_ca.as_deref();
        let verifier = client_ca
            .map(|path| read(Role::ClientCa, path, sources, |pem| verifier(pem, &provider)))
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

/// What a file holds.
fn read<T>(
    role: Role,
    path: &Path,
    sources: &mut Sources,
    parse: impl FnOnce(&[u8]) -> Result<T, Found>,
) -> Result<T, Error> {
    let pem = sources.read(path);
    pem.map_err(|source| Found::Unreadable { path: path.to_owned(), source })
        .and_then(|pem| parse(&pem))
        .map_err(|found| Error { role, found })
}

type Chain = Vec<CertificateDer<'static>>;

/// The certificates, and when the first of them to expire does so.
fn chain(pem: &[u8]) -> Result<(Chain, SystemTime), Found> {
    let chain = certificates(pem)?;
    let mut expires_at = None;
    for certificate in &chain {
        let not_after = not_after(certificate).map_err(Found::Certificate)?;
        expires_at = Some(expires_at.map_or(not_after, |first: SystemTime| first.min(not_after)));
    }
    Ok((chain, expires_at.ok_or(Found::NoCertificate)?))
}

fn certificates(pem: &[u8]) -> Result<Chain, Found> {
    CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|_| Found::NotPem)
}

fn key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, Found> {
    PrivateKeyDer::from_pem_slice(pem).map_err(|error| match error {
        PemError::NoItemsFound => Found::NoKey,
        _ => Found::NotPem,
    })
}

fn verifier(
    pem: &[u8],
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, Found> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(pem)? {
        roots.add(certificate).map_err(Found::Refused)?;
    }
    // Without revocation lists, none can be wrong: what is left is that there is no certificate.
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
        .build()
        .map_err(|_| Found::NoCertificate)
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
    let pair = CertifiedKey::from_der(chain, key, &provider)
        .map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => Found::KeyOfAnother,
            error => Found::Key(error),
        })
        .map_err(|found| Error { role: Role::Key, found })?;
    let refused = |error| Error { role: Role::Certificate, found: Found::Refused(error) };
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
