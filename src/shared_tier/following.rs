//! Follows the log over one connection after the other, and puts into it what waits for that.

use std::{collections::HashMap, convert::Infallible, time::Duration};

use redis::RedisError;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};
use tokio_util::task::AbortOnDropHandle;

use super::{
    Config, SharedTier,
    counting::Counting,
    follower::{Effect, Follower, Read, Times},
    link::{Link, LinkError, RETRY_AFTER},
    log_entry::{LogEntry, Pause, WriteId},
    position::Era,
    reported::Reported,
    rhythm::READ_EVERY,
    rules::Strict,
    server_clock::ServerClock,
};
use crate::{
    upstream::Upstream,
    vehicle_cache::{Cause, Failure, Hold, VehicleCache},
};

/// Where this replica is in the log, and what is done with its cache for that.
struct Following<F: Failure> {
    tier: SharedTier,
    follower: Follower,
    cache: VehicleCache<F>,
    upstream: Upstream,
    holds: HashMap<WriteId, Hold<F>>,
}

/// Entries that are read at once.
const PAGE: usize = 500;

/// Entries that are written at once.
const BATCH: usize = 64;

/// Entries that the log keeps at least: some megabytes. Who reads it from its beginning learns
/// nothing of older ones, and need not: it holds nothing that is older.
const KEPT: usize = 1 << 16;

/// Until a server that refused a connection is asked again: it costs nothing, and the server may be
/// starting.
const SOON: Duration = Duration::from_millis(100);

/// Between two looks at which run of the server it is: behind a proxy it may change while the
/// connection stands.
const CHECK_EVERY: Duration = Duration::from_secs(1);

impl SharedTier {
    /// Ready when it is known what other replicas wrote. While there is no server, that does not
    /// come.
    pub async fn heard(&self) {
        let inner = &self.0;
        while !inner.trust().lasts(Instant::now()) || inner.known.lock().stamp().is_none() {
            sleep(READ_EVERY).await;
        }
    }

    /// Does to `cache` what other replicas say of their writes, lets `upstream` pause when theirs
    /// does, and tells them of what happens here, for as long as it is polled.
    /// `on_count` hears of each change of the number of replicas.
    pub async fn run<F: Failure>(
        self,
        cache: VehicleCache<F>,
        upstream: Upstream,
        on_count: impl Fn(u32) + Send + Sync + 'static,
    ) -> Infallible {
        let _reading = AbortOnDropHandle::new(tokio::spawn(self.clone().keep_reading()));
        let _polling = AbortOnDropHandle::new(tokio::spawn(self.clone().keep_polling()));
        let _renewing = AbortOnDropHandle::new(tokio::spawn(self.clone().keep_leases()));
        let _sharing = AbortOnDropHandle::new(tokio::spawn(self.clone().keep_sharing()));
        let Config { lease, write_timeout: write, .. } = self.0.config;
        let times = Times { lease, write };
        let (tier, follower) = (self.clone(), Follower::<Strict>::new(times));
        let mut following = Following { tier, follower, cache, upstream, holds: HashMap::new() };
        let (mut counting, mut reported) = (Counting::new(on_count), Reported::default());
        loop {
            let dialled_at = Instant::now();
            let Err(lost) = following.use_link(&mut counting, &mut reported).await;
            let now = Instant::now();
            self.0.outbox.link_down(now);
            let what = "shared tier not reached: other replicas are not heard";
            reported.trouble(what, &lost, now);
            following.expire(now).await;
            sleep_until(retry_at(dialled_at, &lost)).await;
        }
    }

    /// Puts into the log what waits for that.
    async fn append(&self, link: &Link) -> Result<Infallible, LinkError> {
        let inner = &*self.0;
        let mut reported = Reported::default();
        loop {
            let first = inner.outbox.first(BATCH).await;
            let sealed = first
                .iter()
                .map(|outgoing| outgoing.entry.to_bytes())
                .map(|entry| inner.sealer.seal(inner.log.as_bytes(), &entry));
            let (positions, refused) = link.append(&inner.log, KEPT, sealed).await?;
            inner.logged(&first, &positions);
            // Nobody waits for a server that refuses.
            match refused {
                None => inner.outbox.link_up(),
                Some(error) => {
                    let now = Instant::now();
                    inner.outbox.link_down(now);
                    let what = "shared tier refuses what it is told of writes";
                    reported.trouble(what, &error, now);
                    sleep(RETRY_AFTER).await;
                }
            }
        }
    }

    /// Notes what was read. Requests that look at what is known get their turn in between.
    fn note(&self, read: &Read) {
        let known = &self.0.known;
        if let Some((first, _)) = read.entries.first() {
            known.lock().begin(*first);
        }
        for (position, entry) in &read.entries {
            known.lock().note(*position, entry.as_ref());
        }
    }

    /// Looks at which run of the server it is, and at its clock.
    async fn look(&self, link: &Link) -> Result<Era, LinkError> {
        let sent_at = Instant::now();
        let (era, shown) = link.server().await?;
        self.0.clock.lock().note(sent_at, Instant::now(), shown);
        Ok(era)
    }

    /// Signs, and reads on. Gives what was read, and why the sign was refused.
    async fn read(
        &self,
        link: &Link,
        follower: &Follower,
    ) -> Result<(Read, Option<RedisError>), LinkError> {
        let (inner, sent_at) = (&*self.0, Instant::now());
        let (name, sign) = (inner.name(), self.sign(follower.applied()));
        let sign = (&*inner.signs, &name[..], &sign[..]);
        let reading = link.sign_and_read(sign, &inner.log, follower.next(), PAGE);
        let (entries, refused) = reading.await?;
        // Without a sign, others do not wait for this replica.
        let is_all = entries.len() < PAGE && refused.is_none();
        let open = |(position, bytes)| {
            // What is applied is only looked for.
            if Some(position) == follower.next() {
                return (position, None);
            }
            let bytes = inner.sealer.open(inner.log.as_bytes(), bytes);
            (position, bytes.and_then(|bytes| LogEntry::parse(&bytes)))
        };
        let entries = entries.into_iter().map(open).collect();
        Ok((Read { sent_at, entries, is_all }, refused))
    }
}

