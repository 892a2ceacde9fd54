//! Keeps the leases of this replica, and looks for what others have leased, for all its requests at
//! once.

use std::{mem, sync::Arc};

use tokio::time::{Instant, sleep};

use super::{
    SharedTier,
    lease_commands::Owner,
    link::LinkError,
    polls::Poll,
    readers::{Line, PIECE},
    shared_leases::LIFE,
};
use crate::vehicle_cache::Sought;

/// How many of these are made at once, from the first on.
fn that_fit(polls: &[Poll]) -> usize {
    let mut vehicles = 0;
    let fits = |poll: &&Poll| {
        vehicles += poll.vehicles.len();
        vehicles <= PIECE
    };
    polls.iter().take_while(fits).count()
}

impl SharedTier {
    /// Makes the looks that wait, for as long as it is polled. Those that nobody can make are
    /// dropped.
    pub(super) async fn keep_polling(self) {
        loop {
            let mut waiting = self.0.polls.gathered().await;
            let Some(lines) = self.0.readers.lines() else {
                continue;
            };
            let number = lines.quieter();
            while !waiting.is_empty() {
                let rest = waiting.split_off(that_fit(&waiting));
                let together = mem::replace(&mut waiting, rest);
                let (tier, lines) = (self.clone(), Arc::clone(&lines));
                // In a task of its own: what comes late has to be read all the same.
                tokio::spawn(async move {
                    if tier.look_over(lines.line(number), together).await.is_err() {
                        tier.0.readers.give_up(&lines);
                    }
                });
            }
        }
    }

    async fn look_over(&self, line: &Line, polls: Vec<Poll>) -> Result<(), LinkError> {
        let names = polls.iter().flat_map(|poll| poll.names.iter().cloned());
        let names: Vec<_> = names.collect();
        let looked = line.look(&names).await?;
        let mut looked = names.into_iter().zip(looked);
        for Poll { partition, vehicles, sender, .. } in polls {
            let looked = looked.by_ref().take(vehicles.len());
            let (codec, mut is_free) = (self.0.values.of(partition), Vec::new());
            let sought = vehicles.iter().zip(looked);
            let sought = sought.map(|(vehicle, (name, (owner, sealed)))| {
                let found = self.open(&codec, partition, vehicle, &name, sealed);
                is_free.push(found.is_err() && owner == Owner::Nobody);
                found.map_or(Sought::Awaited, Sought::Found)
            });
            let mut sought: Vec<_> = sought.collect();
            let free: Vec<_> = vehicles
                .iter()
                .zip(&is_free)
                .filter_map(|(vehicle, is_free)| is_free.then_some(*vehicle))
                .collect();
            if !free.is_empty() {
                // Nobody asks for them any more.
                let mut leased = self.lease(line, partition, &free).await?.into_iter();
                let free = sought
                    .iter_mut()
                    .zip(is_free)
                    .filter(|(_, is_free)| *is_free);
                free.for_each(|(sought, _)| *sought = leased.next().unwrap_or(Sought::Awaited));
            }
            let _ = sender.send(sought);
        }
        Ok(())
    }

    /// Renews the leases of this replica, for as long as it is polled.
    pub(super) async fn keep_leases(self) {
        loop {
            sleep(LIFE / 2).await;
            let due = self.0.leases.due(Instant::now());
            for due in due.chunks(PIECE) {
                // Where that cannot be said, another replica asks for it, too.
                if let Some(lines) = self.0.readers.lines() {
                    let _ = lines.line(lines.quieter()).extend(due, LIFE).await;
                }
            }
        }
    }
}
