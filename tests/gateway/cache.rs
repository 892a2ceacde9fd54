//! What an answer says of where it comes from and how long it is good, and what a request may
//! ask of the cache. What takes time to show stands in the tests of `src/batch`.

use http::{Request, request};
use vingate::{
    sandbox::{Class, Faults},
    vehicle::Vehicle,
};

use crate::support::{ALL, BATCH, Gateway, JSON, Response, batch_body, spelled};

/// The three ways to ask.
const METHODS: [&str; 3] = ["GET", "QUERY", "POST"];

fn request(method: &str) -> request::Builder {
    let request = Request::builder()
        .method(method)
        .uri(BATCH)
        .header("content-type", JSON);
    match method {
        "POST" => request.header("x-http-method-override", "Get"),
        _ => request,
    }
}

/// Asks in one of the three ways, with one more field.
async fn ask(
    gateway: &Gateway,
    method: &str,
    vehicles: &[Vehicle],
    field: (&str, &str),
) -> Response {
    let spelled: Vec<_> = vehicles.iter().map(spelled).collect();
    let request = request(method).header(field.0, field.1);
    gateway.send(request, batch_body(&spelled)).await
}

async fn get(gateway: &Gateway, vehicles: &[Vehicle], directives: &str) -> Response {
    ask(gateway, "GET", vehicles, ("cache-control", directives)).await
}

fn of(gateway: &Gateway, class: Class, count: usize) -> Vec<Vehicle> {
    gateway.sandbox.vehicles(class).take(count).collect()
}

/// `Cache-Status` with its number of seconds left out, which may be one less any time.
fn status(response: &Response) -> String {
    let status = response.field("cache-status");
    match status.split_once("ttl=") {
        Some((before, rest)) => {
            let rest = rest.trim_start_matches(|digit: char| digit.is_ascii_digit());
            format!("{before}ttl=N{rest}")
        }
        None => status.to_owned(),
    }
}

fn max_age(response: &Response) -> u64 {
    let (_, age) = response
        .field("cache-control")
        .split_once("max-age=")
        .unwrap();
    age.parse().unwrap()
}

#[tokio::test]
async fn says_where_every_vehicle_came_from() {
    let gateway = Gateway::start("").await;
    let (finished, absent) = (of(&gateway, Class::Finished, 4), of(&gateway, Class::Absent, 2));
    let empty = of(&gateway, Class::Empty, 1);
    for (what, vehicles, directives, want) in [
        ("cold", &finished[..2], "", "fwd=miss; detail=\"hit=0 stale=0 joined=0 miss=2 absent=0\""),
        (
            "held",
            &finished[..2],
            "",
            "hit; ttl=N; detail=\"hit=2 stale=0 joined=0 miss=0 absent=0\"",
        ),
        (
            "some",
            &finished[..3],
            "",
            "fwd=partial; detail=\"hit=2 stale=0 joined=0 miss=1 absent=0\"",
        ),
        ("none there", &absent, "", "fwd=miss; detail=\"hit=0 stale=0 joined=0 miss=2 absent=0\""),
        ("still not", &absent, "", "hit; ttl=N; detail=\"hit=0 stale=0 joined=0 miss=0 absent=2\""),
        ("no info", &empty, "", "fwd=miss; detail=\"hit=0 stale=0 joined=0 miss=1 absent=0\""),
        (
            "no info yet",
            &empty,
            "",
            "hit; ttl=N; detail=\"hit=0 stale=0 joined=0 miss=0 absent=1\"",
        ),
        (
            "anew",
            &finished[..2],
            "no-cache",
            "fwd=request; detail=\"hit=0 stale=0 joined=0 miss=2 absent=0\"",
        ),
        (
            "apart",
            &finished[..2],
            "no-store",
            "fwd=request; detail=\"hit=0 stale=0 joined=0 miss=2 absent=0\"",
        ),
    ] {
        let response = get(&gateway, vehicles, directives).await.expect(200);
        assert_eq!(status(&response), format!("vingate; {want}"), "{what}");
        assert_eq!(response.text(), gateway.response_for(vehicles, ALL), "{what}");
        assert!(response.field("age").parse::<u64>().unwrap() < 60);
        assert_eq!(response.field("content-type"), JSON);
        assert_eq!(response.field("accept-query"), JSON);
    }
    for (outcome, count) in
        [("hit", 4.0), ("absent", 3.0), ("miss", 8.0), ("bypass", 2.0), ("stale", 0.0)]
    {
        let series = format!("vingate_cache_vehicles_total{{outcome=\"{outcome}\"}}");
        assert_eq!(gateway.metric(&series).await, count, "{outcome}");
    }
}