/// When to connect again after the attempt at `dialled_at`: at once, if that connection stood for
/// long.
fn retry_at(dialled_at: Instant, lost: &LinkError) -> Instant {
    dialled_at + if lost.is_refusal() { SOON } else { RETRY_AFTER }
}

impl<F: Failure> Following<F> {
    /// Connects. Ready when the connection is lost, or cannot be made.
    async fn use_link(
        &mut self,
        counting: &mut Counting<impl Fn(u32)>,
        reported: &mut Reported,
    ) -> Result<Infallible, LinkError> {
        let tier = self.tier.clone();
        let link = &tier.0.endpoint.dial().await?;
        // What was known of the clock of another server means nothing.
        *tier.0.clock.lock() = ServerClock::default();
        let era = tier.look(link).await?;
        reported.connected();
        let effects = self.follower.connected(era);
        let is_another = !effects.is_empty();
        self.apply(effects, Cause::Lost).await;
        tier.0.acknowledgements.lock().connected(era);
        tier.0.outbox.link_up();
        tokio::select! {
            // First, so that what was appended to a log counts before its loss shows.
            biased;
            lost = tier.append(link) => lost,
            lost = async {
                if is_another {
                    tier.0.readers.renewed().await;
                }
                self.follow(link, era).await
            } => lost,
            lost = tier.keep_looking(link, counting) => lost,
        }
    }

    /// Reads the log again and again.
    async fn follow(&mut self, link: &Link, era: Era) -> Result<Infallible, LinkError> {
        let tier = self.tier.clone();
        let mut check_at = Instant::now() + CHECK_EVERY;
        let mut reported = Reported::default();
        loop {
            let sent_at = Instant::now();
            if sent_at >= check_at {
                if tier.look(link).await? != era {
                    return Err(LinkError::Unexpected("another server"));
                }
                check_at = sent_at + CHECK_EVERY;
            }
            let (read, refused) = tier.read(link, &self.follower).await?;
            let (now, before) = (Instant::now(), self.follower.next());
            if let Some(error) = refused {
                let what = "shared tier refuses signs: other replicas are not heard";
                reported.trouble(what, &error, now);
            }
            let is_page = read.entries.len() == PAGE;
            tier.note(&read);
            // What was written before this replica followed the log, nobody has just written.
            let cause = if self.follower.is_anew { Cause::Lost } else { Cause::Replica };
            let effects = self.follower.read(read, now);
            self.apply(effects, cause).await;
            tier.0.known.lock().reach(self.follower.next());
            self.expire(now).await;
            if is_page {
                continue;
            }
            let has_brought = self.follower.next() != before;
            let next_at = sent_at + tier.0.rhythm.next_after(has_brought);
            if has_brought {
                // At once: others wait for that. A server that is slow must not hold up reads.
                let (sign, name) = (tier.sign(self.follower.applied()), tier.0.name());
                let _ = timeout_at(next_at, link.sign(&tier.0.signs, &name, &sign)).await;
            }
            sleep_until(next_at).await;
        }
    }

    /// Lets go of writes that have been under way for too long.
    async fn expire(&mut self, now: Instant) {
        let effects = self.follower.expire(now);
        self.apply(effects, Cause::Replica).await;
    }

    /// Does what followed from the log. `cause` is why something drops that the log names.
    async fn apply(&mut self, effects: Vec<Effect>, cause: Cause) {
        let Self { tier, cache, upstream, holds, .. } = self;
        for effect in effects {
            match effect {
                Effect::Doubt => tier.0.trust().revoke(),
                Effect::BeginAnew(era) => {
                    tier.0.outbox.begin_reading();
                    tier.0.known.lock().forget(era);
                    holds.clear();
                }
                Effect::Hold(write, scope) => {
                    holds.insert(write, cache.hold_vehicles(scope, cause));
                }
                Effect::LetGo(write) => drop(holds.remove(&write)),
                Effect::Drop(scope, fence_for) => {
                    cache.invalidate_here(scope, cause, fence_for).await;
                }
                Effect::DropAll => cache.forget_vehicles(cause),
                Effect::Forget => cache.forget_vehicles(Cause::Lost),
                Effect::Pause(Pause { replica, account, rest }) => {
                    if replica != tier.0.replica {
                        upstream.note_retry_after(account, rest);
                    }
                }
                Effect::Begin => tier.0.begin_log(),
                Effect::Trust(until) => tier.0.trust().extend(until),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use super::*;

    #[test]
    fn a_connection_that_stood_is_made_anew_at_once() {
        let (at_once, dialled_at) = (Duration::ZERO, Instant::now());
        for (what, kind, stood_for, waits_for) in [
            ("lost", ErrorKind::ConnectionReset, Duration::from_secs(3600), at_once),
            ("lost at once", ErrorKind::ConnectionReset, Duration::ZERO, RETRY_AFTER),
            ("never made", ErrorKind::ConnectionRefused, Duration::ZERO, SOON),
        ] {
            let retry_at = retry_at(dialled_at, &LinkError::Io(kind.into()));
            let waits = retry_at.saturating_duration_since(dialled_at + stood_for);
            assert_eq!(waits, waits_for, "{what}");
        }
    }
}
