//! The two listeners: apart from each other, not open by accident, and with a valid certificate.

use std::net::{IpAddr, SocketAddr};

use http::HeaderValue;
use secrecy::SecretString;

use crate::{
    admin,
    config::{
        context::{Checked, Context, Reported, required},
        file::File,
        secret::Secret,
    },
    server::tls,
};

/// Checks who can reach what; gives who may see the admin listener.
pub(super) fn check(file: &File, context: &mut Context<'_>) -> Checked<admin::Config> {
    let (server, listen) = (file.server.listen, file.admin.listen);
    if clash(server, listen)
        && context.has_no_error("server.listen")
        && context.has_no_error("admin.listen")
    {
        let (key, this, other) = match context.is_written("admin.listen") {
            true => ("admin.listen", listen, format!("server.listen = {server}")),
            false => ("server.listen", server, format!("admin.listen = {listen}")),
        };
        let found = format_args!("{this}, which conflicts with {other}");
        context.expected(key, found, "another address or port");
    }

    if !file.auth.enabled
        && !file.auth.open
        && !file.account.is_empty()
        && !is_loopback(server)
        && context.has_no_error("server.listen")
        && context.has_no_error("auth.open")
    {
        context.expected(
            "auth.enabled",
            format_args!("false, with accounts that anyone who reaches {server} could use"),
            "true, a loopback server.listen, or auth.open = true",
        );
    }

    if file.admin.token.is_none() && !is_loopback(listen) && context.has_no_error("admin.listen") {
        let expected = format_args!("a token, because {listen} is not loopback");
        context.expected("admin.token", "nothing", expected);
    }
    let secret = file.admin.token.as_ref();
    let token = secret.map(|secret| token(secret, context)).transpose();
    let hosts = file.admin.hosts.iter().map(|name| name.0.clone());
    Ok(admin::Config { token: token?, hosts: hosts.collect() })
}

/// The certificate of the listener for clients.
pub(super) fn certificate(file: &File, context: &mut Context<'_>) -> Checked<Option<tls::Config>> {
    let Some(written) = &file.server.tls else {
        return Ok(None);
    };
    let files = tls::Files {
        certificate: context.outside.folder.join(required(&written.certificate)?),
        key: context.outside.folder.join(required(&written.key)?),
        client_ca: written
            .client_ca
            .as_ref()
            .map(|path| context.outside.folder.join(path)),
    };
    tls::Config::load(files.clone())
        .map(Some)
        .map_err(|errors| {
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

/// The origins of `[cors]`, as browsers write them.
pub(super) fn origins(file: &File, context: &mut Context<'_>) -> Vec<HeaderValue> {
    let Some(cors) = &file.cors else { return Vec::new() };
    if cors.origins.is_empty() && context.has_no_error("cors.origins") {
        context.expected("cors.origins", "none", "the origins of browser applications");
    }
    let written = cors.origins.iter().map(|origin| origin.item.to_string());
    let written = written.map(|origin| HeaderValue::try_from(origin).expect("hosts are ASCII"));
    written.collect()
}

/// Bytes of the admin token: more than anybody guesses.
const MIN_TOKEN: usize = 16;

/// What can be sent after `Bearer` (RFC 6750 section 2.1, and any other visible character).
fn token(secret: &Secret, context: &mut Context<'_>) -> Checked<SecretString> {
    let bytes = secret.fetch_long("admin.token", MIN_TOKEN, context)?;
    let text = str::from_utf8(&bytes).ok();
    let text = text.filter(|text| text.bytes().all(|byte| byte.is_ascii_graphic()));
    text.map(SecretString::from).ok_or_else(|| {
        let found = "a secret with spaces or other invisible characters";
        context.expected("admin.token", found, "visible ASCII characters")
    })
}

fn is_loopback(address: SocketAddr) -> bool {
    address.ip().to_canonical().is_loopback()
}

/// Whether two listeners cannot have both addresses, or only one of them would be reached.
fn clash(a: SocketAddr, b: SocketAddr) -> bool {
    // The system finds a free port for each 0.
    if a.port() != b.port() || a.port() == 0 {
        return false;
    }
    let (a, b) = (a.ip().to_canonical(), b.ip().to_canonical());
    // `[::]` takes IPv4 connections, too, by default.
    let takes = |all: IpAddr, one: IpAddr| all.is_unspecified() && (all.is_ipv6() || one.is_ipv4());
    a == b || takes(a, b) || takes(b, a)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_listeners_need_two_addresses() {
        for (a, b, clashes) in [
            ("127.0.0.1:80", "127.0.0.1:80", true),
            ("127.0.0.1:80", "127.0.0.1:81", false),
            ("127.0.0.1:80", "127.0.0.2:80", false),
            ("127.0.0.1:0", "127.0.0.1:0", false),
            ("0.0.0.0:80", "127.0.0.1:80", true),
            ("0.0.0.0:80", "[::1]:80", false),
            ("[::]:80", "127.0.0.1:80", true),
            ("[::]:80", "0.0.0.0:80", true),
            ("[::ffff:127.0.0.1]:80", "127.0.0.1:80", true),
            ("[::1]:80", "127.0.0.1:80", false),
        ] {
            let (first, second) = (a.parse().unwrap(), b.parse().unwrap());
            assert_eq!(clash(first, second), clashes, "{a} {b}");
            assert_eq!(clash(second, first), clashes, "{b} {a}");
        }
    }
}
