//! One exchange over a connection to Sync.
//!
//! A connection has no task of its own: whoever waits for the response polls it, and whoever reads
//! the body. So no message goes from task to task, and what the exchange touches is what the request
//! has touched. Only a call that streams its request, or asks for a tunnel, has its connection
//! polled by a task: both directions go on by themselves there, also while the client does not read.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{Request, Response, header::UPGRADE};
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;
use pin_project_lite::pin_project;

use super::{
    Error,
    spare::Spare,
    wire::{Responded, Wire, silent},
};
use crate::body::{self, Body};

/// Why there is no response.
pub(super) enum Unanswered {
    /// A connection that was kept had ended before anything was written. The request is whole.
    Unsent(Box<Request<Body>>),
    /// Something else.
    Failed(Error),
}

/// A body that polls the connection it comes from.
struct ResponseBody {
    incoming: Incoming,
    /// `None`: the exchange is over.
    wire: Option<Box<Wire>>,
    spare: Arc<Spare>,
    /// What went wrong, and is not told yet.
    failure: Option<hyper::Error>,
}

pin_project! {
    /// An exchange until the head of its response has come.
    ///
    /// A struct and no `async` block, which would keep `responding` twice: it is as large as a
    /// request.
    pub(super) struct Exchange<F> {
        #[pin]
        responding: F,
        // `None`: a task polls it.
        wire: Option<Box<Wire>>,
        spare: Arc<Spare>,
        was_used: bool,
    }
}

/// Sends `request` over `wire`, which is `spare` afterwards.
pub(super) fn exchange(
    mut wire: Box<Wire>,
    request: Request<Body>,
    spare: Arc<Spare>,
) -> Exchange<impl Future<Output = Responded>> {
    let was_used = wire.is_used();
    let is_upgrade = request.headers().contains_key(UPGRADE);
    let is_streaming = !request.body().is_buffered();
    let responding = wire.send(request);
    let wire = match () {
        () if is_upgrade => {
            wire.run_with_upgrades();
            None
        }
        () if is_streaming => {
            tokio::spawn(settle(wire, Arc::clone(&spare)));
            None
        }
        () => Some(wire),
    };
    Exchange { responding, wire, spare, was_used }
}

impl<F: Future<Output = Responded>> Future for Exchange<F> {
    type Output = Result<Box<Response<Body>>, Unanswered>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let responded = match this.wire {
            Some(wire) => {
                wire.poll(cx);
                this.responding.poll(&mut silent())
            }
            None => this.responding.poll(cx),
        };
        Poll::Ready(match ready!(responded) {
            // Boxed, so that all that follows moves a pointer.
            Ok(response) => Ok(Box::new(response.map(|incoming| match this.wire.take() {
                Some(wire) => ResponseBody::body(incoming, wire, Arc::clone(this.spare)),
                None => Body::incoming(incoming),
            }))),
            Err(mut error) => Err(match error.take_message().filter(|_| *this.was_used) {
                Some(request) => Unanswered::Unsent(Box::new(request)),
                None => Unanswered::Failed(error.into_error().into()),
            }),
        })
    }
}

/// Brings an exchange to its end of which the response is read, or is by somebody else.
async fn settle(mut wire: Box<Wire>, spare: Arc<Spare>) {
    wire.settle().await;
    if !wire.has_ended() {
        spare.put(Ok(wire));
    }
}

fn finish(wire: Box<Wire>, spare: &Arc<Spare>) {
    match () {
        () if wire.has_ended() => {}
        () if wire.is_ready() => spare.put(Ok(wire)),
        // The end of the request is still to be written.
        () => drop(tokio::spawn(settle(wire, Arc::clone(spare)))),
    }
}

impl ResponseBody {
    fn body(incoming: Incoming, wire: Box<Wire>, spare: Arc<Spare>) -> Body {
        if incoming.is_end_stream() {
            finish(wire, &spare);
            return Body::empty();
        }
        Body::new(Self { incoming, wire: Some(wire), spare, failure: None })
    }
}

impl http_body::Body for ResponseBody {
    type Data = Bytes;
    type Error = body::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, body::Error>>> {
        let this = &mut *self;
        if let Some(failure) = this.failure.take() {
            return Poll::Ready(Some(Err(failure.into())));
        }
        let mut frame = match &this.wire {
            Some(wire) => wire.take_frame(&mut this.incoming),
            None => Pin::new(&mut this.incoming).poll_frame(&mut silent()),
        };
        if frame.is_pending()
            && let Some(wire) = &mut this.wire
        {
            wire.poll(cx);
            // Not muted: nothing polls the connection after that.
            frame = Pin::new(&mut this.incoming).poll_frame(&mut silent());
        }
        if let Poll::Ready(Some(Err(failure))) = frame {
            // A little later, so that what came before it is not dropped on its way out.
            (this.wire, this.failure) = (None, Some(failure));
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let is_over = matches!(frame, Poll::Ready(None)) || this.incoming.is_end_stream();
        if let Some(wire) = this.wire.take_if(|_| is_over) {
            finish(wire, &this.spare);
        }
        frame.map_err(Into::into)
    }

    fn is_end_stream(&self) -> bool {
        self.failure.is_none() && self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}
