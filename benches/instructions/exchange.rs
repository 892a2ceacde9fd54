//! What is asked of the gateway.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use jsonwebtoken::{EncodingKey, Header};

use super::{callgrind::SECRET, fleet};

/// Requests over one connection, one after the other, all alike.
pub(crate) struct Exchange {
    pub(crate) name: &'static str,
    /// How many are made, so that a run takes some seconds.
    pub(crate) requests: usize,
    kind: Kind,
    pub(crate) gateway: Variant,
}

/// What is different about the gateway.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Variant {
    Plain,
    /// One request in a hundred is traced.
    Traced,
    /// A client has one request a second.
    Limited,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    /// A small `GET` that is forwarded.
    Forward,
    /// Batches of so many vehicles out of so many, all of them cached.
    Hit { batch: usize, of: usize },
    /// The same, and the client has the response already.
    NotModified { batch: usize, of: usize },
    /// The same `GET`, by a client that has no more requests.
    Refused,
    /// Batches of vehicles that nobody has asked for before.
    Miss { batch: usize },
}

/// Every exchange.
pub(crate) const ALL: [Exchange; 8] = [
    Exchange::new("forward", 4_000, Kind::Forward),
    Exchange::new("hit1", 6_000, Kind::Hit { batch: 1, of: 1_000 }),
    Exchange::new("traced1", 12_000, Kind::Hit { batch: 1, of: 1_000 }).with(Variant::Traced),
    Exchange::new("refused", 6_000, Kind::Refused).with(Variant::Limited),
    Exchange::new("hit500", 200, Kind::Hit { batch: 500, of: 1_000 }),
    Exchange::new("fresh500", 100, Kind::Hit { batch: 500, of: 20_000 }),
    Exchange::new("304", 200, Kind::NotModified { batch: 500, of: 1_000 }),
    Exchange::new("cold500", 40, Kind::Miss { batch: 500 }),
];

/// Vehicles that are asked for at once to have them cached.
const WARM: usize = 500;

/// From one vehicle of a batch to the next in the fleet. So many batches of a large fleet have no
/// vehicle in common.
const STRIDE: usize = 37;

/// The policy of the cache hears of an entry's hits once in this time. It passes before vehicles of a
/// large fleet are asked for again, or what a batch costs would depend on the machine.
const TELLING: Duration = Duration::from_millis(1_100);

const FORWARDED: &str = "GET /api/resources HTTP/1.1";

/// Responses that a client has already.
const KNOWN: usize = 16;

/// A response.
struct Response {
    status: String,
    etag: String,
}

impl Exchange {
    const fn new(name: &'static str, requests: usize, kind: Kind) -> Self {
        Self { name, requests, kind, gateway: Variant::Plain }
    }

    const fn with(self, gateway: Variant) -> Self {
        Self { gateway, ..self }
    }

    /// Makes so many of the requests.
    pub(crate) fn run(&self, gateway: SocketAddr, requests: usize) {
        let mut connection = Connection::new(gateway);
        match self.kind {
            Kind::Forward => {
                for _ in 0..requests {
                    connection.ok(FORWARDED, "", "");
                }
            }
            Kind::Refused => {
                let statuses = (0..requests).map(|_| connection.exchange(FORWARDED, "", "").status);
                let refused = statuses.filter(|status| status == "429").count();
                assert!(refused > requests / 2, "{refused} of {requests}");
            }
            Kind::Hit { batch, of } | Kind::NotModified { batch, of } => {
                let fleet = fleet::fleet(of);
                for warm in fleet.chunks(WARM) {
                    connection.batch(warm.iter(), "");
                }
                // A stride that has no divisor in common with the fleet leads through all of it.
                let asked = |start| (0..batch).map(move |at| (start * 7 + at * STRIDE) % of);
                let asked = |start| asked(start).map(|index| &fleet[index]);
                if matches!(self.kind, Kind::Hit { .. }) {
                    for start in 0..requests {
                        if of > WARM * STRIDE && start % STRIDE == 0 {
                            #[expect(
                                clippy::disallowed_methods,
                                reason = "a client without a runtime"
                            )]
                            thread::sleep(TELLING);
                        }
                        connection.batch(asked(start), "");
                    }
                    return;
                }
                let condition =
                    |response: Response| format!("If-None-Match: {}\r\n", response.etag);
                let known = (0..KNOWN).map(|start| condition(connection.batch(asked(start), "")));
                let known: Vec<_> = known.collect();
                for start in (0..requests).map(|request| request % KNOWN) {
                    let response = connection.batch(asked(start), &known[start]);
                    assert_eq!(response.status, "304");
                }
            }
            Kind::Miss { batch } => {
                let fleet = fleet::fleet(batch * requests);
                for asked in fleet.chunks(batch) {
                    connection.batch(asked.iter(), "");
                }
            }
        }
    }
}

