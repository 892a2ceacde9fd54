//! One shard's slots, found by key, by VIN and by plate.
//!
//! A slot exists while its vehicle has an entry, or a call under way, or both. Slots stand in a
//! slab; three hash tables of slot numbers find them, and the slots of one VIN (and of one
//! plate) form a doubly linked list, so that a write drops what it changed without looking at
//! anything else and a slot costs about a hundred bytes. Everything here is linear in the number
//! of slots touched, also when a client sends one VIN with ten thousand plates.
//!
//! No locks, no clock, no policy: [`Store`](super::store) has those.

use std::{hash::BuildHasher, sync::Arc};

use foldhash::fast::RandomState;
use hashbrown::{HashTable, hash_table};

use super::{Entry, Key, flight::InFlight};
use crate::vehicle::{Plate, Vin};

/// The slots of one shard. `F` is why a flight failed.
pub(super) struct Table<F> {
    hashing: RandomState,
    slots: Vec<Slot<F>>,
    /// Head of the list of unused slots, linked through `by_vin.next`.
    unused: u32,
    keys: HashTable<u32>,
    /// The first slot of each VIN's list.
    vins: HashTable<u32>,
    /// The first slot of each plate's list.
    plates: HashTable<u32>,
}

/// What the table has of a vehicle.
pub(super) struct Slot<F> {
    key: Key,
    /// What is held.
    pub(super) entry: Option<Arc<Entry>>,
    /// The flight that others may join, and whose outcome may be stored.
    pub(super) in_flight: Option<InFlight<F>>,
    by_vin: Links,
    by_plate: Links,
}

#[derive(Clone, Copy)]
struct Links {
    previous: u32,
    next: u32,
}

/// No slot.
const NONE: u32 = u32::MAX;

/// Which of a slot's two lists.
#[derive(Clone, Copy)]
enum List {
    Vin,
    Plate,
}

// === impl Table ===

impl<F> Table<F> {
    pub(super) fn new(hashing: RandomState) -> Self {
        Self {
            hashing,
            slots: Vec::new(),
            unused: NONE,
            keys: HashTable::new(),
            vins: HashTable::new(),
            plates: HashTable::new(),
        }
    }

    /// The slot of `key`, whose hash is `hash`.
    #[inline]
    pub(super) fn find(&self, key: &Key, hash: u64) -> Option<u32> {
        self.keys
            .find(hash, |&id| self.slots[id as usize].key == *key)
            .copied()
    }

    /// The slot that holds this very entry.
    pub(super) fn find_entry(&self, entry: &Arc<Entry>) -> Option<u32> {
        let fence =
            |held: &Option<Arc<Entry>>| held.as_ref().is_some_and(|it| Arc::ptr_eq(it, entry));
        self.keys
            .find(entry.key_hash, |&id| fence(&self.slots[id as usize].entry))
            .copied()
    }

    /// The slot of `key`, made if there is none.
    pub(super) fn occupy(&mut self, key: Key, hash: u64) -> u32 {
        if let Some(id) = self.find(&key, hash) {
            return id;
        }
        let id = self.take_unused(key);
        let (slots, hashing) = (&self.slots, &self.hashing);
        self.keys
            .insert_unique(hash, id, |&id| hashing.hash_one(slots[id as usize].key));
        self.link(List::Vin, id);
        self.link(List::Plate, id);
        id
    }

    /// Gives up a slot that has neither an entry nor anything in flight.
    pub(super) fn vacate(&mut self, id: u32) {
        let slot = &self.slots[id as usize];
        if slot.is_used() {
            return;
        }
        let hash = self.hashing.hash_one(slot.key);
        if let Ok(found) = self.keys.find_entry(hash, |&other| other == id) {
            found.remove();
        }
        self.unlink(List::Vin, id);
        self.unlink(List::Plate, id);
        self.slots[id as usize].by_vin.next = self.unused;
        self.unused = id;
    }

    pub(super) fn slot(&self, id: u32) -> &Slot<F> {
        &self.slots[id as usize]
    }

    pub(super) fn slot_mut(&mut self, id: u32) -> &mut Slot<F> {
        &mut self.slots[id as usize]
    }

    /// The slots of this VIN, under any plate, in every partition.
    pub(super) fn of_vin(&self, vin: &Vin) -> Vec<u32> {
        let head = self
            .vins
            .find(self.hashing.hash_one(vin), |&id| self.vin(id) == *vin);
        self.list(List::Vin, head)
    }

