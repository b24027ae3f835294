//! Work on many units from a few threads.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::QueryError;

/// Runs `work` for each index below `count`, each thread with a worker of its own. The first error ends all of them.
///
/// Workers are used again and again, so that what they have learned and allocated serves the next call too. With one
/// worker everything happens on the calling thread.
pub(crate) fn for_each<W: Send>(
    workers: &mut [W],
    count: usize,
    work: impl Fn(&mut W, usize) -> Result<(), QueryError> + Sync,
) -> Result<(), QueryError> {
    let threads = workers.len().min(count);
    if threads <= 1 {
        let Some(worker) = workers.first_mut() else { return Ok(()) };
        return (0..count).try_for_each(|index| work(worker, index));
    }
    let next = AtomicUsize::new(0);
    let failure: Mutex<Option<QueryError>> = Mutex::new(None);
    std::thread::scope(|scope| {
        for worker in &mut workers[..threads] {
            let (next, failure, work) = (&next, &failure, &work);
            scope.spawn(move || {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    if index >= count {
                        return;
                    }
                    if let Err(error) = work(worker, index) {
                        next.store(count, Ordering::Relaxed);
                        // A poisoned lock means that another thread panicked; the scope passes that on.
                        if let Ok(mut failure) = failure.lock() {
                            failure.get_or_insert(error);
                        }
                        return;
                    }
                }
            });
        }
    });
    match failure.into_inner() {
        Ok(Some(error)) => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn does_all_the_work_once() {
        for threads in [1, 2, 7] {
            let mut workers = vec![Vec::new(); threads];
            for_each(&mut workers, 100, |done, index| {
                done.push(index);
                Ok(())
            })
            .unwrap();
            let mut all: Vec<usize> = workers.concat();
            all.sort_unstable();
            assert_eq!(all, (0..100).collect::<Vec<_>>());
        }
    }

    #[test]
    fn stops_at_an_error() {
        let mut workers = vec![0usize; 3];
        let result = for_each(&mut workers, 1_000_000, |done, index| {
            *done += 1;
            if index == 10 { Err(QueryError::Timeout) } else { Ok(()) }
        });
        assert!(matches!(result, Err(QueryError::Timeout)));
        assert!(workers.iter().sum::<usize>() < 1_000_000);
    }
}
