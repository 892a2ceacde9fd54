//! A small HTTP client.

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri, header::HeaderName};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::{Client as Pool, Error, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::Value;

use crate::{
    sandbox::{Handle, tests::batch_body},
    vehicle::Vehicle,
};

#[derive(Clone)]
pub(super) struct Client {
    pool: Pool<HttpConnector, Full<Bytes>>,
    url: String,
    headers: HeaderMap,
}

#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Client {
    pub(super) fn new(sandbox: &Handle) -> Self {
        let pool = Pool::builder(TokioExecutor::new()).build_http();
        Self { pool, url: sandbox.url(), headers: HeaderMap::new() }
    }

    /// The same over HTTP/2 with prior knowledge.
    pub(super) fn http2(self) -> Self {
        Self {
            pool: Pool::builder(TokioExecutor::new())
                .http2_only(true)
                .build_http(),
            ..self
        }
    }

    /// The same with one more header on every request.
    pub(super) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers
            .insert(HeaderName::from_static(name), value.parse().unwrap());
        self
    }

    /// The headers of every request.
    pub(super) fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The head of the response, with its body still on the wire.
    pub(super) async fn open(
        &self,
        method: Method,
        target: &str,
        body: &str,
    ) -> Result<Response<Incoming>, Error> {
        let mut request = Request::new(Full::from(body.to_owned()));
        *request.method_mut() = method;
        *request.uri_mut() = format!("{}{target}", self.url).parse::<Uri>().unwrap();
        *request.headers_mut() = self.headers.clone();
        self.pool.request(request).await
    }

    pub(super) async fn send(&self, method: Method, target: &str, body: &str) -> Reply {
        let (head, body) = self.open(method, target, body).await.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Reply { status: head.status, headers: head.headers, body }
    }

    pub(super) async fn get(&self, target: &str) -> Reply {
        self.send(Method::GET, target, "").await
    }

    pub(super) async fn batch(&self, body: &str) -> Reply {
        self.send(Method::GET, "/api/batch/scraping/", body).await
    }

    pub(super) async fn request(&self, vehicles: &[Vehicle]) -> Reply {
        self.batch(&batch_body(vehicles)).await
    }
}

impl Reply {
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// Status and the word of the documentation's error table.
    pub(super) fn error(&self) -> (u16, String) {
        (
            self.status.as_u16(),
            self.json()["detail"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
        )
    }

    /// VIN of every element, in their order.
    pub(super) fn vins(&self) -> Vec<String> {
        let json = self.json();
        let elements = json["vehicleData"].as_array().unwrap();
        elements
            .iter()
            .map(|element| element["vin"].as_str().unwrap().to_owned())
            .collect()
    }
}