    /// The slots of this plate, under any VIN, in every partition.
    pub(super) fn of_plate(&self, plate: &Plate) -> Vec<u32> {
        let head = self
            .plates
            .find(self.hashing.hash_one(plate), |&id| self.plate(id) == *plate);
        self.list(List::Plate, head)
    }

    /// The number above those of all slots, used or not.
    pub(super) fn end(&self) -> u32 {
        self.slots.len() as u32
    }

    /// Every slot.
    #[cfg(test)]
    pub(super) fn all(&self) -> Vec<u32> {
        self.keys.iter().copied().collect()
    }

    /// Panics unless every slot is found by its key, in both its lists, or is unused.
    #[cfg(test)]
    pub(super) fn check(&self) {
        let some = |id: u32| Some(id).filter(|&id| id != NONE);
        let next_unused = |&id: &u32| some(self.slots[id as usize].by_vin.next);
        let unused = std::iter::successors(some(self.unused), next_unused).count();
        assert_eq!(self.keys.len() + unused, self.slots.len(), "slots have leaked");
        let (mut by_vin, mut by_plate) = (0, 0);
        for &head in &self.vins {
            by_vin += self.of_vin(&self.vin(head)).len();
        }
        for &head in &self.plates {
            by_plate += self.of_plate(&self.plate(head)).len();
        }
        assert_eq!([by_vin, by_plate], [self.keys.len(); 2], "lists and keys differ");
        for &id in &self.keys {
            let slot = self.slot(id);
            assert!(slot.is_used(), "a slot for nothing");
            assert!(self.of_vin(&slot.key.vehicle.vin).contains(&id));
            assert!(self.of_plate(&slot.key.vehicle.plate).contains(&id));
        }
    }

    fn list(&self, list: List, head: Option<&u32>) -> Vec<u32> {
        let first = head.copied().filter(|&id| id != NONE);
        let next = |&id: &u32| Some(self.links(list, id).next).filter(|&id| id != NONE);
        std::iter::successors(first, next).collect()
    }

    fn take_unused(&mut self, key: Key) -> u32 {
        let alone = Links { previous: NONE, next: NONE };
        let slot = Slot { key, entry: None, in_flight: None, by_vin: alone, by_plate: alone };
        if self.unused == NONE {
            if self.slots.len() == self.slots.capacity() {
                // By a quarter. Doubled, a quarter of all slots would be empty in the mean.
                self.slots.reserve_exact(self.slots.len() / 4 + 16);
            }
            self.slots.push(slot);
            // A shard of four thousand million slots does not fit into any machine.
            return (self.slots.len() - 1) as u32;
        }
        let id = self.unused;
        self.unused = self.slots[id as usize].by_vin.next;
        self.slots[id as usize] = slot;
        id
    }

    /// Puts slot `id` at the head of its list.
    fn link(&mut self, list: List, id: u32) {
        let (hash, heads, slots, hashing) = self.heads(list, id);
        let same = |&other: &u32| list.same(&slots[other as usize].key, &slots[id as usize].key);
        let rehash = |&other: &u32| list.hash(hashing, &slots[other as usize].key);
        let next = match heads.entry(hash, same, rehash) {
            hash_table::Entry::Occupied(mut head) => std::mem::replace(head.get_mut(), id),
            hash_table::Entry::Vacant(place) => {
                place.insert(id);
                NONE
            }
        };
        *self.links_mut(list, id) = Links { previous: NONE, next };
        if next != NONE {
            self.links_mut(list, next).previous = id;
        }
    }

    /// Takes slot `id` out of its list.
    fn unlink(&mut self, list: List, id: u32) {
        let Links { previous, next } = *self.links(list, id);
        if next != NONE {
            self.links_mut(list, next).previous = previous;
        }
        if previous != NONE {
            self.links_mut(list, previous).next = next;
            return;
        }
        let (hash, heads, ..) = self.heads(list, id);
        if let Ok(mut head) = heads.find_entry(hash, |&other| other == id) {
            if next == NONE {
                head.remove();
            } else {
                *head.get_mut() = next;
            }
        }
    }

    /// What finding the head of slot `id`'s list takes.
    fn heads(
        &mut self,
        list: List,
        id: u32,
    ) -> (u64, &mut HashTable<u32>, &[Slot<F>], &RandomState) {
        let hash = list.hash(&self.hashing, &self.slots[id as usize].key);
        let heads = match list {
            List::Vin => &mut self.vins,
            List::Plate => &mut self.plates,
        };
        (hash, heads, &self.slots, &self.hashing)
    }

