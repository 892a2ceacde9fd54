//! What is left of a body that nobody reads.

use std::{future::poll_fn, pin::Pin, time::Duration};

use http_body::Body as _;
use tokio::time::timeout;

use crate::body::Body;

/// Bytes that are read of a body that nobody wants, so that the connection can be kept, and so
/// that a client that sends first and reads afterwards gets to read.
pub(super) const MAX_DRAINED: usize = 256 * 1024;

/// How long that may take.
pub(super) const MAX_DRAINING: Duration = Duration::from_secs(1);

/// Reads what is left of a body, within bounds. Whether that was all of it.
pub(super) async fn drain(mut body: Body) -> bool {
    let drained = timeout(MAX_DRAINING, async {
        let mut drained = 0;
        while drained <= MAX_DRAINED {
            match poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
                Some(Ok(frame)) => drained += frame.data_ref().map_or(0, |data| data.len()),
                end => return end.is_none(),
            }
        }
        body.is_end_stream()
    });
    drained.await.unwrap_or(false)
}
