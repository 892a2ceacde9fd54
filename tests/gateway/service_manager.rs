//! What systemd does with a service: sockets that it passes, and what it is told.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::Relaxed},
};

use tokio::time::timeout;
use vingate::sandbox::Sandbox;

use crate::support::{Manager, PATIENCE, Wire};

#[tokio::test]
async fn systemd_hears_what_the_gateway_does() {
    let sandbox = Sandbox::spawn().await.unwrap();
    let manager = Manager::new("told", &sandbox.url());
    let gateway = manager.start();
    manager.until("READY=1").await;
    manager.until("WATCHDOG=1").await;
    gateway.signal("HUP");
    manager.until("RELOADING=1\nMONOTONIC_USEC=").await;
    manager.until("READY=1").await;
    gateway.signal("TERM");
    manager.until("STOPPING=1").await;
    gateway.ended().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_refuses_no_connection() {
    let sandbox = Sandbox::spawn().await.unwrap();
    let manager = Manager::new("restart", &sandbox.url());
    let address = manager.address();
    let mut gateway = manager.start();
    manager.until("READY=1").await;

    let over = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let over = Arc::clone(&over);
            tokio::spawn(async move {
                let mut responses = 0;
                while !over.load(Relaxed) {
                    let mut wire = Wire::connect(address).await;
                    wire.send("GET /x HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
                        .await;
                    let response = timeout(PATIENCE, wire.rest()).await.unwrap();
                    assert!(response.starts_with(b"HTTP/1.1 401 "), "{response:?}");
                    responses += 1;
                }
                responses
            })
        })
        .collect();
    for _ in 0..5 {
        gateway.signal("TERM");
        gateway.ended().await;
        gateway = manager.start();
        manager.until("READY=1").await;
    }
    over.store(true, Relaxed);
    for client in clients {
        let responses: u32 = timeout(PATIENCE, client).await.unwrap().unwrap();
        assert!(responses > 0);
    }
}
