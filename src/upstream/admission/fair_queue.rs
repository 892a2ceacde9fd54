//! Who waits for a permit: fair between clients, first come first served for each.

use std::collections::VecDeque;

use crate::upstream::ClientId;

/// A queue for each client that has calls waiting, served in turn.
#[derive(Debug)]
pub(super) struct Queue<T> {
    clients: VecDeque<Line<T>>,
    len: usize,
    max: usize,
}

/// What one client waits for, in the order in which it came: never empty.
#[derive(Debug)]
struct Line<T> {
    client: Option<ClientId>,
    waiting: VecDeque<(Ticket, T)>,
}

/// Tells apart who waits; later ones are larger.
pub(super) type Ticket = u64;

impl<T> Queue<T> {
    /// An empty queue for at most `max`.
    pub(super) fn new(max: usize) -> Self {
        Self { clients: VecDeque::new(), len: 0, max }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The ticket of whose turn it is.
    pub(super) fn first(&self) -> Option<Ticket> {
        let line = self.clients.front()?;
        line.waiting.front().map(|&(ticket, _)| ticket)
    }

    /// Lets one more wait; `false`: there is no room.
    pub(super) fn push(&mut self, client: Option<ClientId>, ticket: Ticket, item: T) -> bool {
        if self.len >= self.max {
            return false;
        }
        self.len += 1;
        let waiting = (ticket, item);
        match self.clients.iter_mut().find(|line| line.client == client) {
            Some(line) => line.waiting.push_back(waiting),
            None => self
                .clients
                .push_back(Line { client, waiting: [waiting].into() }),
        }
        true
    }

    /// The first of the client whose turn it is. Clients that have their share already are passed
    /// over, unless all have.
    pub(super) fn pop(
        &mut self,
        is_below_share: impl Fn(Option<ClientId>) -> bool,
    ) -> Option<(Option<ClientId>, T)> {
        let mut clients = self.clients.iter();
        let next = clients.position(|line| is_below_share(line.client));
        let mut line = self.clients.remove(next.unwrap_or(0))?;
        let (_, item) = line.waiting.pop_front()?;
        let client = line.client;
        self.len -= 1;
        if !line.waiting.is_empty() {
            self.clients.push_back(line);
        }
        Some((client, item))
    }

    /// Takes out who waits no more; nothing happens if it is out already.
    pub(super) fn leave(&mut self, ticket: Ticket) {
        for (nth, line) in self.clients.iter_mut().enumerate() {
            let of_waiting = |&(other, _): &(Ticket, T)| other;
            if let Ok(at) = line.waiting.binary_search_by_key(&ticket, of_waiting) {
                line.waiting.remove(at);
                self.len -= 1;
                if line.waiting.is_empty() {
                    self.clients.remove(nth);
                }
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Option<ClientId> = Some(ClientId(1));
    const B: Option<ClientId> = Some(ClientId(2));

    fn queue(waiting: &[(Option<ClientId>, Ticket)]) -> Queue<Ticket> {
        let mut queue = Queue::new(100);
        for &(client, ticket) in waiting {
            assert!(queue.push(client, ticket, ticket));
        }
        queue
    }

    fn order(queue: &mut Queue<Ticket>) -> Vec<Ticket> {
        let mut order = Vec::new();
        while let Some(first) = queue.first() {
            let (_, item) = queue.pop(|_| true).unwrap();
            assert_eq!(item, first);
            order.push(item);
        }
        assert!(queue.is_empty() && queue.pop(|_| true).is_none());
        order
    }

    #[test]
    fn takes_turns_between_clients_and_keeps_the_order_of_each() {
        let mut queue = queue(&[(A, 1), (A, 2), (A, 3), (B, 4), (None, 5), (B, 6)]);
        assert_eq!(order(&mut queue), [1, 4, 5, 2, 6, 3]);
    }

    #[test]
    fn passes_over_who_has_its_share_unless_all_have() {
        let mut queue = queue(&[(A, 1), (A, 2), (B, 3)]);
        assert_eq!(queue.pop(|client| client != A), Some((B, 3)));
        assert_eq!(queue.pop(|_| false), Some((A, 1)));
        assert_eq!(queue.pop(|_| true), Some((A, 2)));
    }

    #[test]
    fn forgets_who_leaves_wherever_it_stands() {
        for left in 1..=4 {
            let mut queue = queue(&[(A, 1), (B, 2), (A, 3), (A, 4)]);
            queue.leave(left);
            queue.leave(left);
            queue.leave(9);
            let mut order = order(&mut queue);
            order.sort_unstable();
            assert_eq!(order, (1..=4).filter(|&it| it != left).collect::<Vec<_>>());
        }
    }

    #[test]
    fn has_room_for_so_many() {
        let mut queue = Queue::new(2);
        assert!(queue.push(A, 1, ()) && queue.push(B, 2, ()));
        assert!(!queue.push(None, 3, ()));
        queue.leave(1);
        assert!(queue.push(None, 3, ()));
    }
}
