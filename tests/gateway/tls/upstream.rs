//! TLS to the upstream.

use rustls::ServerConfig;
use tokio::{
    io::{AsyncWriteExt as _, copy_bidirectional},
    net::TcpListener,
    task::JoinHandle,
};
use tokio_rustls::TlsAcceptor;
use vingate::sandbox::{Handle, Sandbox};

use super::*;

/// The sandbox behind TLS.
struct Front {
    port: u16,
    serving: JoinHandle<()>,
}

impl Front {
    /// With this certificate; without one it answers to TLS with something else.
    async fn start(sandbox: &Handle, pair: Option<&Pair>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let sandbox = sandbox.local_addr();
        let acceptor = pair.map(|pair| {
            let config = ServerConfig::builder_with_provider(provider())
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_no_client_auth()
                .with_cert_resolver(certified(pair));
            TlsAcceptor::from(Arc::new(config))
        });
        let serving = tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                let Some(acceptor) = acceptor.clone() else {
                    let _ = socket.write_all(b"220 mail ready\r\n").await;
                    continue;
                };
                tokio::spawn(async move {
                    if let Ok(mut stream) = acceptor.accept(socket).await {
                        let mut plain = TcpStream::connect(sandbox).await.unwrap();
                        let _ = copy_bidirectional(&mut stream, &mut plain).await;
                    }
                });
            }
        });
        Self { port, serving }
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

#[tokio::test]
async fn the_upstream_is_asked_only_if_it_is_who_it_says() {
    const CERTIFICATE: &str = "vingate; error=tls_certificate_error";
    let authority = Authority::new("authority");
    let folder = Folder::new();
    let ca = folder.write("ca.pem", &authority.pem());
    let trust = format!("ca = \"{}\"\n", ca.display());
    for (pair, ca, want) in [
        (Some(authority.issue("localhost")), &*trust, None),
        (Some(authority.issue("sync.example")), &trust, Some(CERTIFICATE)),
        (Some(authority.issue_until("localhost", 2020)), &trust, Some(CERTIFICATE)),
        (Some(Pair::alone("localhost")), &trust, Some(CERTIFICATE)),
        (Some(Authority::new("another").issue("localhost")), &trust, Some(CERTIFICATE)),
        // Whom the system trusts is not this authority.
        (Some(authority.issue("localhost")), "", Some(CERTIFICATE)),
        (None, &trust, Some("vingate; error=tls_protocol_error")),
    ] {
        let sandbox = Sandbox::spawn().await.unwrap();
        let front = Front::start(&sandbox, pair.as_ref()).await;
        let toml = format!("[upstream]\nurl = \"https://localhost:{}\"\n{ca}", front.port);
        let gateway = Gateway::in_front_of(sandbox, &toml).await;
        for response in [
            gateway.get("/api/vehicles?plate=A").await,
            gateway.batch(&[("3VWFE21C04M000001", "MFF956M")]).await,
        ] {
            match want {
                None => {
                    response.expect(200);
                }
                Some(status) => {
                    let response = response.expect(502);
                    assert_eq!(response.field("proxy-status"), status);
                    assert_eq!(response.json()["code"], "BadGateway");
                }
            }
        }
        let calls = gateway.sandbox.calls().len();
        assert_eq!(calls, if want.is_none() { 2 } else { 0 });
    }
}
