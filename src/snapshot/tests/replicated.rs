//! Snapshots where other replicas write, too.

use std::{future::ready, sync::Arc};

use futures_util::future::BoxFuture;

use super::*;
use crate::vehicle_cache::{
    Change, Entry, InvalidationScope, Replicas, Search, Stamp, Tell, Unwritten,
};

/// Knows of this log, and that others have written these vehicles since.
#[derive(Clone)]
struct Others {
    log: Option<u8>,
    written: Vec<Vehicle>,
}

impl Replicas for Others {
    fn max_age(&self, _: Instant) -> Option<Duration> {
        None
    }

    fn search(&self, _: Partition, _: usize) -> Option<Box<dyn Search>> {
        None
    }

    fn share(&self, _: Partition, fill: &mut dyn FnMut() -> Vec<(Vehicle, Arc<Entry>)>) {
        drop(fill());
    }

    fn known(&self) -> Option<Stamp> {
        self.log.map(|log| Stamp([log; 24]))
    }

    fn unwritten_since(&self, stamp: Stamp) -> Option<Unwritten> {
        let written = self.written.clone();
        (self.known() == Some(stamp))
            .then(|| Box::new(move |key: &Key<Vehicle>| !written.contains(&key.item)) as Unwritten)
    }

    fn announce(&self, _: InvalidationScope) -> BoxFuture<'static, Arc<dyn Tell>> {
        Box::pin(ready(Arc::new(self.clone()) as Arc<dyn Tell>))
    }
}

impl Tell for Others {
    fn tell(&self, _: Change, _: Option<Duration>) -> BoxFuture<'static, ()> {
        Box::pin(ready(()))
    }
}

fn others(log: Option<u8>, written: impl Iterator<Item = u32>) -> Option<Others> {
    Some(Others { log, written: written.map(vehicle).collect() })
}

fn among(others: Option<Others>) -> Cache {
    let others = others.map(|it| Arc::new(it) as Arc<dyn Replicas>);
    cache_among(1 << 24, others)
}

/// What of five vehicles comes back.
fn hits_after(config: &Config, others: Option<Others>) -> usize {
    let cache = among(others);
    let restoring = cache.restore();
    take(config).unwrap().load(&cache, &restoring);
    hits(&cache, 0..5)
}

#[test]
fn what_others_wrote_meanwhile_does_not_come_back() {
    let folder = Folder::new("others");
    let config = folder.config();
    let old = among(others(Some(1), 0..0));
    fill(&old, 0..5, Class::Finished, 100, Moment::now());
    for (new, count, what) in [
        (others(Some(1), 0..0), 5, "nobody wrote"),
        (others(Some(1), 1..3), 3, "two were written"),
        (others(Some(2), 0..0), 0, "another log"),
        (others(None, 0..0), 0, "they are not heard"),
        (None, 0, "nobody listens any more"),
    ] {
        save(&config, &old).unwrap();
        assert_eq!(hits_after(&config, new), count, "{what}");
    }
    let alone = cache(1 << 24);
    fill(&alone, 0..5, Class::Finished, 100, Moment::now());
    save(&config, &alone).unwrap();
    assert_eq!(hits_after(&config, others(Some(1), 0..0)), 0, "nobody listened before");
    let unheard = save(&config, &among(others(None, 0..0)));
    assert!(matches!(unheard, Err(SaveError::Unheard(_))));
}
