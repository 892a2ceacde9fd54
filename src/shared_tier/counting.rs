//! Says that this replica is there, and counts the others, over a connection of its own.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{
    SharedTier,
    census::Census,
    link::{Link, LinkError, RETRY_AFTER},
    reported::Reported,
};

/// Between two looks at who is there.
const LOOK_EVERY: Duration = Duration::from_millis(500);

impl SharedTier {
    /// Tells `on_count` how many replicas there are, this one included, whenever that has changed.
    /// While it cannot be told, it is as it was.
    pub(super) async fn keep_counting(self, on_count: impl Fn(u32)) {
        let (mut census, mut last, mut reported) = (Census::default(), 1, Reported::default());
        loop {
            let Err(error) = self.count_over(&mut census, &mut last, &on_count).await;
            let what = "shared tier does not tell how many replicas there are";
            reported.trouble(what, &error, Instant::now());
            sleep(RETRY_AFTER).await;
        }
    }

    /// Ready when the connection is lost.
    async fn count_over(
        &self,
        census: &mut Census,
        last: &mut u32,
        on_count: impl Fn(u32),
    ) -> Result<std::convert::Infallible, LinkError> {
        let link = self.0.endpoint.dial().await?;
        census.resume(Instant::now());
        loop {
            let others = self.look_around(&link, census).await?;
            let count = u32::try_from(others + 1).unwrap_or(u32::MAX);
            if count != std::mem::replace(last, count) {
                self.0.metrics.replicas.set(count.into());
                on_count(count);
            }
            sleep(LOOK_EVERY).await;
        }
    }

    /// How many others there are.
    async fn look_around(&self, link: &Link, census: &mut Census) -> Result<usize, LinkError> {
        let inner = &*self.0;
        let own = inner.replica.to_le_bytes();
        let sealed_for = |name: &[u8]| [inner.signs.as_bytes(), name].concat();
        // Each is other bytes than the last.
        let sign = inner.sealer.seal(&sealed_for(&own), b"");
        let signs = link.exchange_signs(&inner.signs, &own, sign).await?;
        let is_others = |(name, sign): &(Vec<u8>, Vec<u8>)| {
            *name != own && inner.sealer.open(&sealed_for(name), sign.clone()).is_some()
        };
        let (signs, now) = (signs.into_iter().filter(is_others).collect(), Instant::now());
        let others = census.note(signs, now);
        let gone = census.gone(now);
        if !gone.is_empty() {
            link.remove_signs(&inner.signs, &gone).await?;
        }
        Ok(others)
    }
}
