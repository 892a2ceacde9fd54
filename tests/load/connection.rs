//! One connection of one client.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{
    HeaderValue, Request,
    header::{AUTHORIZATION, HOST},
    request::Builder,
};
use http_body_util::Full;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_util::task::AbortOnDropHandle;
use vingate::vehicle::Vehicle;

use crate::support::{BATCH, JSON, Response, batch_body, note, spelled, watch};

/// A connection that is asked for one thing after the other. It ends when this is dropped.
pub(crate) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    authorization: Option<HeaderValue>,
    _driver: AbortOnDropHandle<()>,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
        let driver = tokio::spawn(async move {
            // What goes wrong is told to whoever waits for an answer.
            let _ = connection.await;
        });
        Self { sender, authorization: None, _driver: AbortOnDropHandle::new(driver) }
    }

    /// Shows this token from now on.
    pub(crate) fn show(&mut self, token: &str) {
        watch::sent_field("authorization", token.as_bytes());
        self.authorization = Some(format!("Bearer {token}").parse().unwrap());
    }

    pub(crate) async fn send(&mut self, request: Builder, body: impl Into<Bytes>) -> Response {
        let body = body.into();
        note(&request, &body);
        let mut request = request.body(Full::new(body)).unwrap();
        let fields = request.headers_mut();
        fields.insert(HOST, HeaderValue::from_static("127.0.0.1"));
        if let Some(authorization) = &self.authorization {
            fields.insert(AUTHORIZATION, authorization.clone());
        }
        self.sender.ready().await.unwrap();
        Response::read(self.sender.send_request(request).await.unwrap()).await
    }

    pub(crate) async fn get(&mut self, target: &str) -> Response {
        self.send(Request::get(target), "").await
    }

    /// Asks for what a body asks for.
    pub(crate) async fn batch(&mut self, body: &Bytes) -> Response {
        self.send(batch(), body.clone()).await
    }
}

/// A batch that lacks its body.
pub(crate) fn batch() -> Builder {
    Request::get(BATCH).header("content-type", JSON)
}

/// The body that asks for these vehicles.
pub(crate) fn asking_for(vehicles: &[Vehicle]) -> Bytes {
    let spelled: Vec<_> = vehicles.iter().map(spelled).collect();
    batch_body(&spelled).into()
}
