//! The thread that works on the store of data packages, so that a slow disk holds up nothing else.

use std::fmt;
use std::io;

use tokio::sync::{mpsc, oneshot};

/// Pieces of work that may wait.
const WAITING: usize = 8;
/// Its stack, bytes; the buffers are on the heap.
const STACK: usize = 256 * 1024;

type Work = Box<dyn FnOnce() + Send>;

/// The thread; clones share it. It ends when the last of them is dropped.
#[derive(Clone)]
pub struct Clerk(mpsc::Sender<Work>);

impl Clerk {
    /// Starts the thread.
    ///
    /// # Errors
    /// If the system gives none.
    pub fn start() -> io::Result<Self> {
        let (work, mut inbox) = mpsc::channel::<Work>(WAITING);
        std::thread::Builder::new()
            .name("packages".to_owned())
            .stack_size(STACK)
            .spawn(move || {
                while let Some(work) = inbox.blocking_recv() {
                    work();
                }
            })?;
        Ok(Self(work))
    }

    /// Has something done on the thread, one after the other; waits for its turn and for its end.
    ///
    /// # Errors
    /// If the thread is gone: the box stops, or the work before ended in a defect.
    pub async fn run<R: Send + 'static>(
        &self,
        act: impl FnOnce() -> R + Send + 'static,
    ) -> Result<R, NoClerk> {
        let (done, answer) = oneshot::channel();
        let work: Work = Box::new(move || {
            // Whoever asked may have gone away.
            let _ = done.send(act());
        });
        self.0.send(work).await.map_err(|_| NoClerk)?;
        answer.await.map_err(|_| NoClerk)
    }

    /// Leaves something to be done some time; where too much waits, it is done at once.
    pub fn leave(&self, act: impl FnOnce() + Send + 'static) {
        let work: Work = Box::new(act);
        if let Err(
            mpsc::error::TrySendError::Full(work) | mpsc::error::TrySendError::Closed(work),
        ) = self.0.try_send(work)
        {
            work();
        }
    }

    /// Drops something on the thread.
    pub fn let_go<T: Send + 'static>(&self, what: T) {
        self.leave(move || drop(what));
    }
}

impl fmt::Debug for Clerk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clerk").finish_non_exhaustive()
    }
}

/// The thread is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoClerk;

impl fmt::Display for NoClerk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the store of data packages does not answer; the log says more")
    }
}

impl std::error::Error for NoClerk {}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_is_done_in_turn_and_beside_the_loop() {
        let clerk = Clerk::start().unwrap();
        let here = std::thread::current().id();
        let (one, two) = tokio::join!(
            clerk.run(move || std::thread::current().id() != here),
            clerk.run(|| 2)
        );
        assert_eq!((one, two), (Ok(true), Ok(2)));
    }
}
