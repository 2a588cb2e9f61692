//! What was running when a kernel touched what it must not: a fault ends the process, and the last words are these.

use std::cell::RefCell;
use std::fmt::Debug;

thread_local! {
    static CASE: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Says what this thread is about to run.
pub fn running(set: &str, case: &impl Debug) {
    watch();
    CASE.with_borrow_mut(|text| {
        use std::fmt::Write;
        text.clear();
        writeln!(text, "\n{set} touched memory that is not its own: {case:?}").expect("a string takes everything");
    });
}

#[cfg(any(not(unix), miri, heap_buffers))]
fn watch() {}

/// Puts a handler before the one of the standard library, once.
#[cfg(all(unix, not(miri), not(heap_buffers)))]
fn watch() {
    extern "C" fn last_words(signal: libc::c_int) {
        let _ = CASE.try_with(|case| {
            let Ok(text) = case.try_borrow() else { return };
            // SAFETY: `write` may be called from a handler; the text belongs to this thread, which is here and nowhere else.
            unsafe { libc::write(2, text.as_ptr().cast(), text.len()) };
        });
        // SAFETY: the fault happens again when the handler returns, and ends the process.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        for signal in [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL] {
            // SAFETY: a function with a handler's signature.
            unsafe { libc::signal(signal, last_words as extern "C" fn(libc::c_int) as libc::sighandler_t) };
        }
    });
}
