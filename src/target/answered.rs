//! With which HTTP status the target took the last write of a piece of work, for the log. It comes this way because nobody
//! between the client and the journal decides anything by it.

use std::cell::Cell;
use std::future::Future;

tokio::task_local! {
    static STATUS: Cell<Option<u16>>;
}

/// Does the work; beside what comes of it, the status of the last write in it that the target took. `None`: it took none.
pub async fn with_status<T>(work: impl Future<Output = T>) -> (T, Option<u16>) {
    let noted = async {
        let out = work.await;
        (out, STATUS.with(Cell::get))
    };
    STATUS.scope(Cell::new(None), noted).await
}

/// A write was taken.
pub(super) fn note(status: u16) {
    // Outside of any such work nobody asks.
    let _ = STATUS.try_with(|last| last.set(Some(status)));
}
