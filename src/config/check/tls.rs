//! What the listener shows to callers.

use super::{Checked, Context, context::Reported};
use crate::{
    config::file::File,
    server::tls::{Config, Files, Role},
};

const EXPECTED_CERTIFICATE: &str = "a file of certificates, PEM, the listener's own first";
const EXPECTED_KEY: &str = "a file with the private key, PEM: PKCS #8, PKCS #1 or SEC 1";
const EXPECTED_CA: &str = "a file of certificates, PEM";

/// Checks `[server.tls]`, if it is there.
pub(super) fn check(file: &File, context: &mut Context<'_>) -> Checked<Option<Config>> {
    let Some(written) = &file.server.tls else {
        return Ok(None);
    };
    let (certificate, key) = (written.certificate.as_ref(), written.key.as_ref());
    let certificate = context.required("server.tls.certificate", certificate, EXPECTED_CERTIFICATE);
    let key = context.required("server.tls.key", key, EXPECTED_KEY);
    let files = Files {
        certificate: context.folder.join(certificate?),
        key: context.folder.join(key?),
        client_ca: written
            .client_ca
            .as_ref()
            .map(|path| context.folder.join(path)),
    };
    Config::load(files.clone()).map(Some).map_err(|errors| {
        // Who serves with good files watches them. These are looked at until they are mended.
        let Files { certificate, key, client_ca } = &files;
        for path in [Some(certificate), Some(key), client_ca.as_ref()]
            .into_iter()
            .flatten()
        {
            let _ = context.sources.read(path);
        }
        for error in errors {
            let key = format!("server.tls.{}", error.role.as_str());
            context.expected(key, error.found, expected(error.role));
        }
        Reported
    })
}

fn expected(role: Role) -> &'static str {
    match role {
        Role::Certificate => EXPECTED_CERTIFICATE,
        Role::Key => EXPECTED_KEY,
        Role::ClientCa => EXPECTED_CA,
    }
}
