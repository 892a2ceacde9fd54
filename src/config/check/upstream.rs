//! Where Sync and the collector of traces are, and the certificates to trust for Sync.

use std::{path::Path, time::Duration};

use http::{Uri, uri::Scheme};
use rustls::pki_types::CertificateDer;

use crate::{
    config::{
        context::{Checked, Context, required},
        file::File,
    },
    tls, trace, upstream,
};

/// Short for the calls that wait meanwhile. A client that is fast again loses nothing by it.
const SLOW_AFTER: Duration = Duration::from_millis(50);

pub(super) fn check(file: &File, context: &mut Context<'_>) -> Checked<upstream::Config> {
    let written = &file.upstream;
    let ca = certificates("upstream.ca", written.ca.as_deref(), context);
    let is_tls = required(&written.url).is_ok_and(|origin| origin.scheme == Scheme::HTTPS);
    if is_tls && written.ca.is_none() && !(context.outside.has_roots)() {
        let found = "nothing, and no CA certificate that the system trusts";
        let expected = "a file of certificates, PEM, here or in the variable SSL_CERT_FILE";
        context.expected("upstream.ca", found, expected);
    }
    Ok(upstream::Config {
        origin: required(&written.url)?.clone(),
        ca: ca?,
        connect_timeout: written.connect_timeout.0,
        attempt_timeout: written.attempt_timeout.0,
        stream_idle_timeout: written.stream_idle_timeout.0,
        slow_after: SLOW_AFTER,
        pool_idle_timeout: written.pool_idle_timeout.0,
        request_timeout: written.request_timeout.0,
        max_in_flight: written.max_in_flight.to_usize(),
        adaptive: written.adaptive,
        client_share: written.client_share.0,
        retry: upstream::RetryConfig {
            max_attempts: written.retry.max_attempts.0,
            budget: written.retry.budget.0,
        },
        breaker: upstream::BreakerConfig {
            failure_ratio: written.breaker.failure_ratio.0,
            min_requests: written.breaker.min_requests.0,
            open_for: written.breaker.open_for.0,
            probe_for: written.connect_timeout.0 + written.attempt_timeout.0,
        },
    })
}

/// Where traces go.
pub(super) fn exporter(
    file: &File,
    context: &mut Context<'_>,
) -> Checked<Option<trace::ExporterConfig>> {
    let Some(written) = &file.trace else {
        return Ok(None);
    };
    let origin = required(&written.otlp)?.clone();
    if origin.scheme == Scheme::HTTPS && !(context.outside.has_roots)() {
        let found = "https, and no CA certificate that the system trusts";
        let expected = "http, or certificates in the variable SSL_CERT_FILE";
        return Err(context.expected("trace.otlp", found, expected));
    }
    let endpoint = Uri::builder()
        .scheme(origin.scheme)
        .authority(origin.authority)
        .path_and_query("/v1/traces")
        .build()
        .expect("a scheme, an authority and a path make a URI");
    Ok(Some(trace::ExporterConfig { endpoint }))
}

/// The certificates of the PEM file at `path`, which `key` names, each fit to be a root.
pub(super) fn certificates(
    key: &str,
    path: Option<&Path>,
    context: &mut Context<'_>,
) -> Checked<Option<Vec<CertificateDer<'static>>>> {
    let Some(path) = path.map(|path| context.outside.folder.join(path)) else { return Ok(None) };
    let read = context
        .sources
        .read(&path)
        .map_err(|error| error.at(&path).to_string());
    let found = read.and_then(|pem| {
        context.hide(key, &pem);
        roots(&pem)
    });
    found
        .map(Some)
        .map_err(|found| context.expected(key, found, "a file of certificates, PEM"))
}

fn roots(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let certificates = tls::certificates(pem)?;
    tls::roots(&certificates)
        .map_err(|error| format!("a certificate that cannot be a root ({error})"))?;
    Ok(certificates)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----
MIIBdTCCARugAwIBAgIUEHjtm0XRB/D4xfKW518ymphutFgwCgYIKoZIzj0EAwIw
DzENMAsGA1UEAwwEdGVzdDAgFw0yNjExMjIwMDE4MjZaGA8yMTI2MTAyOTAwMTgy
NlowDzENMAsGA1UEAwwEdGVzdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABK/2
WjLO9nbGJErV/V7x57ngrbHbBBRRS46Pr8kzdpZZiHcrXKqch4iCAB3R1iNa51hT
76uvfncZ3GR0/Kq3PDWjUzBRMB0GA1UdDgQWBBRAw8vuN3ImOQxSeygRlr6I2ALh
sjAfBgNVHSMEGDAWgBRAw8vuN3ImOQxSeygRlr6I2ALhsjAPBgNVHRMBAf8EBTAD
AQH/MAoGCCqGSM49BAMCA0gAMEUCIGzRpfo/FpXGpX8qfqNQhq8/CVLK3Q/9Dpqi
1r9T3Of7AiEAtebKlWAFRVSI5KGolQJUOFLc5LZJk1hsfQMMxWTKO9o=
-----END CERTIFICATE-----
";

    #[test]
    fn takes_certificates_that_can_be_roots() {
        assert_eq!(roots(CERTIFICATE.as_bytes()).unwrap().len(), 1);
        assert_eq!(roots(CERTIFICATE.repeat(2).as_bytes()).unwrap().len(), 2);
        let damaged = CERTIFICATE.replace("MIIBdTCC", "AAAAAAAA");
        let key = CERTIFICATE.replace("CERTIFICATE", "PRIVATE KEY");
        for pem in ["", "hello", &damaged, &key, &CERTIFICATE[..200]] {
            assert!(roots(pem.as_bytes()).is_err(), "{pem}");
        }
    }
}
