//! Child processes that cannot outlive, leak into or hang the daemon: spawned, read with a timeout, stopped, reaped.
//!
//! One long-lived thread forks every child, because the parent-death signal that ends a child with the daemon follows the
//! *thread* that forked it (`prctl(2)`, `PR_SET_PDEATHSIG`): a child forked by a pipeline's thread would be killed at each reload
//! of that pipeline. A child has its own process group, no standard input beyond the bytes given at its start, and no other
//! inherited descriptor (Rust opens everything close-on-exec).

#![allow(unsafe_code, reason = "Command::pre_exec")]

mod lines;

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender, SyncSender};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, getpid, getppid, kill_process_group, set_parent_process_death_signal, waitid,
};

use super::Mask;
use lines::Lines;

/// A program to run.
#[derive(Clone, Debug)]
pub struct Spec {
    /// Name in log lines and errors: `ffmpeg`.
    pub name: String,
    /// Program: a path, or a name that is looked up in PATH.
    pub program: String,
    /// Arguments; every user of the computer can read them.
    pub args: Vec<String>,
    /// Standard input of up to 64 KiB; empty = none.
    pub stdin: Vec<u8>,
    /// Package with the program, named in the error when the program is missing: `the Debian package ffmpeg`.
    pub package: &'static str,
    /// Secrets to mask in its messages.
    pub mask: Mask,
}

/// A child could not be started.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// The program is missing and has to be installed.
    #[error("the program {program} was not found: install {package}, or name it by its full path")]
    Missing {
        /// The program.
        program: String,
        /// Package with the program.
        package: &'static str,
    },
    /// The program may not be executed.
    #[error("the program {program} may not be run: permission denied")]
    Denied {
        /// The program.
        program: String,
    },
    /// Any other cause, such as too many processes; may be temporary.
    #[error("{program} could not be started: {error}")]
    Failed {
        /// The program.
        program: String,
        /// The system's error.
        error: io::Error,
    },
}

/// Result of [`Child::read`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read {
    /// Number of bytes read.
    Data(usize),
    /// Nothing arrived in time.
    Quiet,
    /// The child closed its standard output: it has ended or is about to.
    Closed,
}

/// End of a child.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exit {
    /// It ended by itself with status 0.
    pub success: bool,
    /// For people: `ffmpeg ended with status 1: Connection refused`.
    pub words: String,
}

/// A running child. Dropping it stops it.
#[derive(Debug)]
pub struct Child {
    name: String,
    process: Option<std::process::Child>,
    stdout: OwnedFd,
    stderr: Option<OwnedFd>,
    lines: Lines,
}

/// Time from SIGTERM to SIGKILL.
const GRACE: Duration = Duration::from_millis(200);
/// Time for a child to end after it has closed its output (then SIGTERM), or after SIGKILL (then it is left to the spawning
/// thread: a process stuck in a driver ends when the driver returns).
const MOMENT: Duration = Duration::from_millis(100);
/// Bytes of standard error taken in one [`Child::read`]; a child that floods it is slowed to this rate.
const STDERR_PER_READ: usize = 256 * 1024;

impl Child {
    /// Starts the program with its output and messages on pipes.
    ///
    /// # Errors
    /// [`SpawnError`].
    pub fn spawn(spec: &Spec) -> Result<Child, SpawnError> {
        let failed = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound => SpawnError::Missing { program: spec.program.clone(), package: spec.package },
            io::ErrorKind::PermissionDenied => SpawnError::Denied { program: spec.program.clone() },
            _ => SpawnError::Failed { program: spec.program.clone(), error },
        };
        let mut command = Command::new(&spec.program);
        let stdin = if spec.stdin.is_empty() { Stdio::null() } else { filled(&spec.stdin).map_err(failed)?.into() };
        command.args(&spec.args).stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        let parent = getpid();
        let die_with_us = move || {
            set_parent_process_death_signal(Some(Signal::KILL))?;
            // The daemon may have died between the fork and the line above; the signal would then never come.
            if getppid() == Some(parent) { Ok(()) } else { Err(io::ErrorKind::Interrupted.into()) }
        };
        // SAFETY: between fork and exec only async-signal-safe calls are allowed; the closure makes two plain system calls
        // (prctl, getppid) and allocates nothing.
        unsafe { command.pre_exec(die_with_us) };