    fn links(&self, list: List, id: u32) -> &Links {
        let slot = &self.slots[id as usize];
        match list {
            List::Vin => &slot.by_vin,
            List::Plate => &slot.by_plate,
        }
    }

    fn links_mut(&mut self, list: List, id: u32) -> &mut Links {
        let slot = &mut self.slots[id as usize];
        match list {
            List::Vin => &mut slot.by_vin,
            List::Plate => &mut slot.by_plate,
        }
    }

    fn vin(&self, id: u32) -> Vin {
        self.slots[id as usize].key.vehicle.vin
    }

    fn plate(&self, id: u32) -> Plate {
        self.slots[id as usize].key.vehicle.plate
    }
}

// === impl Slot ===

impl<F> Slot<F> {
    pub(super) fn key(&self) -> &Key {
        &self.key
    }

    /// Whether there is something in it. What is not used is only kept for later.
    pub(super) fn is_used(&self) -> bool {
        self.entry.is_some() || self.in_flight.is_some()
    }
}

// === impl List ===

impl List {
    fn hash(self, hashing: &RandomState, key: &Key) -> u64 {
        match self {
            Self::Vin => hashing.hash_one(key.vehicle.vin),
            Self::Plate => hashing.hash_one(key.vehicle.plate),
        }
    }

    fn same(self, one: &Key, other: &Key) -> bool {
        match self {
            Self::Vin => one.vehicle.vin == other.vehicle.vin,
            Self::Plate => one.vehicle.plate == other.vehicle.plate,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::cache::tests::{entry, key};

    /// A slot per key is kept, or given up, and every list is compared with a plain set.
    #[derive(Clone, Debug)]
    enum Step {
        Occupy(u8, u8),
        Vacate(u8, u8),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let pair = (0..6u8, 0..6u8);
        let step = (any::<bool>(), pair).prop_map(|(occupy, (vin, plate))| match occupy {
            true => Step::Occupy(vin, plate),
            false => Step::Vacate(vin, plate),
        });
        prop::collection::vec(step, 0..200)
    }

    proptest! {
        #[test]
        fn finds_what_a_plain_set_finds(steps in steps()) {
            let hashing = RandomState::default();
            let mut table = Table::<()>::new(hashing.clone());
            let mut model = BTreeSet::new();
            for step in steps {
                match step {
                    Step::Occupy(vin, plate) => {
                        let key = key(0, vin, plate);
                        let id = table.occupy(key, hashing.hash_one(key));
                        table.slot_mut(id).entry = Some(entry());
                        model.insert((vin, plate));
                    }
                    Step::Vacate(vin, plate) => {
                        let key = key(0, vin, plate);
                        if let Some(id) = table.find(&key, hashing.hash_one(key)) {
                            table.slot_mut(id).entry = None;
                            table.vacate(id);
                        }
                        model.remove(&(vin, plate));
                    }
                }
                prop_assert_eq!(table.all().len(), model.len());
                for n in 0..6 {
                    let vehicle = key(0, n, n).vehicle;
                    let of_vin: BTreeSet<_> =
                        table.of_vin(&vehicle.vin).into_iter().map(|id| *table.slot(id).key()).map(|k| k.vehicle.plate).collect();
                    let want: BTreeSet<_> =
                        model.iter().filter(|(vin, _)| *vin == n).map(|&(vin, plate)| key(0, vin, plate).vehicle.plate).collect();
                    prop_assert_eq!(of_vin, want);
                    let of_plate: BTreeSet<_> =
                        table.of_plate(&vehicle.plate).into_iter().map(|id| table.slot(id).key().vehicle.vin).collect();
                    let want: BTreeSet<_> =
                        model.iter().filter(|(_, plate)| *plate == n).map(|&(vin, plate)| key(0, vin, plate).vehicle.vin).collect();
                    prop_assert_eq!(of_plate, want);
                }
            }
        }
    }

    #[test]
    fn reuses_slots() {
        let hashing = RandomState::default();
        let mut table = Table::<()>::new(hashing.clone());
        for round in 0..100u8 {
            let key = key(0, round, 1);
            let id = table.occupy(key, hashing.hash_one(key));
            assert_eq!(id, 0);
            table.vacate(id);
        }
    }
}
