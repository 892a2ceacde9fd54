//! Order, refusals and guards of rules, and the service that checks them.

use futures_util::FutureExt as _;
use http_body_util::BodyExt as _;
use parking_lot::Mutex;
use tower::{ServiceExt as _, service_fn};
use tower_test::mock;

use super::*;

/// Lets every request wait for a moment.
#[derive(Debug)]
struct Waits;

impl Rule for Waits {
    type Error = &'static str;

    fn check(&self, request: &mut Request<Body>) -> Result<Pass<Self::Error>, Self::Error> {
        let request = mem::take(request);
        Ok(Pass::later(async {
            tokio::task::yield_now().await;
            Ok(request)
        }))
    }
}

#[tokio::test]
async fn calls_the_service_that_said_it_is_ready() {
    let (inner, mut handle) = mock::pair::<Request<Body>, Response<Body>>();
    let inner = inner.map_err(|_| Rejection::<&str>::bare("closed"));
    let mut service = layer(Waits).layer(inner);
    handle.allow(1);
    let call = service
        .ready()
        .await
        .unwrap()
        .call(Request::new(Body::full("x")));
    let (response, ()) = tokio::join!(call, async {
        let (request, send) = handle.next_request().await.unwrap();
        assert!(format!("{:?}", request.body()).contains("full"), "it is the same request");
        send.send_response(Response::default());
    });
    assert!(response.is_ok());
    assert!(service.ready().now_or_never().is_none(), "its clone was not made ready");
}

/// Notes that it was asked, and then does what it is to do.
struct Noting {
    name: &'static str,
    noted: Arc<Mutex<Vec<&'static str>>>,
    does: Does,
}

#[derive(Clone, Copy)]
enum Does {
    Pass,
    Hold,
    Wait,
    Refuse,
    WaitAndRefuse,
}

/// Notes its end.
struct Held(&'static str, Arc<Mutex<Vec<&'static str>>>);

impl Drop for Held {
    fn drop(&mut self) {
        self.1.lock().push(self.0);
    }
}

impl Rule for Noting {
    type Error = &'static str;

    fn check(&self, request: &mut Request<Body>) -> Result<Pass<Self::Error>, Self::Error> {
        let name = self.name;
        self.noted.lock().push(name);
        match self.does {
            Does::Pass => Ok(Pass::Now),
            Does::Hold => Ok(Pass::holding(Held(name, Arc::clone(&self.noted)))),
            Does::Wait => Waits.check(request),
            Does::Refuse => Err(name),
            Does::WaitAndRefuse => {
                let request = mem::take(request);
                Ok(Pass::later(async move { Err(Rejection::new(name, request)) }))
            }
        }
    }
}

/// What three rules note that do this, one after the other, and what the client gets; what is
/// noted behind `"response"` is noted when its body has ended.
async fn noted(does: [Does; 3]) -> (Vec<&'static str>, Option<String>) {
    let noted = Arc::<Mutex<Vec<_>>>::default();
    let rule = |name, does| Noting { name, noted: Arc::clone(&noted), does };
    let rules = PassAll::<String>::default()
        .and(rule("a", does[0]))
        .and(Some(rule("b", does[1])))
        .and(None::<Waits>)
        .and(rule("c", does[2]));
    let inner = service_fn(async |request: Request<Body>| {
        Ok::<_, Rejection<String>>(Response::new(request.into_body()))
    });
    let request = Request::new(Body::full("x"));
    let response = layer(rules).layer(inner).oneshot(request).await;
    noted.lock().push("response");
    let (refused, body) = match response {
        Ok(response) => (None, response.into_body()),
        Err(Rejection { error, unread }) => (Some(error), unread),
    };
    assert_eq!(body.collect().await.unwrap().to_bytes(), "x");
    let noted = noted.lock().clone();
    (noted, refused)
}

#[tokio::test]
async fn rules_are_asked_in_order_until_one_refuses() {
    use Does::{Hold, Pass, Refuse, Wait, WaitAndRefuse};
    for (does, notes, refused) in [
        ([Pass, Pass, Pass], "a b c response", None),
        ([Hold, Pass, Hold], "a b c response c a", None),
        ([Hold, Wait, Hold], "a b c response c a", None),
        ([Wait, Hold, Wait], "a b c response b", None),
        ([Wait, Refuse, Pass], "a b response", Some("b")),
        ([Hold, WaitAndRefuse, Pass], "a b a response", Some("b")),
        ([Hold, Hold, Refuse], "a b c b a response", Some("c")),
        ([Hold, Wait, Refuse], "a b c a response", Some("c")),
    ] {
        let (found, error) = noted(does).await;
        assert_eq!((&*found.join(" "), error.as_deref()), (notes, refused));
    }
}
