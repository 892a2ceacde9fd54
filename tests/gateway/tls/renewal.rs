//! A certificate that is exchanged while callers come and go.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

use http_body_util::BodyExt as _;
use tokio::time::{Duration, timeout};

use super::*;

#[tokio::test]
async fn no_request_fails_while_the_certificate_is_exchanged() {
    let secured = Secured::start().await;
    let address = secured.gateway.address;
    let (done, requests) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let mut callers = Vec::new();
    for protocol in ["h2", "http/1.1"] {
        for each in [1, usize::MAX] {
            let client = Arc::new(secured.client(&[protocol]));
            let (done, requests) = (Arc::clone(&done), Arc::clone(&requests));
            callers.push(tokio::spawn(async move {
                while !done.load(Relaxed) {
                    let stream = connect(address, Arc::clone(&client)).await.unwrap();
                    let mut caller = Caller::over(stream).await.unwrap();
                    for _ in 0..each {
                        let response = caller.get("/api/vehicles?plate=A").await.unwrap();
                        assert_eq!(response.status(), 200);
                        response.collect().await.unwrap();
                        requests.fetch_add(1, Relaxed);
                        if done.load(Relaxed) {
                            break;
                        }
                    }
                }
            }));
        }
    }

    let new = secured.authority.issue(NAME);
    let want = CertificateDer::from_pem_slice(new.certificate.as_bytes()).unwrap();
    secured.folder.write_pair(&new);
    let exchanged = timeout(Duration::from_secs(30), async {
        while shown(&secured).await != want {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    exchanged.await.unwrap();
    let before = requests.load(Relaxed);
    while requests.load(Relaxed) < before + 40 {
        tokio::task::yield_now().await;
    }
    done.store(true, Relaxed);
    for caller in callers {
        caller.await.unwrap();
    }
    assert_eq!(secured.errors("tls").await, 0.0);
    let expiry = secured
        .gateway
        .metric("vingate_http_certificate_expiry_timestamp_seconds")
        .await;
    assert!(expiry > 0.0);
}

/// The certificate that a new caller is shown.
async fn shown(secured: &Secured) -> CertificateDer<'static> {
    let stream = secured.connect(secured.client(&[])).await.unwrap();
    stream.get_ref().1.peer_certificates().unwrap()[0].clone()
}
