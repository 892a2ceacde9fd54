//! The latest of what happens to vehicles, for whoever asks about one. Look-ups never write it.

use std::collections::VecDeque;

use parking_lot::Mutex;

/// The latest, oldest first.
#[derive(Debug)]
pub(super) struct Recent<T>(Mutex<VecDeque<T>>);

/// Some two megabytes at most; sixteen calls of the largest size.
pub(super) const MOST: usize = 8192;

impl<T> Recent<T> {
    /// Adds these. The oldest go for them.
    pub(super) fn extend(&self, new: impl Iterator<Item = T>) {
        let mut recent = self.0.lock();
        for one in new {
            if recent.len() == MOST {
                recent.pop_front();
            }
            recent.push_back(one);
        }
    }

    /// The last one of which there is something to say, if it is not forgotten.
    pub(super) fn last<R>(&self, of: impl FnMut(&T) -> Option<R>) -> Option<R> {
        self.0.lock().iter().rev().find_map(of)
    }

    /// The greatest of what there is to say of all that are not forgotten.
    pub(super) fn greatest<R: Ord>(&self, of: impl FnMut(&T) -> Option<R>) -> Option<R> {
        self.0.lock().iter().filter_map(of).max()
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.lock().len()
    }
}

impl<T> Default for Recent<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}
