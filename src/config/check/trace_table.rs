//! Where traces go, and what is traced.

use http::{Uri, uri::Scheme};

use crate::{
    config::{
        context::{Checked, Context, required},
        file::{File, Trace},
    },
    trace,
};

/// Where OTLP over HTTP takes traces.
const PATH: &str = "/v1/traces";

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
        .path_and_query(PATH)
        .build()
        .expect("a scheme, an authority and a path make a URI");
    Ok(Some(trace::ExporterConfig { endpoint }))
}

/// Without the table nothing is.
pub(super) fn requests(file: &File) -> trace::Config {
    let config = |written: &Trace| trace::Config {
        sample: written.sample.0,
        server_timing: written.server_timing,
    };
    file.trace.as_ref().map(config).unwrap_or_default()
}
