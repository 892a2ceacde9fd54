//! One shard's slots, found by key and by tag.
//!
//! A slot exists while its item has an entry, or a call under way, or both. Slots stand in a slab;
//! two hash tables find them, and the slots that have a tag in the same place form a doubly linked
//! list, so that a write drops what it changed without looking at anything else and a slot costs
//! about a hundred bytes. Everything here is linear in the number of slots touched, also when a
//! client sends one VIN with ten thousand plates.
//!
//! No locks, no clock, no policy: [`Store`](super::store) has those.

use std::{hash::BuildHasher, iter::successors, sync::Arc};

use foldhash::fast::RandomState;
use hashbrown::{HashTable, hash_table};

use super::{Contents, Entry, Key, Partition, TAGS, flight::InFlight};

/// The slots of one shard.
pub(super) struct Table<C: Contents> {
    hashing: RandomState,
    slots: Vec<Slot<C>>,
    /// Head of the list of unused slots, linked through their first links.
    unused: u32,
    keys: HashTable<u32>,
    /// The first node of each list.
    tags: HashTable<Node>,
}

/// What the table has of an item.
pub(super) struct Slot<C: Contents> {
    key: Key<C::Item>,
    /// What is held.
    pub(super) entry: Option<Arc<Entry<C::Value>>>,
    /// The flight that others may join, and whose outcome may be stored.
    pub(super) in_flight: Option<InFlight<C>>,
    links: [Links; TAGS],
}

#[derive(Clone, Copy)]
struct Links {
    previous: Node,
    next: Node,
}

/// A slot in the list of one of its tags.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Node(u32);

/// No slot.
const NONE: u32 = u32::MAX;

impl<C: Contents> Table<C> {
    pub(super) fn new(hashing: RandomState) -> Self {
        let (keys, tags) = (HashTable::new(), HashTable::new());
        Self { hashing, slots: Vec::new(), unused: NONE, keys, tags }
    }

    /// The slot of `key`, whose hash is `hash`.
    #[inline]
    pub(super) fn find(&self, key: &Key<C::Item>, hash: u64) -> Option<u32> {
        self.keys
            .find(hash, |&id| self.slots[id as usize].key == *key)
            .copied()
    }

    /// The slot that holds this very entry.
    pub(super) fn find_entry(&self, entry: &Arc<Entry<C::Value>>) -> Option<u32> {
        let is_in = |&id: &u32| {
            let held = self.slots[id as usize].entry.as_ref();
            held.is_some_and(|held| Arc::ptr_eq(held, entry))
        };
        self.keys.find(entry.key_hash, is_in).copied()
    }

    /// The slot of a partition that holds an entry with this hash.
    pub(super) fn find_held(&self, partition: Partition, hash: u64) -> Option<u32> {
        let is_meant = |&id: &u32| {
            let Slot { key, entry, .. } = &self.slots[id as usize];
            let held = entry.as_ref();
            key.partition == partition && held.is_some_and(|held| held.key_hash == hash)
        };
        self.keys.find(hash, is_meant).copied()
    }

    /// The slot of `key`, made if there is none.
    pub(super) fn occupy(&mut self, key: Key<C::Item>, hash: u64) -> u32 {
        if let Some(id) = self.find(&key, hash) {
            return id;
        }
        let id = self.take_unused(key);
        let (slots, hashing) = (&self.slots, &self.hashing);
        self.keys
            .insert_unique(hash, id, |&id| hashing.hash_one(slots[id as usize].key));
        Node::of(id).for_each(|node| self.link(node));
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
        Node::of(id).for_each(|node| self.unlink(node));
        self.slots[id as usize].links[0].next = Node(self.unused);
        self.unused = id;
    }

    pub(super) fn slot(&self, id: u32) -> &Slot<C> {
        &self.slots[id as usize]
    }

    pub(super) fn slot_mut(&mut self, id: u32) -> &mut Slot<C> {
        &mut self.slots[id as usize]
    }

