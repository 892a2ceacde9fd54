//! What the threads do.

use super::{
    Actor,
    Call::{self, *},
    Names::{self, *},
};

pub(super) const fn read(vehicles: &'static [usize]) -> Actor {
    Actor::Read { vehicles, directives: "", later: 0, call: Lands }
}

pub(super) const fn read_for(call: Call, vehicles: &'static [usize]) -> Actor {
    Actor::Read { vehicles, directives: "", later: 0, call }
}

pub(super) const fn write(names: Names, vehicles: &'static [usize]) -> Actor {
    Actor::Write { vehicles, names, is_known: true }
}

pub(super) const fn give_up(names: Names, vehicles: &'static [usize]) -> Actor {
    Actor::Write { vehicles, names, is_known: false }
}

pub(super) const fn write_elsewhere(names: Names, vehicles: &'static [usize]) -> Actor {
    Actor::WriteElsewhere { vehicles, names }
}

pub(super) const fn restore(vehicles: &'static [usize]) -> Actor {
    Actor::Restore { vehicles }
}

pub(super) const PEEK: Actor =
    Actor::Read { vehicles: &[0], directives: "only-if-cached", later: 0, call: Lands };
pub(super) const RELOAD: Actor =
    Actor::Read { vehicles: &[0], directives: "no-cache", later: 0, call: IsSentEarly };
pub(super) const STALE: Actor =
    Actor::Read { vehicles: &[0], directives: "", later: 1000, call: Lands };
pub(super) const STALE_ON_ERROR: Actor =
    Actor::Read { vehicles: &[0], directives: "", later: 2000, call: Fails };

/// Vehicles held at the start, room for entries, shards, and the program.
pub(super) type Program = (&'static [usize], u64, usize, &'static [Actor]);

/// So much room that nothing has to go.
pub(super) const ROOM: u64 = 1000;

/// More than one entry weighs, and less than two.
pub(super) const WEIGHT: u64 = 1000;

pub(super) const SMALL: &[Program] = &[
    (&[], ROOM, 1, &[read(&[0]), read(&[0]), write(Whole, &[0])]),
    (&[], ROOM, 1, &[read(&[0]), PEEK, write(Vins, &[0])]),
    (&[], ROOM, 1, &[read(&[0]), PEEK, write(Plates, &[0])]),
    (&[], ROOM, 1, &[read(&[0]), PEEK, write(Purge, &[0])]),
    (&[], ROOM, 1, &[read(&[0]), PEEK, write(Many, &[0])]),
    (&[], ROOM, 1, &[read(&[0]), PEEK, give_up(Many, &[0])]),
    (&[], ROOM, 1, &[read(&[0]), PEEK, give_up(Vins, &[0])]),
    (&[], ROOM, 1, &[read(&[0]), PEEK, give_up(Whole, &[0])]),
    (&[], ROOM, 1, &[read(&[0]), write(Vins, &[0]), give_up(Plates, &[0])]),
    (&[], ROOM, 1, &[read(&[0]), write(Whole, &[0]), write(Vins, &[0])]),
    (&[], ROOM, 2, &[read(&[0, 1]), write(Vins, &[1, 0])]),
    (&[], ROOM, 1, &[read(&[0]), write_elsewhere(Vins, &[0])]),
    (&[0], ROOM, 1, &[read(&[0]), write_elsewhere(Whole, &[0])]),
    (&[], ROOM, 1, &[read_for(IsSentEarly, &[0]), RELOAD]),
    (&[0], ROOM, 1, &[STALE, PEEK, write(Vins, &[0])]),
    (&[0], ROOM, 1, &[STALE, STALE]),
    (&[0], ROOM, 1, &[STALE_ON_ERROR, PEEK, write(Vins, &[0])]),
    (&[0], ROOM, 1, &[STALE_ON_ERROR, PEEK, write(Whole, &[0])]),
    (&[], ROOM, 1, &[read_for(IsDropped, &[0]), read(&[0])]),
    (&[], ROOM, 1, &[read_for(Fails, &[0]), read(&[0])]),
    (&[], ROOM, 1, &[read_for(LandsUnstored, &[0]), read(&[0])]),
    (&[0], ROOM, 1, &[read(&[0]), write(Whole, &[0]), Actor::Sweep]),
    (&[], ROOM, 1, &[restore(&[0]), PEEK, write(Vins, &[0])]),
    (&[], ROOM, 1, &[restore(&[0]), PEEK, write(Plates, &[0])]),
    (&[], ROOM, 1, &[restore(&[0]), PEEK, write(Many, &[0])]),
    (&[], ROOM, 1, &[restore(&[0]), PEEK, write(Whole, &[0])]),
    (&[], ROOM, 1, &[restore(&[0]), PEEK, write(Purge, &[0])]),
    (&[], ROOM, 1, &[restore(&[0]), PEEK, give_up(Vins, &[0])]),
    (&[], ROOM, 1, &[restore(&[0]), read(&[0]), write(Vins, &[0])]),
    (&[], ROOM, 1, &[restore(&[0]), PEEK, write_elsewhere(Vins, &[0])]),
    (&[], ROOM, 2, &[restore(&[0, 1]), write(Whole, &[0, 1]), Actor::Sweep]),
    // Room for one of two, and for none.
    (&[0], 1, 2, &[read(&[1]), PEEK, write(Vins, &[0])]),
    (&[], 1, 2, &[read(&[0]), read(&[1])]),
    (&[0], 0, 1, &[read(&[0]), PEEK]),
];

pub(super) const LARGE: &[Program] = &[
    (&[], ROOM, 1, &[read(&[0]), read(&[0]), write(Vins, &[0])]),
    (&[], ROOM, 1, &[RELOAD, read(&[0]), write(Vins, &[0])]),
    (&[0], ROOM, 1, &[STALE, STALE, write(Vins, &[0])]),
    (&[], ROOM, 1, &[read_for(IsDropped, &[0]), read(&[0]), write(Vins, &[0])]),
    (&[0], ROOM, 2, &[read(&[0, 1]), write(Many, &[1]), Actor::Sweep]),
    (&[], ROOM, 2, &[read(&[0, 1]), read(&[1, 0])]),
    (&[], ROOM, 2, &[read(&[0, 1]), PEEK, write(Vins, &[1, 0])]),
    (&[], ROOM, 2, &[read_for(Fails, &[0, 1]), read(&[1])]),
    (&[], ROOM, 1, &[read(&[0]), read(&[0]), write_elsewhere(Vins, &[0])]),
    (&[0], ROOM, 1, &[read(&[0]), read(&[0]), write_elsewhere(Whole, &[0])]),
    (&[], ROOM, 1, &[read(&[0]), write(Vins, &[0]), write_elsewhere(Plates, &[0])]),
];

pub(super) const HUGE: &[Program] = &[
    (
        &[0],
        ROOM,
        2,
        &[
            read(&[0, 1]),
            read_for(IsSentEarly, &[1, 0]),
            read_for(IsDropped, &[1, 0]),
            RELOAD,
            STALE,
            write(Vins, &[0, 1]),
            write(Whole, &[0, 1]),
            write_elsewhere(Vins, &[0, 1]),
            restore(&[0, 1]),
            Actor::Sweep,
        ],
    ),
    (
        &[0, 1],
        1,
        2,
        &[
            read(&[1, 0]),
            read_for(Fails, &[0, 1]),
            STALE_ON_ERROR,
            read(&[0]),
            write(Plates, &[0]),
            give_up(Vins, &[1]),
        ],
    ),
];
