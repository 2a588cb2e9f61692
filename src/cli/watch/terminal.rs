//! The terminal, taken for a screen and always given back: at the end, at a suspension and at a panic.

use std::io::{self, Stdout, Write as _, stdout};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::Show;
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};

/// The terminal is in raw mode and shows the other screen.
static TAKEN: AtomicBool = AtomicBool::new(false);

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
