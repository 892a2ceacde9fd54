//! The certificate of the listener.

use crate::{
    config::{
        context::{Checked, Context, Reported, required},
        file::File,
    },
    server::tls::{Config, Files},
};

pub(super) fn check(file: &File, context: &mut Context<'_>) -> Checked<Option<Config>> {
    let Some(written) = &file.server.tls else {
        return Ok(None);
    };
    let files = Files {
        certificate: context.outside.folder.join(required(&written.certificate)?),
        key: context.outside.folder.join(required(&written.key)?),
        client_ca: written
            .client_ca
            .as_ref()
            .map(|path| context.outside.folder.join(path)),
    };
    Config::load(files.clone()).map(Some).map_err(|errors| {
        // A listener watches valid files itself. These are watched until they are repaired.
        for path in [&files.certificate, &files.key]
            .into_iter()
            .chain(&files.client_ca)
        {
            let _ = context.sources.read(path);
        }
        for error in errors {
            let expected = match error.key {
                "certificate" => "a file of certificates, PEM, the listener's own first",
                "key" => "a file with the private key, PEM: PKCS #8, PKCS #1 or SEC 1",
                _ => "a file of certificates, PEM",
            };
            context.expected(&format!("server.tls.{}", error.key), error.found, expected);
        }
        Reported
    })
}
