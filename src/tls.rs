//! Certificates from files, and TLS to the servers that the gateway calls: always verified, and set
//! up in one place.

use std::{io, sync::Arc, time::Duration};

use hyper_rustls::{ConfigBuilderExt as _, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::{HttpConnector, dns::GaiResolver};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use tower::{ServiceExt as _, util::MapErr};

/// What is said of a file that is not PEM. Nothing of it is quoted: it may be the wrong one, with a
/// private key.
pub const NOT_PEM: &str = "a file that is not PEM";

/// The certificates of a PEM file; at least one.
///
/// # Errors
///
/// What was found instead, in words.
pub fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, &'static str> {
    let certificates = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    match certificates {
        Ok(found) if found.is_empty() => Err("a file without a certificate"),
        found => found.map_err(|_| NOT_PEM),
    }
}

/// Trust in each of these.
///
/// # Errors
///
/// One of them cannot be a root.
pub fn roots(certificates: &[CertificateDer<'static>]) -> Result<RootCertStore, rustls::Error> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        roots.add(certificate.clone())?;
    }
    Ok(roots)
}

/// Whether the system has CA certificates: those of the file that the environment variable
/// `SSL_CERT_FILE` names, or its own.
pub fn has_system_roots() -> bool {
    client_config(None, true).is_ok()
}

/// The configuration for TLS to a server: TLS 1.2 or 1.3, and a certificate that a root of `ca`
/// vouches for, or one of the system's roots if there is none.
///
/// `is_used` is `false` where only plain HTTP is spoken: then no roots are needed, and the system
/// may have none.
///
/// # Errors
///
/// A certificate of `ca` that cannot be a root, or a system without roots.
pub fn client_config(
    ca: Option<&[CertificateDer<'static>]>,
    is_used: bool,
) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let verified = match ca {
        None if is_used => builder.try_with_platform_verifier()?,
        ca => builder.with_root_certificates(roots(ca.unwrap_or_default())?),
    };
    Ok(verified.with_no_client_auth())
}

/// The host's name has no address, or nobody could tell.
#[derive(Debug, thiserror::Error)]
#[error("the name of the host is not resolved")]
pub struct NotResolved(#[source] io::Error);

/// Connects to servers by their URI.
pub type Connector = HttpsConnector<HttpConnector<Resolver>>;

/// Looks up the addresses of names.
type Resolver = MapErr<GaiResolver, fn(io::Error) -> NotResolved>;

/// Connects to servers by HTTP/1.1, over TLS if their URI says so. `timeout` is for each address
/// that a name has.
pub fn connector(tls: ClientConfig, timeout: Duration) -> Connector {
    let resolver = GaiResolver::new().map_err(NotResolved as fn(_) -> _);
    let mut tcp = HttpConnector::new_with_resolver(resolver);
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(timeout));
    HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_or_http()
        .enable_http1()
        .wrap_connector(tcp)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn needs_roots_only_where_tls_is_used_and_takes_none_that_are_none() {
        let garbage = [CertificateDer::from_slice(b"garbage")];
        for (ca, is_used, works) in [
            (None, false, true),
            (Some(&[][..]), true, true),
            (Some(&garbage), true, false),
            (Some(&garbage), false, false),
        ] {
            assert_eq!(client_config(ca, is_used).is_ok(), works, "{ca:?} {is_used}");
        }
    }
}
