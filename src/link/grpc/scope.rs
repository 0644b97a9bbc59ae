//! The tasks of one connection, so that all of them end with it.

use std::future::{Future, poll_fn};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use tokio::task::JoinSet;

/// Spawns tasks that can be ended together. hyper spawns one or two per call; without this they would outlive a
/// connection that is cut. Clones share the tasks.
#[derive(Debug, Clone)]
pub struct TaskScope {
    tasks: Arc<Mutex<Option<JoinSet<()>>>>,
}

impl TaskScope {
    /// A scope without tasks.
    pub fn new() -> Self {
        Self {
            tasks: Arc::new(Mutex::new(Some(JoinSet::new()))),
        }
    }

    /// Runs a task until it ends or the scope does. After [`Self::end`] the task is dropped at once.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.lock();
        match tasks.as_mut() {
            Some(tasks) => {
                // Tidies up what has ended, so that the set stays as small as the number of live tasks.
                while tasks.try_join_next().is_some() {}
                tasks.spawn(task);
            }
            // A task may hold this very scope: let go of the lock before dropping it.
            None => drop(tasks),
        }
    }

    /// Ends every task at its next await, and every later one before it begins.
    pub fn end(&self) {
        let tasks = self.lock().take();
        drop(tasks);
    }

    /// Waits until no task is left.
    pub async fn idle(&self) {
        poll_fn(|context| {
            loop {
                let mut tasks = self.lock();
                let Some(tasks) = tasks.as_mut() else {
                    return Poll::Ready(());
                };
                match tasks.poll_join_next(context) {
                    Poll::Ready(Some(_)) => {}
                    Poll::Ready(None) => return Poll::Ready(()),
                    Poll::Pending => return Poll::Pending,
                }
            }
        })
        .await;
    }

    /// Ends the scope when the returned guard is dropped, whichever way that comes about.
    pub fn guard(&self) -> ScopeGuard {
        ScopeGuard(self.clone())
    }

    fn lock(&self) -> MutexGuard<'_, Option<JoinSet<()>>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for TaskScope {
    fn default() -> Self {
        Self::new()
    }
}

impl<F: Future<Output = ()> + Send + 'static> hyper::rt::Executor<F> for TaskScope {
    fn execute(&self, task: F) {
        self.spawn(task);
    }
}

/// Ends a [`TaskScope`] when dropped.
#[derive(Debug)]
pub struct ScopeGuard(TaskScope);

impl Drop for ScopeGuard {
    fn drop(&mut self) {
        self.0.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::pending;

    #[tokio::test]
    async fn everything_ends_with_the_scope() {
        let scope = TaskScope::new();
        let held = Arc::new(());
        let guard = scope.guard();
        for _ in 0..3 {
            let (held, inner) = (Arc::clone(&held), scope.clone());
            scope.spawn(async move {
                let _held = (held, inner);
                pending::<()>().await;
            });
        }
        tokio::task::yield_now().await;
        drop(guard);
        let late = Arc::clone(&held);
        scope.spawn(async move { drop(late) });
        scope.idle().await;
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert_eq!(Arc::strong_count(&held), 1);
    }

    #[tokio::test]
    async fn idle_waits_for_the_last_task() {
        let scope = TaskScope::new();
        for _ in 0..5 {
            scope.spawn(async { tokio::task::yield_now().await });
        }
        scope.idle().await;
        assert!(scope.lock().as_ref().is_some_and(JoinSet::is_empty));
    }
}
