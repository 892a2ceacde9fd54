//! One client: what it does at random, and what it makes of the answers.

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, StatusCode, request::Builder};
use serde_json::json;
use tokio::time::{Duration, timeout};
use vingate::vehicle::Vehicle;

use super::{
    reads::Read,
    world::{CREDENTIALS, Count, World},
};
use crate::{
    connection::Connection,
    support::{Dice, JSON, Response},
};

/// A client of one account.
pub(super) struct Client {
    pub(super) world: Arc<World>,
    pub(super) account: usize,
    pub(super) dice: Dice,
    connection: Connection,
    /// The last answer that may be asked for again.
    pub(super) last: Option<Read>,
}

/// The subjects of the accounts.
const SUBJECTS: [&str; 2] = ["a", "b"];

impl Client {
    pub(super) async fn new(world: Arc<World>, account: usize, dice: Dice) -> Self {
        let connection = world.process.connect_as(SUBJECTS[account]).await;
        Self { world, account, dice, connection, last: None }
    }

    pub(super) async fn act(&mut self) {
        match self.dice.throw(100) {
            0..60 => self.read().await,
            60..72 => self.poll().await,
            72..82 => self.write(false).await,
            82..88 => self.write(true).await,
            88..92 => self.list().await,
            92..97 => self.forward().await,
            _ => self.purge().await,
        }
    }

    async fn list(&mut self) {
        let vin = self.vehicle().1.vin;
        let target = format!("/api/vehicles?vin={}", vin.as_str());
        if let Some(response) = self.get(&target).await {
            let list = response.json();
            let mut vehicles = list["vehicles"].as_array().unwrap().iter();
            assert!(vehicles.all(|vehicle| vehicle["vin"] == vin.as_str()), "{list}");
        }
    }

    /// What is forwarded goes up with the account's credential and comes back to who asked.
    async fn forward(&mut self) {
        let target = format!("/sandbox/echo/{}", self.dice.throw(usize::MAX));
        if let Some(response) = self.get(&target).await {
            let echo = response.json();
            assert_eq!(echo["target"], target);
            let credential = json!(["authorization", CREDENTIALS[self.account]]);
            assert!(echo["headers"].as_array().unwrap().contains(&credential), "{echo}");
        }
    }

    /// What is forwarded, if all goes well.
    async fn get(&mut self, target: &str) -> Option<Response> {
        let response = self.send(Request::get(target), Bytes::new(), 16).await?;
        if response.status != StatusCode::OK {
            self.failed(&response);
            return None;
        }
        Some(response)
    }

    async fn purge(&mut self) {
        let body = match self.dice.throw(3) {
            0 => json!({}),
            1 => json!({ "account": SUBJECTS[self.account] }),
            _ => json!({ "vin": self.vehicle().1.vin.as_str() }),
        };
        let request = Request::post("/cache/purge").header("content-type", JSON);
        let mut admin = Connection::open(self.world.process.admin).await;
        admin.send(request, body.to_string()).await.expect(200);
        self.world.count(Count::Purges, 1);
    }

    /// Sends, and hangs up once in `rarely` before the answer is there.
    pub(super) async fn send(
        &mut self,
        request: Builder,
        body: Bytes,
        rarely: usize,
    ) -> Option<Response> {
        self.world.count(Count::Requests, 1);
        let sending = self.connection.send(request, body);
        let response = if self.dice.throw(rarely) == 0 {
            let patience = Duration::from_millis(1 + self.dice.throw(20) as u64);
            timeout(patience, sending).await.ok()
        } else {
            Some(sending.await)
        };
        let is_over = response
            .as_ref()
            .is_none_or(|response| response.field("connection") == "close");
        if is_over {
            let subject = SUBJECTS[self.account];
            self.connection = self.world.process.connect_as(subject).await;
        }
        if response.is_none() {
            self.world.count(Count::HangUps, 1);
        }
        response
    }

    /// A failure is the upstream's, as it came, or the gateway's own, and shows nobody anything.
    pub(super) fn failed(&self, response: &Response) {
        let (status, text) = (response.status.as_u16(), response.text());
        let is_own = matches!(status, 502..=504) && response.json()["code"].is_string();
        assert!(is_own || text.contains(r#""detail":"Fault""#), "{status} {text}");
        assert!(!text.contains("account"), "{text}");
        self.world.count(Count::Failures, 1);
    }

    /// Some vehicle, and the place where it stands.
    pub(super) fn vehicle(&mut self) -> (usize, Vehicle) {
        let nth = self.dice.throw(self.world.vehicles.len());
        (nth, self.world.vehicles[nth])
    }
}
