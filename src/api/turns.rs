//! Whose turn it is: requests that touch files come one at a time, and so do large ones, whichever way they came.

use std::fmt;
use std::sync::Arc;

use tokio::sync::{Mutex, Semaphore, oneshot};

use super::request::{ErrorCode, Fault, Request, Response};

/// Whoever carries requests out.
pub trait Control: Send + Sync {
    /// Carries one out. Requests that [touch files](Request::touches_files) come one at a time and from a thread of
    /// their own; all others from the event loop, so they must not block.
    fn handle(&self, request: Request) -> Response;
}

/// The turns of one box.
pub struct Turns {
    control: Arc<dyn Control>,
    /// For a request longer than [`CONTROL_SMALL`](crate::budget::CONTROL_SMALL).
    pub large: Semaphore,
    /// For a request that touches files.
    files: Mutex<()>,
}

impl Turns {
    /// Requests are carried out by `control`.
    pub fn new(control: Arc<dyn Control>) -> Self {
        Self {
            control,
            large: Semaphore::new(1),
            files: Mutex::new(()),
        }
    }

    /// Carries a request out when it is its turn.
    pub async fn carry_out(&self, request: Request) -> Response {
        if request.takes_long() {
            let done = self.apart(move |control| control.handle(request)).await;
            return done.unwrap_or_else(Response::from);
        }
        match request.touches_files() {
            false => self.control.handle(request),
            true => {
                let done = self.beside(move |control| control.handle(request)).await;
                done.unwrap_or_else(Response::from)
            }
        }
    }

    /// Whoever carries out what touches no files.
    pub fn control(&self) -> &dyn Control {
        &*self.control
    }

    /// Does something that touches files, when it is its turn, on a thread that may block.
    ///
    /// # Errors
    /// When it ended in a defect.
    pub async fn beside<R: Send + 'static>(
        &self,
        act: impl FnOnce(&dyn Control) -> R + Send + 'static,
    ) -> Result<R, Fault> {
        let _one_at_a_time = self.files.lock().await;
        let control = Arc::clone(&self.control);
        let done = tokio::task::spawn_blocking(move || act(&*control)).await;
        done.map_err(|_| defect())
    }

    /// Does something that may take long, such as waiting for another box: on a thread of its own, so that neither
    /// files nor name lookups wait for it. Whoever calls this bounds how many there are.
    ///
    /// # Errors
    /// When it ended in a defect, or there is no thread.
    pub async fn apart<R: Send + 'static>(
        &self,
        act: impl FnOnce(&dyn Control) -> R + Send + 'static,
    ) -> Result<R, Fault> {
        let control = Arc::clone(&self.control);
        let (done, result) = oneshot::channel();
        let thread = std::thread::Builder::new()
            .name("apart".to_owned())
            .stack_size(APART_STACK);
        let begun = thread.spawn(move || {
            // Whoever asked may have gone away meanwhile.
            let _ = done.send(act(&*control));
        });
        begun.map_err(|error| {
            let words = format!("no thread: {error}; try again");
            Fault::new(ErrorCode::Unavailable, words)
        })?;
        result.await.map_err(|_| defect())
    }
}

/// Stack of a thread of its own, bytes.
const APART_STACK: usize = 256 * 1024;

fn defect() -> Fault {
    let words = "the request failed inside the box; its log says more";
    Fault::new(ErrorCode::Internal, words)
}

impl fmt::Debug for Turns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Turns").finish_non_exhaustive()
    }
}