/// A connection of one client with its token.
struct Connection {
    stream: BufReader<TcpStream>,
    token: String,
}

impl Connection {
    fn new(gateway: SocketAddr) -> Self {
        let stream = TcpStream::connect(gateway).expect("the gateway accepts");
        stream.set_nodelay(true).expect("it is a TCP socket");
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .expect("it is after 1970");
        let claims = serde_json::json!({
            "iss": "bench",
            "aud": "gateway",
            "sub": "bench",
            "scope": "vehicles:read",
            "exp": (now + Duration::from_secs(3_600)).as_secs(),
        });
        let header = Header { kid: Some("k".to_owned()), ..Header::default() };
        let key = EncodingKey::from_secret(SECRET.as_bytes());
        let token = jsonwebtoken::encode(&header, &claims, &key).expect("claims can be signed");
        Self { stream: BufReader::new(stream), token }
    }

    fn batch<'a>(
        &mut self,
        vehicles: impl Iterator<Item = &'a fleet::Row>,
        headers: &str,
    ) -> Response {
        let entry =
            |row: &fleet::Row| format!(r#"{{"vin":"{}","plate":"{}"}}"#, row.vin, row.plate);
        let entries: Vec<_> = vehicles.map(entry).collect();
        let body = format!(r#"{{"vehicles":[{}]}}"#, entries.join(","));
        let headers = format!("Content-Type: application/json\r\n{headers}");
        self.ok("GET /api/batch/scraping/ HTTP/1.1", &headers, &body)
    }

    /// The response to a request; it must not be an error.
    fn ok(&mut self, line: &str, headers: &str, body: &str) -> Response {
        let response = self.exchange(line, headers, body);
        assert!(matches!(&*response.status, "200" | "304"), "{}", response.status);
        response
    }

    fn exchange(&mut self, line: &str, headers: &str, body: &str) -> Response {
        let length = match body.len() {
            0 => String::new(),
            length => format!("Content-Length: {length}\r\n"),
        };
        let token = &self.token;
        let request = format!(
            "{line}\r\nHost: gateway\r\nAuthorization: Bearer {token}\r\n{headers}{length}\r\n{body}"
        );
        // In one piece, so that it is read in one.
        let sent = self.stream.get_mut().write_all(request.as_bytes());
        sent.expect("the gateway reads");
        self.head()
    }

    fn head(&mut self) -> Response {
        let mut line = String::new();
        let mut next = |stream: &mut BufReader<TcpStream>| {
            line.clear();
            stream.read_line(&mut line).expect("the gateway responds");
            line.trim_end().to_owned()
        };
        let status = next(&mut self.stream);
        let status = status
            .split(' ')
            .nth(1)
            .expect("it is a status line")
            .to_owned();
        let (mut etag, mut length) = (String::new(), 0);
        loop {
            let line = next(&mut self.stream);
            let Some((name, value)) = line.split_once(": ") else { break };
            match name {
                "etag" => etag = value.to_owned(),
                "content-length" => length = value.parse().expect("a length is a number"),
                _ => {}
            }
        }
        if status != "304" {
            let mut body = vec![0; length];
            self.stream
                .read_exact(&mut body)
                .expect("the body comes whole");
        }
        Response { status, etag }
    }
}