    /// The slots that have this tag, in every partition.
    pub(super) fn tagged(&self, tag: &C::Tag) -> Vec<u32> {
        let hash = self.hashing.hash_one(tag);
        let mut ids = Vec::new();
        // One list for each place that the tag has in some item.
        for &head in self.tags.iter_hash(hash) {
            if tag_of(&self.slots, head) == *tag {
                ids.extend(self.list(head));
            }
        }
        ids
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

    /// Panics unless every slot is found by its key, in all its lists, or is unused.
    #[cfg(test)]
    pub(super) fn check(&self) {
        let some = |id: u32| Some(id).filter(|&id| id != NONE);
        let next_unused = |&id: &u32| some(self.slots[id as usize].links[0].next.0);
        let unused = successors(some(self.unused), next_unused).count();
        assert_eq!(self.keys.len() + unused, self.slots.len(), "slots have leaked");
        let listed: usize = self.tags.iter().map(|&head| self.list(head).count()).sum();
        assert_eq!(listed, TAGS * self.keys.len(), "lists and keys differ");
        for &id in &self.keys {
            let slot = self.slot(id);
            assert!(slot.is_used(), "a slot for nothing");
            assert!(
                C::tags(&slot.key.item)
                    .iter()
                    .all(|tag| self.tagged(tag).contains(&id))
            );
        }
    }

    fn list(&self, head: Node) -> impl Iterator<Item = u32> {
        let next = |&node: &Node| Some(self.links(node).next).filter(|&node| node != Node::NONE);
        successors(Some(head), next).map(Node::slot)
    }

    fn take_unused(&mut self, key: Key<C::Item>) -> u32 {
        let alone = Links { previous: Node::NONE, next: Node::NONE };
        let slot = Slot { key, entry: None, in_flight: None, links: [alone; TAGS] };
        if self.unused == NONE {
            if self.slots.len() == self.slots.capacity() {
                // By a quarter. Doubled, a quarter of all slots would be empty on average.
                self.slots.reserve_exact(self.slots.len() / 4 + 16);
            }
            self.slots.push(slot);
            // A shard of two billion slots does not fit into any machine.
            return (self.slots.len() - 1) as u32;
        }
        let id = self.unused;
        self.unused = self.slots[id as usize].links[0].next.0;
        self.slots[id as usize] = slot;
        id
    }

    /// Puts a node at the head of its list.
    fn link(&mut self, node: Node) {
        let (slots, hashing) = (&self.slots, &self.hashing);
        let tag = tag_of(slots, node);
        let is_same = |&head: &Node| head.place() == node.place() && tag_of(slots, head) == tag;
        let rehash = |&head: &Node| hashing.hash_one(tag_of(slots, head));
        let next = match self.tags.entry(hashing.hash_one(tag), is_same, rehash) {
            hash_table::Entry::Occupied(mut head) => std::mem::replace(head.get_mut(), node),
            hash_table::Entry::Vacant(free) => {
                free.insert(node);
                Node::NONE
            }
        };
        *self.links_mut(node) = Links { previous: Node::NONE, next };
        if next != Node::NONE {
            self.links_mut(next).previous = node;
        }
    }

    /// Takes a node out of its list.
    fn unlink(&mut self, node: Node) {
        let Links { previous, next } = *self.links(node);
        if next != Node::NONE {
            self.links_mut(next).previous = previous;
        }
        if previous != Node::NONE {
            self.links_mut(previous).next = next;
            return;
        }
        let hash = self.hashing.hash_one(tag_of(&self.slots, node));
        if let Ok(mut head) = self.tags.find_entry(hash, |&other| other == node) {
            if next == Node::NONE {
                head.remove();
            } else {
                *head.get_mut() = next;
            }
        }
    }

    fn links(&self, node: Node) -> &Links {
        &self.slots[node.slot() as usize].links[node.place()]
    }

    fn links_mut(&mut self, node: Node) -> &mut Links {
        &mut self.slots[node.slot() as usize].links[node.place()]
    }
}

/// The tag whose list a node is in.
fn tag_of<C: Contents>(slots: &[Slot<C>], node: Node) -> C::Tag {
    C::tags(&slots[node.slot() as usize].key.item)[node.place()]
}

impl<C: Contents> Slot<C> {
    pub(super) fn key(&self) -> &Key<C::Item> {
        &self.key
    }

    /// Whether there is something in it. What is not used is only kept for later.
    pub(super) fn is_used(&self) -> bool {
        self.entry.is_some() || self.in_flight.is_some()
    }
}

impl Node {
    const NONE: Self = Self(NONE);

    /// The nodes of a slot, one for each of its tags.
    fn of(slot: u32) -> impl Iterator<Item = Self> {
        (0..TAGS as u32).map(move |place| Self(slot * TAGS as u32 + place))
    }

    fn slot(self) -> u32 {
        self.0 / TAGS as u32
    }

    /// Which of the slot's tags.
    fn place(self) -> usize {
        self.0 as usize % TAGS
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::vehicle_cache::{
        Results,
        tests::{Contents as Vehicles, key, results},
    };

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
            let mut table = Table::<Vehicles>::new(hashing.clone());
            let mut model = BTreeSet::new();
            for step in steps {
                match step {
                    Step::Occupy(vin, plate) => {
                        let key = key(0, vin, plate);
                        let id = table.occupy(key, hashing.hash_one(key));
                        table.slot_mut(id).entry = Some(Arc::new(Entry::new(0, 0, results())));
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
                    let [vin_tag, plate_tag] = Vehicles::tags(&key(0, n, n).item);
                    let of_vin: BTreeSet<_> =
                        table.tagged(&vin_tag).into_iter().map(|id| *table.slot(id).key()).map(|k| k.item.plate).collect();
                    let want: BTreeSet<_> =
                        model.iter().filter(|(vin, _)| *vin == n).map(|&(vin, plate)| key(0, vin, plate).item.plate).collect();
                    prop_assert_eq!(of_vin, want);
                    let of_plate: BTreeSet<_> =
                        table.tagged(&plate_tag).into_iter().map(|id| table.slot(id).key().item.vin).collect();
                    let want: BTreeSet<_> =
                        model.iter().filter(|(_, plate)| *plate == n).map(|&(vin, plate)| key(0, vin, plate).item.vin).collect();
                    prop_assert_eq!(of_plate, want);
                }
            }
        }
    }

    /// What there is of as many as there are vehicles.
    #[test]
    fn takes_no_more_memory_for_a_vehicle_than_it_has_to() {
        let counts = 2 * size_of::<usize>();
        assert_eq!(counts + size_of::<Entry<Results>>(), 128, "in its `Arc`: two cache lines");
        assert_eq!(size_of::<Slot<Vehicles>>(), 96);
    }

    #[test]
    fn reuses_slots() {
        let hashing = RandomState::default();
        let mut table = Table::<Vehicles>::new(hashing.clone());
        for round in 0..100u8 {
            let key = key(0, round, 1);
            let id = table.occupy(key, hashing.hash_one(key));
            assert_eq!(id, 0);
            table.vacate(id);
        }
    }
}
