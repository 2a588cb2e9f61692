//! The terminal, taken for a screen and always given back: at the end, at a suspension and at a panic; or gone, which is noticed.

use std::io::{self, Stdout, Write as _, stdout};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::Show;
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// The terminal is in raw mode and shows the other screen.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// The keyboard of a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keys {
    /// Nothing was pressed.
    None,
    /// Something can be read.
    Some,
    /// The terminal is no longer there.
    Gone,
}

/// The terminal while it is taken.
pub struct Screen {
    terminal: Terminal<CrosstermBackend<Stdout>>,
}

impl Screen {
    /// Takes the terminal. A panic gives it back before it is told.
    ///
    /// # Errors
    /// The system's, where standard output is no terminal, or none that can be controlled.
    pub fn take() -> io::Result<Screen> {
        take()?;
        let terminal = Terminal::new(CrosstermBackend::new(stdout())).inspect_err(|_| give_back())?;
        let tell = std::panic::take_hook();
        let drawing = std::thread::current().id();
        std::panic::set_hook(Box::new(move |panic| {
            // One of another thread is caught there, and would be written across the screen.
            if std::thread::current().id() == drawing {
                give_back();
                tell(panic);
            } else {
                tracing::error!("{panic}");
            }
        }));
        Ok(Screen { terminal })
    }

    /// Draws.
    ///
    /// # Errors
    /// The system's, where the terminal has gone.
    pub fn draw(&mut self, draw: impl FnOnce(&mut ratatui::Frame<'_>)) -> io::Result<()> {
        self.terminal.draw(draw).map(drop)
    }

    /// Waits until a key is pressed, for `limit` at most.
    ///
    /// # Errors
    /// The system's.
    pub fn wait(&self, limit: Duration) -> io::Result<Keys> {
        let stdin = io::stdin();
        let mut fds = [PollFd::new(&stdin, PollFlags::IN)];
        let limit = Timespec { tv_sec: 0, tv_nsec: limit.subsec_nanos().into() };
        match poll(&mut fds, Some(&limit)) {
            // A signal, for instance of another size: the caller looks.
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let found = fds[0].revents();
        // The library that reads keys would read the end of such a terminal for ever.
        if found.intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL) {
            return Ok(Keys::Gone);
        }
        Ok(if found.contains(PollFlags::IN) { Keys::Some } else { Keys::None })
    }

    /// Gives the terminal to the shell until SIGCONT comes, and takes it again.
    ///
    /// # Errors
    /// As [`Screen::take`].
    pub fn suspend(&mut self) -> io::Result<()> {
        give_back();
        rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::STOP)?;
        take()?;
        self.terminal.clear()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

/// Restores the settings of the terminal without a write, which might wait for ever.
pub fn abandon() {
    if TAKEN.swap(false, Relaxed) {
        let _ = disable_raw_mode();
    }
}

fn take() -> io::Result<()> {
    enable_raw_mode()?;
    TAKEN.store(true, Relaxed);
    execute!(stdout(), EnterAlternateScreen).inspect_err(|_| give_back())
}

/// Gives the terminal back, if it is taken. One that is gone cannot be, and needs not to be.
fn give_back() {
    if TAKEN.swap(false, Relaxed) {
        let _ = execute!(stdout(), LeaveAlternateScreen, Show);
        let _ = disable_raw_mode();
        let _ = stdout().flush();
    }
}
