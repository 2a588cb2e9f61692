//! Keeps a bad model from taking the process down: panics inside tract become messages, deep graphs get a deep stack.

use std::cell::RefCell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

/// Stack of the thread that parses and compiles, in bytes. tract walks graphs recursively in places; the pages are only
/// touched when they are needed.
const STACK_BYTES: usize = 64 << 20;

thread_local! {
    /// `Some` while this thread runs guarded code: what the panic said, to be filled by the hook.
    static CAUGHT: RefCell<Option<String>> = const { RefCell::new(None) };
}

static HOOK: Once = Once::new();

/// Runs `work`; a panic inside becomes an error that says what and where, and prints nothing.
pub(crate) fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    HOOK.call_once(|| {
        let previous = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let message = || {
                let payload = info.payload();
                let text = payload.downcast_ref::<&str>().copied();
                let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("panic");
                let file = info.location().map(|l| l.file().rsplit('/').next().unwrap_or_default().to_owned());
                let line = info.location().map_or(0, |l| l.line());
                format!("{text} ({}:{line})", file.unwrap_or_default())
            };
            let handled = CAUGHT.with(|c| match &mut *c.borrow_mut() {
                Some(caught) => {
                    *caught = message();
                    true
                }
                None => false,
            });
            if !handled {
                previous(info);
            }
        }));
    });
    let outer = CAUGHT.with(|c| c.borrow_mut().replace(String::new()));
    let result = panic::catch_unwind(AssertUnwindSafe(work));
    let caught = CAUGHT.with(|c| std::mem::replace(&mut *c.borrow_mut(), outer));
    result.map_err(|_| format!("internal failure: {}", caught.unwrap_or_default()))
}

/// [`guarded`] on a thread of its own with a deep stack, for work whose recursion depth the file decides.
pub(crate) fn guarded_deep<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T, String> {
    std::thread::scope(|scope| {
        std::thread::Builder::new()
            .name("model-load".into())
            .stack_size(STACK_BYTES)
            .spawn_scoped(scope, || guarded(work))
            .map_err(|e| format!("cannot start a thread: {e}"))?
            .join()
            .unwrap_or_else(|_| Err("internal failure while loading".into()))
    })
}

/// Checks that the system has a thread to spare for [`guarded_deep`]: without one no model is to blame for not being loaded.
///
/// # Errors
/// The system's error.
pub fn spare_thread() -> std::io::Result<()> {
    let thread = std::thread::Builder::new().name("model-load".into()).stack_size(STACK_BYTES).spawn(|| ())?;
    // It does nothing that could panic.
    let _ = thread.join();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_its_message() {
        let error = guarded(|| panic!("index {} of {}", 3, 2)).map(|()| 0).unwrap_err();
        assert!(error.contains("index 3 of 2"), "{error}");
        assert!(error.contains("guard.rs:"), "{error}");
        assert_eq!(guarded(|| 5), Ok(5));
    }

    #[test]
    fn deep_recursion_has_room() {
        fn down(n: u32) -> u64 {
            let pad = std::hint::black_box([u64::from(n); 32]);
            if n == 0 { pad[0] } else { down(n - 1) + std::hint::black_box(pad[31] - pad[30]) }
        }
        assert_eq!(guarded_deep(|| down(40_000)), Ok(0));
    }
}
