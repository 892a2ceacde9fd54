//! What a streaming call counts by, until all is sent, its response is there, or its client is slow.

use std::sync::Arc;

use parking_lot::Mutex;

use super::{
    ClientId,
    admission::{Slot, StreamingSlot},
};

#[derive(Debug)]
pub(super) struct Held {
    slot: Mutex<Option<Slot>>,
    streaming: Mutex<Option<StreamingSlot>>,
}

/// Dropped when all of the request is sent: its client sets the pace no more.
pub(super) struct Sending(pub(super) Arc<Held>);

impl Held {
    pub(super) fn new(slot: Slot, streaming: Option<StreamingSlot>) -> Self {
        Self { slot: Mutex::new(Some(slot)), streaming: Mutex::new(streaming) }
    }

    /// Whose call it is.
    pub(super) fn client(&self) -> Option<ClientId> {
        self.slot.lock().as_ref().and_then(Slot::client)
    }

    pub(super) fn take_slot(&self) -> Option<Slot> {
        self.slot.lock().take()
    }

    pub(super) fn give_back(&self) {
        drop(self.take_slot());
        self.stop_streaming();
    }

    fn stop_streaming(&self) {
        // The lock is free before the next call is let in.
        let streaming = self.streaming.lock().take();
        drop(streaming);
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        self.0.stop_streaming();
    }
}