#[tokio::test]
async fn tells_caches_how_long_it_is_good_and_that_a_body_is_no_key() {
    let gateway = Gateway::start("[cache.ttl]\njitter = 0").await;
    let finished = of(&gateway, Class::Finished, 1);
    let pending = of(&gateway, Class::Pending, 1);
    let both = [finished[0], pending[0]];
    for (vehicles, life) in [(&finished[..], 900), (&both, 10)] {
        for method in METHODS {
            let response = ask(&gateway, method, vehicles, ("x", "")).await.expect(200);
            assert!((life - 5..=life).contains(&max_age(&response)), "{method}");
            let rest = response.field("cache-control").rsplit_once(", ").unwrap().0;
            let want = if method == "QUERY" { "private" } else { "private, no-cache" };
            assert_eq!(rest, want, "{method}");
        }
    }
    let apart = get(&gateway, &finished, "no-store").await.expect(200);
    assert_eq!(apart.field("cache-control"), "no-store");
}

#[tokio::test]
async fn validates_by_content_for_all_three_methods_and_on_every_replica() {
    let (gateway, replica) = (Gateway::start("").await, Gateway::start("").await);
    let vehicles = of(&gateway, Class::Finished, 3);
    let tag = get(&gateway, &vehicles, "").await.expect(200);
    let tag = tag.field("etag");
    assert!(tag.len() >= 34 && tag.starts_with('"') && tag.ends_with('"'), "{tag}: 128 bits");
    let (weak, list) = (format!("W/{tag}"), format!("\"x\", {tag}"));
    for (sent, is_known) in
        [(tag, true), (&*weak, true), (&*list, true), ("*", true), ("\"x\"", false), ("", false)]
    {
        for (gateway, method) in METHODS
            .map(|method| (&gateway, method))
            .into_iter()
            .chain([(&replica, "GET")])
        {
            let response = ask(gateway, method, &vehicles, ("if-none-match", sent)).await;
            let response = response.expect(if is_known { 304 } else { 200 });
            assert_eq!(response.body.is_empty(), is_known, "{method} {sent}");
            assert_eq!(response.field("etag"), tag);
            assert!(response.field("cache-control").contains("max-age="));
            assert!(response.headers.contains_key("cache-status"));
            assert!(response.headers.contains_key("age"));
        }
    }
    let mut reversed = vehicles.clone();
    reversed.reverse();
    for others in [&vehicles[..2], &reversed, &of(&gateway, Class::Absent, 1)] {
        let response = ask(&gateway, "GET", others, ("if-none-match", tag))
            .await
            .expect(200);
        assert_ne!(response.field("etag"), tag);
    }
}

