use futures_util::stream;
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};

use super::*;
use crate::{
    body::{Body, Error as BodyError},
    forward::{
        request_body::RequestBody,
        tests::{Dropped, Recording, context},
        trailers::Trailers,
    },
    vehicle::{Plate, Vin},
};

const VIN: &str = "3VWFE21C04M000001";
const OTHER: &str = "3VWFE21C04M000002";
const FENCE: Duration = Duration::from_secs(20);
const MINE: [u8; 32] = [7; 32];

fn recorder() -> (Arc<dyn Invalidate>, Dropped) {
    let dropped = Dropped::default();
    (Arc::new(Recording(Arc::clone(&dropped))), dropped)
}

/// A write of which `body` was sent, in pieces.
async fn write(
    method: Method,
    path: &str,
    pieces: &'static [&'static str],
) -> (Arc<Write>, Dropped) {
    let frames = pieces.iter().map(|piece| match *piece {
        "torn" => Err(BodyError::from("reset")),
        piece => Ok(Frame::data(piece.into())),
    });
    let body = Body::new(StreamBody::new(stream::iter(frames)));
    let credential = Credential { digest: Some(MINE), is_account: true };
    let request = Request::builder().method(&method).uri(path);
    let request = request
        .extension(RequestContext::of_route(Route::of(
            &method,
            path.split('?').next().unwrap(),
            false,
        )))
        .extension(credential);
    let request = request.body(Body::empty()).unwrap();
    let cause = cause(&request, &[]).unwrap();
    let monitor = Arc::new(BodyMonitor::new(capture_for(cause, &body, 48)));
    let trailers = Trailers::announced(&mut http::HeaderMap::new(), &[]);
    let body = RequestBody::new(body, FENCE, trailers, Arc::clone(&monitor));
    let _ = body.collect().await;
    let (invalidate, dropped) = recorder();
    let context = context(invalidate, Some(credential), Some(monitor));
    (
        Arc::new(Write::new(
            &request,
            cause,
            &context.shared,
            context.credential,
            context.body.clone(),
        )),
        dropped,
    )
}

fn sorted<T: Ord>(items: impl Iterator<Item = T>) -> Vec<T> {
    let mut items: Vec<_> = items.collect();
    items.sort();
    items
}

fn scope(vins: &[&str], plates: &[&str], partition: bool) -> InvalidationScope {
    InvalidationScope {
        vins: sorted(vins.iter().map(|vin| Vin::parse(vin).unwrap())),
        plates: sorted(plates.iter().map(|plate| Plate::parse(plate).unwrap())),
        partition: partition.then(|| Partition::new(&MINE)),
    }
}

#[tokio::test]
async fn a_write_drops_the_vehicles_it_names_or_its_partition() {
    let status = "/api/v2/vehicles/3VWFE21C04M000001/status";
    let (patch, put, post, delete) = (Method::PATCH, Method::PUT, Method::POST, Method::DELETE);
    let upsert = "/api/upsert-vehicle-info";
    let tax = "/api/upsert-tax-identity";
    for (method, path, pieces, cause, want) in [
        (
            &patch,
            status,
            &["{\"vehicleStatusId\":1}"] as &[&str],
            Cause::VehicleStatus,
            scope(&[VIN], &[], false),
        ),
        (
            &delete,
            status,
            &[],
            Cause::OtherWrite,
            scope(&[VIN], &["API", "V2", "VEHICLES", "STATUS"], false),
        ),
        (
            &put,
            upsert,
            &["{\"vehicleInfo\":{\"vin\":\"", VIN, "\"}}"],
            Cause::VehicleUpsert,
            scope(&[VIN], &[], false),
        ),
        (
            &put,
            upsert,
            &["{\"vehicleInfo\":{\"plate\":\"A1\"}}"],
            Cause::VehicleUpsert,
            scope(&[], &["A1"], false),
        ),
        (&put, upsert, &["no json"], Cause::VehicleUpsert, scope(&[], &[], true)),
        (&put, tax, &["{\"plate\":\"A1\"}"], Cause::TaxIdentity, scope(&[], &[], true)),
        (
            &post,
            "/api/x",
            &["[{\"plate\":\"A1\"},{\"Plate\":\"a-1\"}]"],
            Cause::OtherWrite,
            scope(&[], &["A1", "API", "X"], false),
        ),
        (&post, "/api/x", &["{\"a\":1}"], Cause::OtherWrite, scope(&[], &["API", "X"], true)),
        (&post, "/api/x", &[], Cause::OtherWrite, scope(&[], &["API", "X"], true)),
        (
            &delete,
            "/api/x/3VWFE21C04M000002",
            &["a=b"],
            Cause::OtherWrite,
            scope(&[OTHER], &["API", "X"], true),
        ),
        // Wherever a vehicle is named, none is looked for in one place only.
        (
            &put,
            "/api/vehicles?vin=3VWFE21C04M000001",
            &["{\"plate\":\"NEW123A\"}"],
            Cause::OtherWrite,
            scope(&[VIN], &["API", "VEHICLES", "NEW123A"], false),
        ),
        (
            &put,
            "/api/vehicles/OLD123A",
            &["{\"plate\":\"NEW123A\"}"],
            Cause::OtherWrite,
            scope(&[], &["API", "VEHICLES", "NEW123A", "OLD123A"], false),
        ),
        (
            &put,
            "/api/x?placas=A-1",
            &["{\"a\":\"", VIN, "\"}"],
            Cause::OtherWrite,
            scope(&[VIN], &["A1", "API", "X"], false),
        ),
        (
            &put,
            "/api/upsert-vehicle-info?oldPlate=B-2",
            &["{\"plate\":\"A1\"}"],
            Cause::VehicleUpsert,
            scope(&[], &["A1", "B2"], false),
        ),
        (
            &post,
            "/api/x",
            &["\"", VIN, "\""],
            Cause::OtherWrite,
            scope(&[VIN], &["API", "X"], false),
        ),
        // What cannot be read may name anything, and what cannot be read to its end may name more than was found.
        (
            &post,
            "/api/x/3VWFE21C04M000002",
            &["{\"plate\":\"A1\",\"n\":1e999}"],
            Cause::OtherWrite,
            scope(&[OTHER], &["A1", "API", "X"], true),
        ),
        (
            &post,
            "/api/x/3VWFE21C04M000002",
            &["{\"plate\":\"A1\",", "\"more than may be kept\":1234567890}"],
            Cause::OtherWrite,
            scope(&[OTHER], &["A1", "API", "X"], true),
        ),
        (
            &post,
            "/api/x/3VWFE21C04M000002",
            &["{\"plate\":\"A1\"", "torn"],
            Cause::OtherWrite,
            scope(&[OTHER], &["A1", "API", "X"], true),
        ),
    ] {
        let (write, dropped) = write(method.clone(), path, pieces).await;
        write.drop_entries(None).await;
        assert_eq!(*dropped.lock(), [(want, cause, None)], "{method} {path} {pieces:?}");
    }
}

