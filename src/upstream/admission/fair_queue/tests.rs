//! Turns, shares and bounds.

use super::{super::line::BYTES, *};
use crate::upstream::Kind;

const A: Option<ClientId> = Some(ClientId(1));
const B: Option<ClientId> = Some(ClientId(2));

/// The only queue there is.
struct Alone {
    queue: Queue<Ticket>,
    turns: Turns,
}

impl Alone {
    fn new(max: usize) -> Self {
        Self { queue: Queue::new(max), turns: Turns::default() }
    }

    fn push(&mut self, reservation: Reservation, ticket: Ticket, now: Instant) -> Result<(), Full> {
        let Self { queue, turns } = self;
        queue.push(turns, reservation, ticket, ticket, 2, now)
    }

    fn pop(&mut self, has_share: impl Fn(Client) -> bool, now: Instant) -> Option<Ticket> {
        self.queue.pop(&mut self.turns, has_share, now)
    }

    fn leave(&mut self, ticket: Ticket) {
        self.queue.leave(&mut self.turns, ticket);
    }
}

fn queue(waiting: &[(Option<ClientId>, Ticket)]) -> Alone {
    let mut queue = Alone::new(100);
    for &(client, ticket) in waiting {
        assert!(push(&mut queue, of(client, 0), ticket, Instant::now()));
    }
    queue
}

fn of(client: Option<ClientId>, vehicles: usize) -> Reservation {
    Reservation { client, vehicles, ..Reservation::of(Kind::Buffered) }
}

/// Whether there is room, where there are two permits.
fn push(queue: &mut Alone, reservation: Reservation, ticket: Ticket, now: Instant) -> bool {
    queue.push(reservation, ticket, now).is_ok()
}

fn pop(queue: &mut Alone) -> Option<Ticket> {
    queue.pop(|_| true, Instant::now())
}

fn order(queue: &mut Alone) -> Vec<Ticket> {
    let mut order = Vec::new();
    while let Some((.., first)) = queue.queue.first(&queue.turns, |_| false) {
        let item = pop(queue).unwrap();
        assert_eq!(item, first);
        order.push(item);
    }
    assert!(queue.queue.is_empty() && pop(queue).is_none());
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
    let now = Instant::now();
    assert_eq!(queue.pop(|client| client == A, now), Some(3));
    assert_eq!(queue.pop(|_| true, now), Some(1));
    assert_eq!(queue.pop(|_| false, now), Some(2));
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
    let (mut queue, now) = (Alone::new(2), Instant::now());
    assert!(push(&mut queue, of(A, 0), 1, now) && push(&mut queue, of(B, 0), 2, now));
    assert!(!push(&mut queue, of(None, 0), 3, now));
    queue.leave(1);
    assert!(push(&mut queue, of(None, 0), 3, now));
}

#[test]
fn turns_are_counted_in_vehicles() {
    let (mut queue, now) = (Alone::new(1000), Instant::now());
    for nth in 0..50 {
        assert!(push(&mut queue, of(A, 500), 2 * nth, now));
        assert!(push(&mut queue, of(B, 1), 2 * nth + 1, now));
    }
    // A call of 500 vehicles is worth twenty of few.
    let first: Vec<_> = (0..42).filter_map(|_| pop(&mut queue)).collect();
    let large = first.iter().filter(|&&ticket| ticket % 2 == 0).count();
    assert_eq!(large, 2, "{first:?}");
}

#[test]
fn who_comes_anew_begins_where_the_others_are_and_keeps_what_it_has_had() {
    let (mut queue, now) = (Alone::new(1000), Instant::now());
    for ticket in 0..10 {
        assert!(push(&mut queue, of(A, 100), ticket, now));
    }
    assert_eq!([pop(&mut queue), pop(&mut queue)], [Some(0), Some(1)]);
    // No less than the others have had, and no more.
    assert!(push(&mut queue, of(B, 500), 10, now) && push(&mut queue, of(B, 0), 11, now));
    assert_eq!([pop(&mut queue), pop(&mut queue)], [Some(10), Some(2)]);
    queue.leave(11);
    assert!(push(&mut queue, of(B, 0), 12, now));
    assert_eq!([pop(&mut queue), pop(&mut queue)], [Some(3), Some(4)], "of B's 500");
}

#[test]
fn whoever_asks_for_little_is_not_refused_for_what_others_ask() {
    let (mut queue, now) = (Alone::new(4), Instant::now());
    for ticket in 1..=4 {
        assert!(push(&mut queue, of(A, 0), ticket, now));
    }
    assert!(!push(&mut queue, of(A, 0), 5, now));
    assert!(push(&mut queue, of(B, 0), 6, now) && push(&mut queue, of(B, 0), 7, now));
    assert!(!push(&mut queue, of(B, 0), 8, now), "both have as much");
    assert_eq!(order(&mut queue), [1, 6, 2, 7]);
}

