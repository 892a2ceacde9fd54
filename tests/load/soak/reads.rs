//! Batches, and batches that are asked for again.

use bytes::Bytes;
use http::StatusCode;
use vingate::vehicle::Vehicle;

use super::{client::Client, world::Count};
use crate::{
    connection::batch,
    support::{Typed, batch_body},
};

/// A read and its answer.
pub(super) struct Read {
    asked: Vec<Vehicle>,
    body: Bytes,
    etag: String,
    response: Bytes,
}

/// What readers may want of the cache.
const DIRECTIVES: [&str; 8] = [
    "no-cache",
    "no-store",
    "max-age=0",
    "max-age=1",
    "min-fresh=1",
    "max-stale",
    "only-if-cached",
    "max-stale=1, only-if-cached",
];

impl Client {
    pub(super) async fn read(&mut self) {
        let count = 1 + self.dice.throw(60);
        let asked: Vec<_> = (0..count).map(|_| self.vehicle().1).collect();
        let typed: Vec<_> = asked
            .iter()
            .map(|&vehicle| self.dice.typed(vehicle))
            .collect();
        let typed: Vec<_> = typed.iter().map(Typed::as_typed).collect();
        let body = Bytes::from(batch_body(&typed));
        let request = match self.dice.throw(24) {
            nth if nth < DIRECTIVES.len() => batch().header("cache-control", DIRECTIVES[nth]),
            _ => batch(),
        };
        let floors = self.world.floors(&asked);
        let Some(response) = self.send(request, body.clone(), 16).await else {
            return;
        };
        if response.status != StatusCode::OK {
            return self.failed(&response);
        }
        self.world
            .compare(self.account, &asked, &floors, &response.body);
        let etag = response.field("etag").to_owned();
        self.last = Some(Read { asked, body, etag, response: response.body });
    }

    /// Asks for the same again, if it has changed.
    pub(super) async fn poll(&mut self) {
        let Some(Read { asked, body, etag, response: held }) = self.last.take() else {
            return;
        };
        let floors = self.world.floors(&asked);
        let request = batch().header("if-none-match", &etag);
        let Some(response) = self.send(request, body.clone(), 16).await else {
            return;
        };
        let (etag, response) = match response.status {
            StatusCode::OK => (response.field("etag").to_owned(), response.body),
            StatusCode::NOT_MODIFIED => {
                self.world.count(Count::NotModified, 1);
                (etag, held)
            }
            _ => return self.failed(&response),
        };
        self.world.compare(self.account, &asked, &floors, &response);
        self.last = Some(Read { asked, body, etag, response });
    }
}