#[tokio::test]
async fn another_content_is_another_tag_and_the_same_content_the_same() {
    let gateway = Gateway::start("").await;
    let one = of(&gateway, Class::Finished, 1);
    let first = get(&gateway, &one, "").await.expect(200);
    let again = get(&gateway, &one, "no-cache").await.expect(200);
    assert_eq!(first.field("etag"), again.field("etag"), "asked anew, and the same came");
    let target = format!("/api/v2/vehicles/{}/status", one[0].vin.as_str());
    gateway
        .send(Request::patch(target), r#"{"vehicleStatusId":3}"#)
        .await
        .expect(204);
    let tag = first.field("etag");
    let changed = ask(&gateway, "GET", &one, ("if-none-match", tag))
        .await
        .expect(200);
    assert_ne!(changed.field("etag"), tag);
}

#[tokio::test]
async fn only_if_cached_never_goes_up() {
    let gateway = Gateway::start("").await;
    let two = of(&gateway, Class::Finished, 2);
    let refused = get(&gateway, &two, "only-if-cached").await.expect(504);
    assert_eq!(refused.json()["code"], "NotCached");
    get(&gateway, &two[..1], "").await.expect(200);
    get(&gateway, &two, "only-if-cached").await.expect(504);
    get(&gateway, &two[..1], "only-if-cached").await.expect(200);
    get(&gateway, &two[..1], "only-if-cached, no-cache")
        .await
        .expect(504);
    get(&gateway, &two[..1], "only-if-cached, no-store")
        .await
        .expect(504);
    get(&gateway, &two[..1], "only-if-cached, min-fresh=100000")
        .await
        .expect(504);
    assert_eq!(gateway.sandbox.counters().batches, 1);
}

#[tokio::test]
async fn no_cache_always_goes_up_and_refreshes_for_others() {
    let gateway = Gateway::start("").await;
    let one = of(&gateway, Class::Finished, 1);
    get(&gateway, &one, "").await.expect(200);
    let element = |version| {
        let (vin, plate) = spelled(&one[0]);
        format!(r#"{{"vin":"{vin}","plate":"{plate}","info":[],"x":{version}}}"#)
    };
    gateway.sandbox.set_element(one[0], Some(&element(2)));
    let anew = get(&gateway, &one, "no-cache").await.expect(200);
    assert_eq!(anew.json()["vehicleData"][0]["x"], 2);
    let held = get(&gateway, &one, "").await.expect(200);
    assert_eq!(held.body, anew.body);
    assert_eq!(gateway.sandbox.counters().batches, 2);
}

#[tokio::test]
async fn no_store_leaves_no_trace() {
    let gateway = Gateway::start("").await;
    let one = of(&gateway, Class::Finished, 1);
    for _ in 0..2 {
        get(&gateway, &one, "no-store").await.expect(200);
    }
    assert_eq!(gateway.sandbox.counters().batches, 2);
    assert_eq!(gateway.metric("vingate_cache_entries").await, 0.0);
    let first = get(&gateway, &one, "").await.expect(200);
    assert!(
        first
            .field("cache-status")
            .starts_with("vingate; fwd=miss;")
    );
    gateway.sandbox.set_element(one[0], None);
    let apart = get(&gateway, &one, "no-store").await.expect(200);
    assert_eq!(apart.text(), r#"{"vehicleData":[]}"#);
    assert_eq!(get(&gateway, &one, "").await.expect(200).body, first.body, "and changes nothing");
}

#[tokio::test]
async fn what_is_not_documented_is_cleaned_and_goes_past_the_cache() {
    let gateway = Gateway::start("").await;
    let one = of(&gateway, Class::Finished, 1);
    let (vin, plate) = spelled(&one[0]);
    let typed = format!(
        r#"{{"vehicles":[{{"vin":"{}","plate":" {plate}-"}}],"newer":[1.0]}}"#,
        vin.to_lowercase()
    );
    for _ in 0..2 {
        let response = gateway
            .send(request("GET"), typed.clone())
            .await
            .expect(200);
        assert_eq!(response.text(), gateway.response_for(&one, ALL));
        let counts = "hit=0 stale=0 joined=0 miss=1 absent=0";
        let bypassed = format!("vingate; fwd=bypass; detail=\"{counts}\"");
        assert_eq!(response.field("cache-status"), bypassed);
    }
    let clean = format!(r#"{{"vehicles":[{{"vin":"{vin}","plate":"{plate}"}}],"newer":[1.0]}}"#);
    assert_eq!(gateway.sandbox.calls()[1].body, clean);
    assert_eq!(gateway.sandbox.counters().batches, 2);

    let mut with_query = Request::get(format!("{BATCH}?a=b%20c"));
    with_query = with_query.header("content-type", JSON);
    gateway.send(with_query, typed).await.expect(200);
    let call = gateway.sandbox.calls().pop().unwrap();
    assert_eq!(call.target, format!("{BATCH}?a=b%20c").as_str());
    assert_eq!(gateway.metric("vingate_cache_entries").await, 0.0);

    let many: Vec<_> = of(&gateway, Class::Finished, 501);
    let many: Vec<_> = many.iter().map(spelled).collect();
    let body = batch_body(&many).replacen('{', r#"{"newer":1,"#, 1);
    let refused = gateway.send(request("GET"), body).await.expect(400);
    assert_eq!(refused.json()["code"], "BadRequest");
}

#[tokio::test]
async fn a_cache_that_is_off_asks_every_time() {
    let gateway = Gateway::start("[cache]\nenabled = false").await;
    let one = of(&gateway, Class::Finished, 1);
    for _ in 0..2 {
        let response = get(&gateway, &one, "").await.expect(200);
        assert!(
            response
                .field("cache-status")
                .starts_with("vingate; fwd=bypass;")
        );
    }
    assert_eq!(gateway.sandbox.counters().batches, 2);
}

#[tokio::test]
async fn a_failed_refresh_is_made_good_with_what_is_held() {
    // Nothing stays fresh, and stale it may be served only when the upstream fails.
    let gateway = Gateway::start(
        "[upstream]\nretry.max_attempts = 1\nbreaker.min_requests = 1000\n[cache]\nstale_while_revalidate = \"0s\"\n\
         stale_if_error = \"1h\"\n[cache.ttl]\nfinished = \"0s\"",
    )
    .await;
    let two = of(&gateway, Class::Finished, 2);
    let first = get(&gateway, &two, "").await.expect(200);
    for status in [500, 502, 503, 504, 429] {
        gateway
            .sandbox
            .set_faults(Faults { status: Some(status), ..Faults::default() });
        let saved = get(&gateway, &two, "").await.expect(200);
        assert_eq!(saved.body, first.body);
        let says = format!(
            "vingate; fwd=stale; fwd-status={status}; \
             detail=\"hit=0 stale=2 joined=0 miss=0 absent=0\""
        );
        assert_eq!(saved.field("cache-status"), says);
        assert_eq!(max_age(&saved), 0);
    }
    for faults in [
        Faults { close: true, ..Faults::default() },
        Faults { body: Some("x".into()), ..Faults::default() },
        Faults { cut_after: Some(10), ..Faults::default() },
    ] {
        gateway.sandbox.set_faults(faults);
        let saved = get(&gateway, &two, "").await.expect(200);
        assert!(
            saved
                .field("cache-status")
                .starts_with("vingate; fwd=stale; detail=")
        );
    }
    for (status, directives) in
        [(400, ""), (404, ""), (500, "no-cache"), (500, "max-age=9"), (500, "min-fresh=0")]
    {
        gateway
            .sandbox
            .set_faults(Faults { status: Some(status), ..Faults::default() });
        get(&gateway, &two, directives).await.expect(status);
    }
    let three = of(&gateway, Class::Finished, 3);
    gateway
        .sandbox
        .set_faults(Faults { status: Some(500), ..Faults::default() });
    get(&gateway, &three, "").await.expect(500);
}

#[tokio::test]
async fn counts_whether_results_had_changed_when_they_were_fetched_again() {
    let gateway = Gateway::start("[cache.ttl]\nfinished = \"1ms\"\njitter = 0").await;
    let vehicle = gateway.sandbox.vehicles(Class::Finished).next().unwrap();
    let ask = async || {
        let fields = [("cache-control", "max-age=0")];
        gateway
            .batch_with(&[spelled(&vehicle)], &fields)
            .await
            .expect(200)
    };
    let counted = async |changed| {
        let labels = format!(r#"{{changed="{changed}",class="finished"}}"#);
        gateway
            .metric(&format!("vingate_cache_refreshes_total{labels}"))
            .await
    };
    let first = ask().await.text();
    assert_eq!(counted(false).await, 0.0, "nothing was held");
    ask().await;
    assert_eq!((counted(false).await, counted(true).await), (1.0, 0.0));
    let element = first
        .strip_prefix(r#"{"vehicleData":["#)
        .and_then(|rest| rest.strip_suffix("]}"))
        .unwrap();
    gateway
        .sandbox
        .set_element(vehicle, Some(&element.replacen('{', "{ ", 1)));
    ask().await;
    assert_eq!((counted(false).await, counted(true).await), (1.0, 1.0));
}