        let mut process = spawn_on_thread(command).map_err(failed)?;
        ids().push(process.id());
        let (stdout, stderr) = match (process.stdout.take(), process.stderr.take()) {
            (Some(stdout), Some(stderr)) => (OwnedFd::from(stdout), OwnedFd::from(stderr)),
            _ => return Err(failed(io::Error::other("no pipes"))),
        };
        let mut child = Child {
            name: spec.name.clone(),
            process: Some(process),
            stdout,
            stderr: None,
            lines: Lines::new(spec.name.clone(), spec.mask.clone()),
        };
        for fd in [&child.stdout, &stderr] {
            fcntl_getfl(fd)
                .and_then(|flags| fcntl_setfl(fd, flags | OFlags::NONBLOCK))
                .map_err(|e| failed(io::Error::from(e)))?;
        }
        child.stderr = Some(stderr);
        Ok(child)
    }

    /// Process id while it runs.
    pub fn id(&self) -> Option<u32> {
        self.process.as_ref().map(std::process::Child::id)
    }

    /// Waits up to `timeout` for output and reads what is available into `into`; messages go to the log meanwhile, at the level `debug`.
    ///
    /// # Errors
    /// Errors of `poll(2)` or `read(2)` except interruption.
    pub fn read(&mut self, into: &mut [u8], timeout: Duration) -> io::Result<Read> {
        let deadline = Instant::now() + timeout;
        let mut budget = STDERR_PER_READ;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let (output, messages) = self.wait(left, budget > 0)?;
            if messages {
                budget = budget.saturating_sub(self.drain_stderr(budget));
            }
            if output {
                match rustix::io::read(&self.stdout, &mut *into) {
                    Ok(0) => return Ok(Read::Closed),
                    Ok(n) => return Ok(Read::Data(n)),
                    Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            if left.is_zero() {
                return Ok(Read::Quiet);
            }
        }
    }

    /// Stops a running child (SIGTERM, then SIGKILL, to its whole process group) within 400 ms and returns how it ended.
    pub fn stop(mut self) -> Exit {
        self.end(Duration::ZERO)
    }

    /// [`Child::stop`] for a child that has closed its output, which is first given time to end by itself.
    pub fn finish(mut self) -> Exit {
        self.end(MOMENT)
    }

    fn end(&mut self, by_itself: Duration) -> Exit {
        let Some(mut process) = self.process.take() else {
            return Exit { success: false, words: format!("{} has ended", self.name) };
        };
        let pid = Pid::from_child(&process);
        let asked = !ended(pid, by_itself);
        if asked {
            let _ = kill_process_group(pid, Signal::TERM);
        }
        let gone = !asked || ended(pid, GRACE);
        // Sent even after its end, for processes that it started. It was not reaped, so its id still means this group.
        let _ = kill_process_group(pid, Signal::KILL);
        self.drain_stderr(STDERR_PER_READ);
        self.lines.flush(Instant::now());
        if !gone && !ended(pid, MOMENT) {
            leave_to_reaper(process);
            return Exit { success: false, words: format!("{} does not end even when killed", self.name) };
        }
        let waited = process.wait();
        forget(process.id());
        match waited {
            Ok(status) => {
                let mut words = format!("{} {}", self.name, in_words(status));
                if let Some(reason) = self.lines.reason().filter(|_| !status.success()) {
                    words = format!("{words}: {reason}");
                }
                Exit { success: status.success(), words }
            }
            Err(error) => Exit { success: false, words: format!("{}: no exit status: {error}", self.name) },
        }
    }

    /// Waits for output or messages. Returns `(output, messages)`.
    fn wait(&self, timeout: Duration, with_stderr: bool) -> io::Result<(bool, bool)> {
        let mut fds = [
            PollFd::new(&self.stdout, PollFlags::IN),
            PollFd::new(self.stderr.as_ref().unwrap_or(&self.stdout), PollFlags::IN),
        ];
        let count = if with_stderr && self.stderr.is_some() { 2 } else { 1 };
        let timeout = Timespec { tv_sec: timeout.as_secs() as _, tv_nsec: timeout.subsec_nanos() as _ };
        match poll(&mut fds[..count], Some(&timeout)) {
            Ok(_) => Ok((!fds[0].revents().is_empty(), count == 2 && !fds[1].revents().is_empty())),
            Err(rustix::io::Errno::INTR) => Ok((false, false)),
            Err(error) => Err(error.into()),
        }
    }

    /// Logs available standard error, up to `most` bytes. Returns the number of bytes.
    fn drain_stderr(&mut self, most: usize) -> usize {
        let mut chunk = [0; 4096];
        let mut total = 0;
        while let Some(fd) = &self.stderr
            && total < most
        {
            match rustix::io::read(fd, &mut chunk) {
                Ok(n @ 1..) => {
                    total += n;
                    self.lines.push(&chunk[..n], Instant::now());
                }
                Err(rustix::io::Errno::AGAIN) => break,
                Err(rustix::io::Errno::INTR) => {}
                Ok(_) | Err(_) => self.stderr = None,
            }
        }
        total
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.process.is_some() {
            self.end(Duration::ZERO);
        }
    }
}

