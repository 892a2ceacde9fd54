//! TLS to the server.

use crate::{
    certificates::{Authority, Folder},
    redis_server::{RedisServer, gateways, shared},
};

#[tokio::test]
async fn the_server_is_spoken_to_only_if_it_is_who_it_says() {
    let (folder, authority) = (Folder::new(), Authority::new("redis"));
    let pair = authority.issue("localhost");
    let certificate = folder.write("cert.pem", &pair.certificate);
    let key = folder.write("key.pem", &pair.key);
    let ca = folder.write("ca.pem", &authority.pem());
    let other = folder.write("other.pem", &Authority::new("another").pem());
    let [certificate, key, ca, other] =
        [certificate, key, ca, other].map(|path| path.to_str().unwrap().to_owned());
    let arguments = ["--port", "0", "--tls-port", "PORT", "--tls-auth-clients", "no"];
    let files =
        ["--tls-cert-file", &certificate, "--tls-key-file", &key, "--tls-ca-cert-file", &ca];
    let Some(redis) = RedisServer::start(&[&arguments[..], &files].concat()).await else { return };
    let port = redis.address.port();
    let start = async |url: String, ca: &str| {
        let mut all = gateways(1, &shared(&url, &format!("ca = {ca:?}"))).await;
        all.remove(0)
    };
    let strangers = [
        start(format!("rediss://localhost:{port}"), &other).await,
        start(format!("rediss://127.0.0.1:{port}"), &ca).await,
        start(format!("redis://localhost:{port}"), &ca).await,
    ];
    let friend = start(format!("rediss://localhost:{port}"), &ca).await;
    friend.until_metric("vingate_shared_valid", 1.0).await;
    // They have had more time.
    for stranger in strangers {
        assert_eq!(stranger.metric("vingate_shared_valid").await, 0.0);
    }
}
