//! Requests of every kind, good and bad, that carry vehicles and tokens wherever there is room.

use jsonwebtoken::{Algorithm, Header};
use serde_json::json;

use crate::secrets::{TYPED, WRONG, signed, token};

/// A request, and the status of its answer.
pub(crate) struct Case {
    /// Its `X-Request-Id`, and so its name in the log; `None`: it does not get that far.
    pub(crate) id: Option<String>,
    pub(crate) request: String,
    pub(crate) status: u16,
}

pub(crate) const BATCH: &str = "/api/batch/scraping/";
const UPSERT: &str = "/api/upsert-vehicle-info";
const LIST: &str = "/api/vehicles";

type Fields<'a> = &'a [(&'a str, &'a str)];

impl Case {
    /// A request with `token`, unless its fields bring another.
    pub(crate) fn new(
        id: String,
        token: &str,
        (status, method, target, fields, body): (u16, &str, &str, Fields<'_>, &str),
    ) -> Self {
        let mut request = format!("{method} {target} HTTP/1.1\r\nconnection: close\r\n");
        // Too many fields are refused before anybody looks for a name among them.
        let mut id = Some(id).filter(|_| status != 431);
        for (name, value) in fields {
            request.push_str(&format!("{name}: {value}\r\n"));
            id = id.filter(|_| *name != "x-request-id");
        }
        let mut field = |name: &str, value: &str| {
            if !fields.iter().any(|(own, _)| *own == name) {
                request.push_str(&format!("{name}: {value}\r\n"));
            }
        };
        field("host", "gate");
        field("authorization", &format!("Bearer {token}"));
        if let Some(id) = &id {
            field("x-request-id", id);
        }
        if !body.is_empty() {
            field("content-type", "application/json");
            field("content-length", &body.len().to_string());
        }
        Self { id, request: request + "\r\n" + body, status }
    }
}

/// The body that asks for these vehicles.
pub(crate) fn batch(vehicles: &[(&str, &str)]) -> String {
    let entry = |&(vin, plate): &(&str, &str)| json!({"vin": vin, "plate": plate});
    json!({"vehicles": vehicles.iter().map(entry).collect::<Vec<_>>()}).to_string()
}

/// Requests that a good token may make.
pub(crate) fn of_a_caller(token: &str) -> Vec<Case> {
    let [(vin, plate), ..] = TYPED;
    let [_, (other, _), ..] = TYPED;
    let encoded = &vin.replace('-', "%2D");
    let (good, bad) = (&batch(&TYPED[..2]), &batch(&[TYPED[0], WRONG]));
    let many = &batch(&[TYPED[0]; 11]);
    let upsert = |vin: &str, plate: &str| {
        json!({"vehicleInfo": {"vin": vin, "plate": plate, "ownerName": "X"}}).to_string()
    };
    let odd = &json!({"vehicles": [{"vin": vin, "plate": plate, "x": other}]}).to_string();
    let twice = &format!(r#"{{"vehicles":[{{"vin":"{vin}","vin":"{other}","plate":"{plate}"}}]}}"#);
    let list = |query: &str| format!("{LIST}?{query}");
    let status = |vin: &str| format!("/api/v2/vehicles/{vin}/status");
    let bearer = &format!("Bearer {token}");
    let post: Fields<'_> = &[("x-http-method-override", "GET")];
    let table: &[(u16, &str, &str, Fields<'_>, &str)] = &[
        // Batches.
        (200, "GET", BATCH, &[], good),
        (200, "GET", BATCH, &[], &batch(&TYPED)),
        (200, "QUERY", BATCH, &[], good),
        (200, "POST", BATCH, post, good),
        (200, "GET", BATCH, &[("cache-control", "no-store")], good),
        (200, "GET", BATCH, &[("cache-control", vin), ("if-none-match", vin)], good),
        (200, "GET", BATCH, &[], odd),
        (200, "GET", &format!("{BATCH}?vin={encoded}&access_token={token}"), &[], good),
        (504, "GET", BATCH, &[("cache-control", "only-if-cached, no-cache")], good),
        (400, "GET", BATCH, &[], bad),
        (400, "GET", BATCH, &[], &batch(&[(plate, vin)])),
        (400, "GET", BATCH, &[], twice),
        (400, "GET", BATCH, &[], &format!("{{\"vehicles\":\"{vin}\"}}")),
        (400, "GET", BATCH, &[], &format!("{{\"vehicles\":[\"{vin}\",{{\"vin\":1}}]}}")),
        (400, "GET", BATCH, &[], &format!("\"{vin}\"")),
        (400, "GET", BATCH, &[], &format!("{vin} {token}")),
        (400, "GET", BATCH, &[], &good[..good.len() - 2]),
        (413, "GET", BATCH, &[], many),
        (413, "GET", BATCH, &[], &batch(&[TYPED[0]; 2000])),
        (415, "GET", BATCH, &[("content-type", token)], good),
        (415, "GET", BATCH, &[("content-encoding", vin)], good),
        (400, "POST", BATCH, &[("x-http-method-override", vin)], good),
        // Vehicles in paths, queries and bodies.
        (204, "PATCH", &status(encoded), &[], "{\"vehicleStatusId\":4}"),
        (400, "PATCH", &status(encoded), &[], &format!("{{\"vehicleStatusId\":\"{vin}\"}}")),
        (400, "PATCH", &status(WRONG.0), &[], "{\"vehicleStatusId\":4}"),
        (400, "PATCH", &status(&format!("{encoded}%2F")), &[], "{}"),
        (400, "PATCH", &status(&format!("{encoded}%zz")), &[], "{}"),
        (404, "PATCH", &status("3vw-zx21c04m000404"), &[], "{\"vehicleStatusId\":4}"),
        (200, "GET", &list(&format!("vin={encoded}&plate=qzx+77-41")), &[], ""),
        (404, "HEAD", &list(&format!("vin={encoded}")), &[], ""),
        (200, "PUT", UPSERT, &[], &upsert(vin, "qzx 77")),
        (400, "PUT", UPSERT, &[], &upsert(WRONG.0, WRONG.1)),
        (400, "PUT", UPSERT, &[], &upsert(vin, plate).replace("ownerName", "vin")),
        (400, "PUT", UPSERT, &[], &format!("{{\"vehicleInfo\":\"{vin}\"}}")),
        (400, "PUT", UPSERT, &[], vin),
        (413, "PUT", UPSERT, &[], &upsert(vin, &plate.repeat(10_000))),
        (200, "PUT", "/api/upsert-tax-identity", &[], "{\"legalName\":\"qzx 77-41\"}"),
        (404, "DELETE", &format!("/api/other/{encoded}?plate=qzx-77-41"), &[], good),
        (404, "POST", "/api/other", &[("content-type", "text/plain")], vin),
        // What the edge refuses.
        (400, "GET", &format!("/api/../{encoded}"), &[], ""),
        (400, "GET", &format!("/api/%2e%2e/{encoded}?{token}"), &[], ""),
        (405, "TRACE", &format!("/{encoded}"), &[], ""),
        (414, "GET", &list(&format!("vin={}", encoded.repeat(600))), &[], ""),
        (431, "GET", LIST, &[("x-a", vin); 101], ""),
        (417, "PUT", UPSERT, &[("expect", token)], &upsert(vin, plate)),
        (400, "GET", LIST, &[("host", "user:qzx-77-41@gate")], ""),
        (400, "GET", LIST, &[("host", "gate"), ("host", token)], ""),
        (404, "QZX77-41", &format!("/{encoded}"), &[], ""),
        // Tokens where none belong.
        (200, "GET", LIST, &[("x-request-id", token)], ""),
        (200, "GET", LIST, &[("cookie", bearer), ("x-api-key", token), ("x-other", bearer)], ""),
        (200, "GET", LIST, &[("referer", bearer), ("user-agent", bearer), ("origin", vin)], ""),
        (200, "GET", LIST, &[("traceparent", token), ("tracestate", token), ("via", token)], ""),
        (200, "GET", LIST, &[("forwarded", bearer), ("x-forwarded-for", token)], ""),
        (200, "GET", LIST, &[("accept", token), ("range", vin), ("if-range", vin)], ""),
        (404, "GET", &format!("/api/{token}?vin={encoded}"), &[], ""),
        (200, "GET", &list(&format!("access_token={token}")), &[], ""),
        (200, "GET", LIST, &[("upgrade", token), ("te", token), ("trailer", token)], ""),
    ];
    let named = table.iter().enumerate();
    named
        .map(|(nth, &row)| Case::new(format!("caller-{nth}-"), token, row))
        .collect()
}

/// What is no good for a token, each with the status it gets.
pub(crate) fn bad_tokens() -> Vec<(u16, String)> {
    let [(vin, plate), ..] = TYPED;
    let header = |kid: &str| Header { kid: Some(kid.into()), ..Header::new(Algorithm::HS256) };
    let good = token(json!({}));
    let (message, signature) = good.rsplit_once('.').expect("it has three parts");
    let (first, second) = message.split_once('.').expect("it has three parts");
    vec![
        (401, token(json!({"exp": 1}))),
        (401, token(json!({"exp": vin}))),
        (401, token(json!({"nbf": 4_000_000_000_u64}))),
        (401, token(json!({"aud": plate}))),
        (401, token(json!({"iss": vin}))),
        (401, token(json!({"sub": ""}))),
        (401, token(json!({"x": "y".repeat(18_000)}))),
        (403, token(json!({"scope": vin}))),
        (401, signed(&header(vin), json!({}))),
        (401, signed(&header("../../etc/passwd"), json!({}))),
        (401, signed(&Header { typ: Some(vin.into()), ..header("house") }, json!({}))),
        (401, signed(&Header { alg: Algorithm::HS384, ..header("house") }, json!({}))),
        (401, format!("{message}.{}", signature.chars().rev().collect::<String>())),
        (401, format!("{message}.")),
        (401, format!("{good}.{first}")),
        (401, format!("{second}.{first}.{signature}")),
        (401, vin.to_owned()),
    ]
}

/// Requests that come with these tokens, or with what is none.
pub(crate) fn of_nobody(tokens: &[(u16, String)], good: &str) -> Vec<Case> {
    let mut fields: Vec<_> = tokens
        .iter()
        .map(|(status, token)| (*status, vec![format!("Bearer {token}")]))
        .collect();
    fields.push((401, vec![format!("Bearer {good}"), format!("Bearer {good}")]));
    fields.push((401, vec![format!("Basic {good}")]));
    fields.push((401, vec![good.to_owned()]));
    fields.push((401, vec![String::new()]));
    let named = fields.iter().enumerate();
    named
        .map(|(nth, (status, values))| {
            let fields: Vec<_> = values
                .iter()
                .map(|value| ("authorization", &**value))
                .collect();
            let row = (*status, "GET", BATCH, &fields[..], &*batch(&TYPED));
            Case::new(format!("nobody-{nth}-"), good, row)
        })
        .collect()
}

/// What the parser refuses, or a caller breaks off: the bytes, and the status, 0 if there may be
/// no answer.
pub(crate) fn malformed(token: &str) -> Vec<(String, u16)> {
    let [(vin, _), ..] = TYPED;
    let head = format!("host: gate\r\nauthorization: Bearer {token}\r\n");
    let put = format!("PUT {UPSERT} HTTP/1.1\r\n{head}");
    vec![
        (format!("GET /{vin} HTTP/1.1 {token}\r\n{head}\r\n"), 400),
        (format!("GET /{vin} {vin}\r\n{head}\r\n"), 400),
        (format!("{vin}\r\n\r\n"), 400),
        (format!("GET / HTTP/1.1\r\n{head}x {vin}: {token}\r\n\r\n"), 400),
        (format!("GET / HTTP/1.1\r\n{head}x: {vin}\0{token}\r\n\r\n"), 400),
        (format!("GET / HTTP/1.1\r\n{head} {vin}\r\n\r\n"), 400),
        (format!("GET / HTTP/1.1\r\n{head}x: {}\r\n\r\n", token.repeat(300)), 0),
        (format!("{put}content-length: {vin}\r\n\r\n"), 400),
        (format!("{put}transfer-encoding: {vin}\r\n\r\n"), 400),
        (format!("{put}transfer-encoding: chunked\r\n\r\n{vin}\r\n{token}"), 400),
        (format!("{put}content-length: 500\r\n\r\n{{\"vehicleInfo\":{{\"vin\":\"{vin}\""), 0),
        (format!("GET {BATCH} HTTP/1.1\r\n{head}content-length: 99\r\n\r\n{{\"{vin}"), 0),
        (format!("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n{vin}{token}"), 0),
        (format!("\x16\x03\x01{vin}{token}"), 0),
    ]
}