#[test]
fn only_unsafe_requests_are_writes() {
    let harmless = ["POST /api/reports/*", "PUT /*"].map(|text| text.parse().unwrap());
    for (method, path, want) in [
        (Method::GET, "/api/v2/vehicles/x/status", None),
        (Method::HEAD, "/x", None),
        (Method::OPTIONS, "/x", None),
        (Method::QUERY, "/x", None),
        (Method::POST, "/api/reports/daily", None),
        (Method::DELETE, "/api/reports/daily", Some(Cause::OtherWrite)),
        (Method::PUT, "/api/upsert-tax-identity", Some(Cause::TaxIdentity)),
        (Method::POST, "/api/batch/scraping/", Some(Cause::OtherWrite)),
        (Method::POST, "/api/upsert-vehicle-info", Some(Cause::OtherWrite)),
        (Method::from_bytes(b"PURGE").unwrap(), "/x", Some(Cause::OtherWrite)),
    ] {
        let request = Request::builder().method(&method).uri(path);
        let request = request.extension(RequestContext::of_route(Route::of(&method, path, false)));
        assert_eq!(
            cause(&request.body(Body::empty()).unwrap(), &harmless),
            want,
            "{method} {path}"
        );
    }
}

#[test]
fn a_status_tells_what_became_of_a_write() {
    for (status, want) in [
        (200, Outcome::Done),
        (204, Outcome::Done),
        (303, Outcome::Done),
        (400, Outcome::Refused),
        (404, Outcome::Refused),
        (408, Outcome::Unknown),
        (409, Outcome::Refused),
        (429, Outcome::Refused),
        (500, Outcome::Unknown),
        (503, Outcome::Unknown),
        (101, Outcome::Unknown),
        (999, Outcome::Unknown),
    ] {
        let response = Response::builder()
            .status(status)
            .body(Body::empty())
            .unwrap();
        assert_eq!(Outcome::of(&Ok(Box::new(response))), want, "{status}");
    }
    assert_eq!(Outcome::of(&Err(upstream::Error::Timeout)), Outcome::Unknown);
}

#[tokio::test]
async fn an_unknown_outcome_keeps_the_vehicles_out_for_a_while() {
    for (outcome, want) in [
        (Outcome::Done, vec![None]),
        (Outcome::Refused, vec![]),
        (Outcome::Unknown, vec![Some(FENCE)]),
    ] {
        let (write, dropped) = write(Method::POST, "/x", &["{}"]).await;
        Pending::new(write).finish(outcome).await;
        let fences: Vec<_> = dropped
            .lock()
            .iter()
            .map(|(.., fence_for)| *fence_for)
            .collect();
        assert_eq!(fences, want, "{outcome:?}");
    }
}

#[tokio::test]
async fn a_write_that_was_not_sent_whole_is_unknown_whatever_the_response() {
    let (write, dropped) = write(Method::POST, "/x", &["{", "torn"]).await;
    Pending::new(write).finish(Outcome::Refused).await;
    assert_eq!(dropped.lock()[0].2, Some(FENCE));
}

#[tokio::test]
async fn a_write_that_is_given_up_is_unknown() {
    let (write, dropped) = write(Method::POST, "/x", &["{}"]).await;
    Pending::new(Arc::clone(&write)).release();
    assert!(dropped.lock().is_empty());
    drop(Pending::new(write));
    assert_eq!(dropped.lock()[0].2, Some(FENCE));
}

#[test]
fn only_a_clients_own_credential_has_a_partition_of_its_own() {
    let credential = |digest, is_account| Credential { digest, is_account };
    for (credential, want) in [
        (None, None),
        (Some(credential(None, false)), None),
        (Some(credential(Some(MINE), true)), None),
        (Some(credential(Some(MINE), false)), Some(Partition::new(&MINE))),
    ] {
        assert_eq!(own_partition(credential.as_ref()), want);
    }
}
