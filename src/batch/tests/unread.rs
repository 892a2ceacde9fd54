//! Responses that nobody reads.

use super::*;
use crate::client::Client;

/// A response of this client, of which nothing was read.
async fn unread(fixture: &Fixture, client: u128) -> Body {
    let mut request = Fixture::request("");
    RequestContext::of_mut(request.extensions_mut()).client = Some(Client::named(client));
    let response = fixture.batch.clone().oneshot(request).await.unwrap();
    response.into_body()
}

#[tokio::test(start_paused = true)]
async fn are_cut_of_who_has_most_where_they_hold_too_much() {
    let fixture = Fixture::new();
    let mut info = finished();
    info[0]["result"] = "x".repeat(1_000_000).into();
    fixture.set(|sync| sync.info = Some(info));
    let fits = (MAX_UNREAD / 1_000_500) as usize;
    let mut of_one = unread(&fixture, 1).await;
    let mut of_other = Vec::new();
    for _ in 0..fits {
        of_other.push(unread(&fixture, 2).await);
    }
    sleep(3 * UNREAD_AFTER).await;
    for (nth, body) in of_other.iter_mut().enumerate() {
        let frame = body.frame().await.unwrap();
        assert_eq!(frame.is_err(), nth == 0, "the first of the client that has most; {nth}");
    }
    assert!(of_one.frame().await.unwrap().is_ok());
    // Those that are read go on, and make room.
    for _ in 0..fits / 2 {
        of_other.push(unread(&fixture, 2).await);
    }
    sleep(3 * UNREAD_AFTER).await;
    for body in of_other.iter_mut().skip(fits) {
        assert!(body.frame().await.unwrap().is_ok());
    }
}

#[tokio::test(start_paused = true)]
async fn may_be_many_if_they_are_small() {
    let fixture = Fixture::new();
    let mut small = Vec::new();
    for _ in 0..1000 {
        small.push(unread(&fixture, 1).await);
    }
    sleep(3 * UNREAD_AFTER).await;
    for body in &mut small {
        assert!(body.frame().await.unwrap().is_ok());
    }
}
