//! The task that dials one peer, for as long as it is configured.

use std::future::Future;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// The task that dials one peer. Dropping it cuts the connection at once, without a goodbye; [`Dialler::stop`] says
/// goodbye first.
#[derive(Debug)]
pub struct Dialler {
    stop: watch::Sender<bool>,
    task: Option<JoinHandle<()>>,
    closing: Duration,
}

impl Dialler {
    /// Begins what `dial` makes of the stop signal; it ends within `closing` of that.
    pub fn spawn<F>(closing: Duration, dial: impl FnOnce(watch::Receiver<bool>) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (stop, stopped) = watch::channel(false);
        Self {
            stop,
            task: Some(tokio::spawn(dial(stopped))),
            closing,
        }
    }

    /// Ends the connection: what waits in the outbox is flushed, the streams half-closed, TLS closed; within two
    /// seconds.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        if let Some(task) = &mut self.task
            && timeout(self.closing + Duration::from_millis(500), task)
                .await
                .is_ok()
        {
            self.task = None;
        }
    }
}

impl Drop for Dialler {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}
