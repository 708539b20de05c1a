//! A child process that ends when this process does, even by SIGKILL.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::path::Path;
use std::process::ExitStatus;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, ChildStdin};
use tokio::time::timeout;

use super::account::Account;

/// The parent-death signal of Linux would need unsafe code, and it is tied to the thread that
/// forked. A pipe and a shell work on every Unix.
const SCRIPT: &str = include_str!("guard.sh");

/// What the watcher does once we are gone.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cleanup<'a> {
    /// `INT` or `QUIT`, as kill(1) spells it.
    pub(super) signal: &'a str,
    /// Removed when the command has ended.
    pub(super) folder: &'a Path,
}

/// A running command and the pipe its watcher reads. Dropping it ends the command, in its own time.
#[derive(Debug)]
pub(super) struct Guarded {
    child: Child,
    pid: Pid,
    leash: ChildStdin,
}

impl Guarded {
    /// Starts `command` as `account`. All its processes hold `alive` as standard output.
    pub(super) fn start<S: AsRef<OsStr>>(
        account: &Account,
        cleanup: Cleanup<'_>,
        alive: File,
        log: File,
        command: impl IntoIterator<Item = S>,
    ) -> io::Result<Self> {
        let mut shell = account.command("/bin/sh");
        // Paths travel as arguments, so nothing in them is ever read as shell text.
        shell.args(["-c", SCRIPT, "guard", cleanup.signal]).arg(cleanup.folder).args(command);
        shell.stdin(std::process::Stdio::piped()).stdout(alive).stderr(log);
        // A Ctrl-C at the terminal goes to our process group: the loader must first drain.
        shell.process_group(0);
        let mut child = shell.spawn()?;
        let gone = || io::Error::other("the child has no process id or no standard input");
        let pid = child.id().and_then(|pid| Pid::from_raw(pid as i32)).ok_or_else(gone)?;
        // Taken out of the child: `Child::wait` would close it first, which the watcher takes for
        // our death.
        let leash = child.stdin.take().ok_or_else(gone)?;
        Ok(Self { child, pid, leash })
    }

    pub(super) fn pid(&self) -> u32 {
        self.pid.as_raw_nonzero().get() as u32
    }

    /// The exit status, if the command has ended by itself.
    pub(super) fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// Waits for the command's own end and dismisses the watcher.
    pub(super) async fn finish(mut self) -> io::Result<ExitStatus> {
        let status = self.child.wait().await?;
        self.dismiss().await;
        Ok(status)
    }

    /// Sends each signal in turn, with the time the command has to end before the next one; after
    /// the last one the wait has no limit, so it should be SIGKILL.
    pub(super) async fn end(mut self, signals: &[(Signal, Duration)]) -> io::Result<ExitStatus> {
        for &(signal, patience) in signals {
            // Until it is waited for, the id cannot pass to another process.
            if self.child.try_wait()?.is_none() {
                kill_process(self.pid, signal)?;
            }
            if let Ok(status) = timeout(patience, self.child.wait()).await {
                let status = status?;
                self.dismiss().await;
                return Ok(status);
            }
        }
        self.finish().await
    }

    /// Only after the child was waited for: the watcher would otherwise leave a living command.
    async fn dismiss(&mut self) {
        // A watcher that was killed has nothing left to be told.
        let _ = self.leash.write_all(b"done\n").await;
    }
}
