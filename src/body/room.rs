//! What bodies take together while they are buffered.
//!
//! They come as slowly as their clients like, and a client has hundreds of requests in flight: the
//! limit of one body is none of the memory that all of them take. So what has come is counted, for
//! the whole process, and whoever has no room any more is refused.

use std::sync::LazyLock;

use foldhash::HashMap;
use parking_lot::Mutex;

use super::Failure;
use crate::client::Client;

/// Bytes of each body that are not counted: most bodies are no longer.
const FREE: usize = 64 * 1024;

/// Bytes of one client. It is at least one body.
const SHARE: usize = 32 * 1024 * 1024;

/// How many such shares there are.
const SHARES: usize = 4;

static ROOMS: LazyLock<Rooms> = LazyLock::new(Rooms::default);

#[derive(Debug, Default)]
pub(super) struct Rooms(Mutex<Taken>);

/// Bytes that are counted.
#[derive(Debug, Default)]
struct Taken {
    all: usize,
    /// Only of clients that have some.
    by_client: HashMap<Option<Client>, usize>,
}

/// What one body has taken, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Room<'a> {
    rooms: &'a Rooms,
    client: Option<Client>,
    share: usize,
    taken: usize,
}

impl Room<'static> {
    /// For a body of at most `limit` bytes of this client.
    pub(super) fn new(client: Option<Client>, limit: usize) -> Self {
        ROOMS.room(client, limit)
    }
}

impl Rooms {
    fn room(&self, client: Option<Client>, limit: usize) -> Room<'_> {
        Room { rooms: self, client, share: SHARE.max(limit), taken: 0 }
    }
}

impl Room<'_> {
    /// Takes what is needed for a body that has come to `length` bytes.
    pub(super) fn hold(&mut self, length: usize) -> Result<(), Failure> {
        let more = length.saturating_sub(FREE + self.taken);
        if more == 0 {
            return Ok(());
        }
        let mut taken = self.rooms.0.lock();
        let all = taken.all + more;
        let own = taken.by_client.get(&self.client).copied().unwrap_or(0) + more;
        if own > self.share || all > SHARES * self.share {
            return Err(Failure::NoRoom);
        }
        taken.all = all;
        taken.by_client.insert(self.client, own);
        self.taken += more;
        Ok(())
    }
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        if self.taken == 0 {
            return;
        }
        let mut taken = self.rooms.0.lock();
        taken.all -= self.taken;
        if let Some(own) = taken.by_client.get_mut(&self.client) {
            *own -= self.taken;
            if *own == 0 {
                taken.by_client.remove(&self.client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: usize = SHARE / 4;

    fn client(id: u128) -> Option<Client> {
        Some(Client::named(id))
    }

    #[test]
    fn a_client_has_its_share_and_all_have_theirs() {
        let rooms = Rooms::default();
        let room = |id| rooms.room(client(id), BODY);
        let mut held = Vec::new();
        for id in 0..SHARES as u128 {
            for _ in 0..4 {
                let mut whole = room(id);
                whole.hold(BODY / 2).unwrap();
                whole.hold(FREE + BODY).unwrap();
                held.push(whole);
            }
            assert!(matches!(room(id).hold(FREE + 1), Err(Failure::NoRoom)));
            room(id).hold(FREE).expect("what is small needs none");
        }
        let other = SHARES as u128;
        assert!(matches!(room(other).hold(FREE + 1), Err(Failure::NoRoom)));
        held.pop();
        room(other).hold(FREE + BODY).unwrap();
        drop(held);
        let taken = rooms.0.lock();
        assert_eq!((taken.all, taken.by_client.len()), (0, 0));
    }

    #[test]
    fn one_body_always_has_room() {
        let rooms = Rooms::default();
        let mut large = rooms.room(client(1), 2 * SHARE);
        large.hold(2 * SHARE).unwrap();
        assert!(large.hold(FREE + 2 * SHARE + 1).is_err());
    }
}
