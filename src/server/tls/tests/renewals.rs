//! Files that change while they are in use.

use tokio::time::sleep;

use super::*;
use crate::files::LOOK_EVERY;

/// The certificate that a caller is shown now, DER.
async fn shown(tls: &Tls, client: &Arc<ClientConfig>) -> Vec<u8> {
    let mut served = Served::over(Some(tls.clone()));
    let stream = connect(Arc::clone(client), &mut served).await.unwrap();
    let chain = stream.get_ref().1.peer_certificates().unwrap();
    chain[0].to_vec()
}

fn der(pair: &Pair) -> Vec<u8> {
    let pem = pair.certificate.as_bytes();
    CertificateDer::from_pem_slice(pem).unwrap().to_vec()
}

/// Long enough for what has changed to be in use.
async fn looks() {
    sleep(LOOK_EVERY * 3).await;
}

#[tokio::test(start_paused = true)]
async fn a_new_pair_is_shown_and_a_bad_one_changes_nothing() {
    let listener = Listener::new();
    let metrics = Metrics::unregistered().unwrap();
    let (tls, _renewal) = listener.load().begin(&metrics);
    let client = Arc::new(listener.client(&[]));
    let in_2100 = 4_102_444_800;
    assert!(metrics.certificate_expires_at() > in_2100);

    let authority = &listener.authority;
    let new = authority.issue_until(NAME, 2100);
    assert_ne!(shown(&tls, &client).await, der(&new));
    listener.folder.write_pair(&new);
    looks().await;
    assert_eq!(shown(&tls, &client).await, der(&new));
    assert_eq!(metrics.certificate_expires_at(), in_2100);

    let other = authority.issue(NAME);
    for (certificate, key) in [
        (&*other.certificate, &*new.key),
        (&new.certificate, &other.key),
        (&other.certificate[..100], &other.key),
        ("", ""),
    ] {
        listener
            .folder
            .write_pair(&Pair { certificate: certificate.into(), key: key.into() });
        looks().await;
        assert_eq!(shown(&tls, &client).await, der(&new));
    }
    listener
        .folder
        .write_pair(&authority.issue_until(NAME, 2020));
    looks().await;
    assert_eq!(shown(&tls, &client).await, der(&new), "an expired one is no better");
    std::fs::remove_file(&listener.files.key).unwrap();
    looks().await;
    assert_eq!(shown(&tls, &client).await, der(&new));
    assert_eq!(metrics.certificate_expires_at(), in_2100);

    listener.folder.write_pair(&other);
    looks().await;
    assert_eq!(shown(&tls, &client).await, der(&other), "and it recovers");
}

#[tokio::test(start_paused = true)]
#[cfg(unix)]
async fn a_folder_behind_a_symbolic_link_is_followed() {
    use std::{fs, os::unix::fs::symlink};

    // As Kubernetes mounts a secret: cert.pem → ..data/cert.pem, ..data → a folder a version.
    let mut listener = Listener::new();
    let folder = listener.folder.path().to_owned();
    let new = listener.authority.issue(NAME);
    fs::create_dir(folder.join("v2")).unwrap();
    listener.folder.write("v2/cert.pem", &new.certificate);
    listener.folder.write("v2/key.pem", &new.key);
    symlink(".", folder.join("..data")).unwrap();
    listener.files.certificate = folder.join("..data/cert.pem");
    listener.files.key = folder.join("..data/key.pem");

    let (tls, _renewal) = listener.load().begin(&Metrics::unregistered().unwrap());
    symlink("v2", folder.join("..new")).unwrap();
    fs::rename(folder.join("..new"), folder.join("..data")).unwrap();
    looks().await;
    let client = Arc::new(listener.client(&[]));
    assert_eq!(shown(&tls, &client).await, der(&new));
}

#[tokio::test(start_paused = true)]
async fn a_new_client_ca_is_heeded_and_the_old_one_forgotten() {
    let listener = Listener::with_clients();
    let (tls, _renewal) = listener.load().begin(&Metrics::unregistered().unwrap());
    let other = Authority::new("another");
    let known = with_certificate(listener.client(&[]), &listener.authority.issue("known"));
    let foreign = with_certificate(listener.client(&[]), &other.issue("foreign"));
    let (known, foreign) = (Arc::new(known), Arc::new(foreign));

    assert!(is_let_in(&tls, &known).await);
    assert!(!is_let_in(&tls, &foreign).await);
    listener.folder.write("clients.pem", &other.pem());
    looks().await;
    assert!(!is_let_in(&tls, &known).await);
    assert!(is_let_in(&tls, &foreign).await);
}

async fn is_let_in(tls: &Tls, client: &Arc<ClientConfig>) -> bool {
    let mut served = Served::over(Some(tls.clone()));
    match connect(Arc::clone(client), &mut served).await {
        Ok(mut stream) => get(&mut stream, "/").await.is_ok(),
        Err(_) => false,
    }
}
