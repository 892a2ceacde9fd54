//! Responses in gzip, put together from vehicles that were compressed before.

use http::{
    HeaderMap,
    header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, ETAG, IF_NONE_MATCH, VARY},
};
use http_body::Body as _;

use super::*;
use crate::gzip::tests::unpacked;

/// Asks for twenty vehicles with these two headers.
async fn ask(fixture: &Fixture, accepted: &str, known: &str) -> (StatusCode, HeaderMap, Bytes) {
    let vehicles: Vec<_> = (10..30)
        .map(|nth| json!({"vin": format!("3VWFE21C04M0000{nth}"), "plate": "A1"}))
        .collect();
    let mut request = Request::get("/api/batch/scraping/")
        .header(ACCEPT_ENCODING, accepted)
        .header(IF_NONE_MATCH, known)
        .body(Body::full(json!({ "vehicles": vehicles }).to_string()))
        .unwrap();
    let credential = Credential { digest: Some([1; 32]), is_account: true };
    request.extensions_mut().insert(credential);
    let response = fixture.batch.clone().oneshot(request).await.unwrap();
    let (head, body) = response.into_parts();
    let length = body.size_hint().exact();
    let body = body.collect().await.unwrap().to_bytes();
    assert_eq!(length, Some(body.len() as u64));
    assert_eq!(head.headers[VARY], "accept-encoding", "it is large");
    assert!(!head.headers.contains_key(CONTENT_LENGTH), "hyper adds it");
    (head.status, head.headers, body)
}

#[tokio::test]
async fn what_is_wanted_for_the_second_time_is_compressed() {
    let fixture = Fixture::new();
    let mut info = finished();
    info[0]["result"] = "Tenencia 2025 ".repeat(20).into();
    fixture.set(|sync| sync.info = Some(info));
    let (_, headers, plain) = ask(&fixture, "gzip", "").await;
    assert!(!headers.contains_key(CONTENT_ENCODING), "once is not often");
    ask(&fixture, "gzip", "").await;
    tokio::time::timeout(60 * SECOND, async {
        while !ask(&fixture, "gzip", "")
            .await
            .1
            .contains_key(CONTENT_ENCODING)
        {
            sleep(Duration::from_millis(1)).await;
        }
    })
    .await
    .unwrap();
    let (status, packed, body) = ask(&fixture, "br;q=1, gzip;q=0.8", "").await;
    assert_eq!((status, &packed[CONTENT_ENCODING]), (StatusCode::OK, &"gzip".parse().unwrap()));
    assert!(body.len() < plain.len() * 2 / 3);
    assert!(unpacked(&body) == plain);
    // And whoever does not take it gets what there was before.
    let (_, headers, body) = ask(&fixture, "identity", "").await;
    assert!(!headers.contains_key(CONTENT_ENCODING));
    assert!(body == plain);
    assert_eq!(fixture.calls(), 1);

    // The tags differ by coding, and each is known again.
    let [plain, packed] = [&headers, &packed].map(|headers| headers[ETAG].to_str().unwrap());
    assert_ne!(plain, packed);
    for (accepted, known, status) in [
        ("gzip", packed, 304),
        ("gzip", packed.trim_start_matches("W/"), 304),
        ("gzip", plain, 304),
        ("identity", plain, 304),
        ("identity", packed, 200),
    ] {
        let (found, headers, body) = ask(&fixture, accepted, known).await;
        assert_eq!(found, status, "{accepted} {known}");
        if found == 304 {
            assert!(body.is_empty());
            let etag = headers[ETAG].to_str().unwrap();
            assert_eq!(etag.trim_start_matches("W/"), known.trim_start_matches("W/"));
        }
    }
}
