//! Work of a library that takes damaged data for sound: where it panics, that is an answer and no defect of ours.

use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

thread_local! {
    /// Whether this thread says nothing of a panic.
    static IS_QUIET: Cell<bool> = const { Cell::new(false) };
}

/// What the work comes to; `None`: it has panicked. Whatever it was about to change is not to be used then.
pub(super) fn guarded<T>(work: impl FnOnce() -> T) -> Option<T> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !IS_QUIET.get() {
                usual(info);
            }
        }));
    });
    IS_QUIET.set(true);
    let done = panic::catch_unwind(AssertUnwindSafe(work));
    IS_QUIET.set(false);
    done.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_answer() {
        let nothing: [u8; 0] = [];
        assert_eq!(guarded(|| nothing.iter().max().copied().unwrap()), None);
        assert_eq!(guarded(|| 7), Some(7));
        assert!(!IS_QUIET.get());
    }
}