/// A pipe with `bytes` followed by end of file.
fn filled(bytes: &[u8]) -> io::Result<io::PipeReader> {
    // Capacity of a pipe without a reader (pipe(7)).
    const MOST: usize = 64 * 1024;
    if bytes.len() > MOST {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "too much for its standard input"));
    }
    let (reader, mut writer) = io::pipe()?;
    io::Write::write_all(&mut writer, bytes)?;
    Ok(reader)
}

/// Process ids of started children that were not waited for yet. Bounded by the number of pipelines and of children about to end,
/// since each pipeline has one child at a time.
static RUNNING: Mutex<Vec<u32>> = Mutex::new(Vec::new());

/// Process ids of our running children.
pub fn running() -> Vec<u32> {
    ids().clone()
}

fn ids() -> MutexGuard<'static, Vec<u32>> {
    // Pushing and removing leave the list valid even after a panic.
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

fn forget(id: u32) {
    ids().retain(|running| *running != id);
}

/// Waits up to `timeout` for the process to end, without reaping it.
fn ended(pid: Pid, timeout: Duration) -> bool {
    let deadline = Instant::now() + timeout;
    loop {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        match waitid(WaitId::Pid(pid), options) {
            Ok(None) | Err(rustix::io::Errno::INTR) => {}
            Ok(Some(_)) | Err(_) => return true,
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return false;
        }
        std::thread::sleep(left.min(Duration::from_millis(3)));
    }
}

fn in_words(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with status {code}"),
        (None, Some(signal)) => {
            let name = match signal {
                6 => " (abort)",
                9 => " (kill)",
                11 => " (segmentation fault)",
                15 => " (terminate)",
                _ => "",
            };
            format!("was ended by signal {signal}{name}")
        }
        (None, None) => "ended".into(),
    }
}

enum Job {
    Spawn(Box<Command>, SyncSender<io::Result<std::process::Child>>),
    Reap(std::process::Child),
}

/// The queue of the spawning thread. Unbounded, but each pipeline has one child at a time and waits for the answer.
fn spawner() -> io::Result<Sender<Job>> {
    static SPAWNER: OnceLock<Sender<Job>> = OnceLock::new();
    if let Some(sender) = SPAWNER.get() {
        return Ok(sender.clone());
    }
    let (sender, jobs) = mpsc::channel();
    std::thread::Builder::new().name("children".into()).spawn(move || spawn_children(&jobs))?;
    // Two threads may race here; the loser's thread ends when its sender is dropped, without having forked.
    Ok(SPAWNER.get_or_init(|| sender).clone())
}

fn spawn_children(jobs: &Receiver<Job>) {
    let mut dying: Vec<std::process::Child> = Vec::new();
    loop {
        let job = match dying.is_empty() {
            true => jobs.recv().map_err(|_| RecvTimeoutError::Disconnected),
            false => jobs.recv_timeout(Duration::from_secs(1)),
        };
        match job {
            Ok(Job::Spawn(mut command, answer)) => {
                let _ = answer.send(command.spawn());
            }
            Ok(Job::Reap(process)) => dying.push(process),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        dying.retain_mut(|process| {
            let dying = matches!(process.try_wait(), Ok(None));
            if !dying {
                forget(process.id());
            }
            dying
        });
    }
}

fn spawn_on_thread(command: Command) -> io::Result<std::process::Child> {
    let gone = || io::Error::other("the spawning thread is gone");
    let (answer, result) = mpsc::sync_channel(1);
    spawner()?.send(Job::Spawn(Box::new(command), answer)).map_err(|_| gone())?;
    result.recv().map_err(|_| gone())?
}

fn leave_to_reaper(process: std::process::Child) {
    if let Ok(spawner) = spawner() {
        let _ = spawner.send(Job::Reap(process));
    }
}

#[cfg(test)]
mod tests;
