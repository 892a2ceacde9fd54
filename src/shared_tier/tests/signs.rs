//! What replicas sign on the server in the [world](super::world), and what the writer knows of it.

use std::hash::Hash;

use super::world::{LEASE, NOW, TICK};
use crate::shared_tier::{
    acknowledgements::{Acknowledgements, MARK, Sign, Signs},
    position::{Era, Position, Stamp},
    rules::Rules,
};

/// The signs there, and a look at them.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct SignBoard<R> {
    pub(super) known: Acknowledgements<R>,
    mark: Written<()>,
    signs: Vec<Written<Stamp>>,
    look: Option<(Position, Signs)>,
    /// What somebody is about to remove.
    removal: Option<Vec<Vec<u8>>>,
}

/// Something, and whether it is as the writer saw it last. More of its bytes has not to be known.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Written<T>(Option<T>, bool);

/// What the bytes are that the writer saw last, and others.
const SEEN: u8 = 0;
const UNSEEN: u8 = 1;

impl<T: Clone> Written<T> {
    fn see(&mut self) -> Option<(Vec<u8>, T)> {
        let Self(what, is_seen) = self;
        let bytes = if std::mem::replace(is_seen, what.is_some()) { SEEN } else { UNSEEN };
        what.clone().map(|what| (vec![bytes], what))
    }
}

fn name(nth: usize) -> Vec<u8> {
    vec![nth as u8]
}

impl<R: Rules + Clone> SignBoard<R> {
    pub(super) fn new(replicas: usize) -> Self {
        let mut board = Self {
            known: Acknowledgements::new(LEASE),
            mark: Written(None, false),
            signs: vec![Written(None, false); replicas],
            look: None,
            removal: None,
        };
        // The writer has known the mark for long.
        board.mark = Written(Some(()), true);
        board.connected(Era::of(&[0]));
        let signs = Signs { mark: Some(vec![SEEN]), others: Vec::new() };
        board.known.note(board.known.ask(), signs, *NOW - LEASE);
        board
    }

    pub(super) fn sign(&mut self, nth: usize, applied: Stamp) {
        self.signs[nth] = Written(Some(applied), false);
    }

    pub(super) fn connected(&mut self, era: Era) {
        self.known.connected(era);
    }

    /// The writer has no connection any more.
    pub(super) fn cut(&mut self) {
        self.look = None;
    }

    pub(super) fn ask(&mut self) -> bool {
        if self.look.is_some() {
            return false;
        }
        let mark = self.mark.see().map(|(bytes, ())| bytes);
        let others = self.signs.iter_mut().enumerate().filter_map(|(nth, sign)| {
            let (bytes, applied) = sign.see()?;
            Some((name(nth), Sign { bytes, applied: Some(applied) }))
        });
        let signs = Signs { mark, others: others.collect() };
        self.look = Some((self.known.ask(), signs));
        true
    }

    pub(super) fn come(&mut self) -> bool {
        let Some((asked_for, signs)) = self.look.take() else {
            return false;
        };
        if signs.mark.is_none() {
            self.mark = Written(Some(()), false);
        }
        self.known.note(asked_for, signs, *NOW);
        self.known.set_bytes(&[SEEN]);
        true
    }

    /// Another writer has found no mark.
    pub(super) fn mark(&mut self) -> bool {
        let has_none = self.mark.0.is_none();
        if has_none {
            self.mark = Written(Some(()), false);
        }
        has_none
    }

    pub(super) fn begin_removal(&mut self, nth: usize) -> bool {
        let may_begin = self.removal.is_none() && self.signs[nth].0.is_some();
        if may_begin {
            self.removal = Some(Acknowledgements::<R>::removed(vec![name(nth)]));
        }
        may_begin
    }

    pub(super) fn remove(&mut self) -> bool {
        let Some(names) = self.removal.take() else {
            return false;
        };
        for removed in names {
            match removed == MARK {
                true => self.mark = Written(None, false),
                false => self.signs[usize::from(removed[0])] = Written(None, false),
            }
        }
        true
    }

    pub(super) fn wipe(&mut self) {
        self.mark = Written(None, false);
        self.lose();
    }

    pub(super) fn lose(&mut self) {
        self.signs.fill(Written(None, false));
    }

    pub(super) fn tick(&mut self) {
        self.known.age(TICK, *NOW, LEASE);
    }
}