#[test]
fn bodies_take_room() {
    let (mut queue, now) = (Alone::new(20), Instant::now());
    let large = |client| Reservation { bytes: 9 * BYTES, ..of(client, 0) };
    assert!(push(&mut queue, large(A), 1, now) && push(&mut queue, large(A), 2, now));
    assert!(!push(&mut queue, large(A), 3, now));
    assert!(push(&mut queue, large(B), 4, now), "the last of the longer line goes");
    assert_eq!(order(&mut queue), [1, 4]);
    assert_eq!(queue.queue.room.taken, 0);
}

#[test]
fn small_calls_wait_no_longer_than_a_call_unless_they_came_in_a_burst() {
    let (mut queue, mut now) = (Alone::new(1000), Instant::now());
    let mut tickets = 0..;
    let mut push = |queue: &mut Alone, client, vehicles, now| {
        push(queue, of(client, vehicles), tickets.next().unwrap(), now)
    };
    for _ in 0..50 {
        assert!(push(&mut queue, A, 0, now));
    }
    // Two permits and calls of 100 ms: 50 ms between two of them.
    let gap = Duration::from_millis(50);
    for _ in 0..4 {
        now += gap;
        assert!(queue.pop(|_| true, now).is_some());
    }
    let refused = queue.push(of(A, 0), 1000, now);
    let hold = Duration::ZERO;
    assert_eq!(refused, Err(Full { rest: 46 * gap, hold }), "until those who wait are served");
    assert!(push(&mut queue, A, 500, now), "who has asked for much has time");
    assert!(push(&mut queue, B, 0, now), "others have waited for less");
    assert!(!push(&mut queue, B, 0, now), "one for each of two lines");
    while queue.pop(|_| true, now).is_some() {}
    for _ in 0..50 {
        assert!(push(&mut queue, A, 0, now), "another burst");
    }
}

#[test]
fn calls_that_end_together_are_no_faster_than_others() {
    let (mut queue, mut now) = (Alone::new(1000), Instant::now());
    for ticket in 0..100 {
        assert!(push(&mut queue, of(A, 0), ticket, now));
    }
    // Ten calls of 50 ms each time: one in 5 ms.
    while queue.queue.len > 10 {
        now += Duration::from_millis(50);
        for _ in 0..10 {
            assert!(queue.pop(|_| true, now).is_some());
        }
    }
    assert!(!push(&mut queue, of(A, 0), 100, now), "what is served in 50 ms");
    assert!(queue.pop(|_| true, now).is_some());
    assert!(push(&mut queue, of(A, 0), 101, now));
}

#[test]
fn fast_calls_may_be_many() {
    let (mut queue, mut now) = (Alone::new(1000), Instant::now());
    for ticket in 0..500 {
        assert!(push(&mut queue, of(A, 0), ticket, now));
    }
    for ticket in 500..900 {
        now += Duration::from_millis(1);
        assert!(queue.pop(|_| true, now).is_some());
        let waits = push(&mut queue, of(A, 0), ticket, now);
        assert_eq!(waits, ticket < 599, "a burst of 100 ms; {ticket}");
    }
    while queue.queue.len > 49 {
        now += Duration::from_millis(1);
        assert!(queue.pop(|_| true, now).is_some());
    }
    // They are 50 ms, and far more than there are permits.
    assert!(push(&mut queue, of(A, 0), 900, now));
    assert!(!push(&mut queue, of(A, 0), 901, now));
}

#[test]
fn all_that_fits_waits_where_the_gateway_is_slow_and_not_sync() {
    for (micros, may_wait) in [(250, 1000), (300, 166)] {
        let (mut queue, mut now) = (Alone::new(1000), Instant::now());
        let mut tickets = 0..;
        let mut push = |queue: &mut Alone, now| push(queue, of(A, 0), tickets.next().unwrap(), now);
        while push(&mut queue, now) {}
        assert_eq!(queue.queue.len, 1000, "a burst");
        // Each that is served comes again.
        for _ in 0..10_000 {
            now += Duration::from_micros(micros);
            assert!(queue.pop(|_| true, now).is_some());
            push(&mut queue, now);
        }
        assert_eq!(queue.queue.len, may_wait, "{micros} us between two");
    }
}

#[test]
fn who_takes_the_place_of_all_others_waits_alone() {
    let now = Instant::now();
    let mut queue = Alone::new(100);
    let large = |client, rooms: usize| Reservation { bytes: rooms * BYTES, ..of(client, 0) };
    assert!(push(&mut queue, large(A, 80), 1, now));
    assert!(push(&mut queue, large(B, 50), 2, now), "the other has asked for more");
    assert_eq!(order(&mut queue), [2]);
    // And who is too large for any queue is refused, whoever had to go for it.
    assert!(push(&mut queue, large(A, 90), 3, now));
    assert!(!push(&mut queue, large(B, 200), 4, now));
}

#[test]
fn lines_of_clients_that_wait_for_nothing_are_dropped() {
    let mut queue = queue(&[(A, 1), (B, 2)]);
    queue.leave(2);
    assert_eq!(queue.queue.lines.len(), 1);
}
