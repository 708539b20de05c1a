//! psql as a baseline: connected beforehand, so that starting it is no part of what is timed.

use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use strom_load::pg::embedded::Server;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// A connected psql that waits for its command.
pub(crate) struct Psql {
    /// Its process.
    pub(crate) child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    command: String,
}

impl Psql {
    /// Connects; `command` is what it will be told.
    pub(crate) fn start(server: &Server, command: String) -> Result<Self> {
        let mut child =
            psql(server).args(["-q"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let input = child.stdin.take().ok_or("no input")?;
        let output = BufReader::new(child.stdout.take().ok_or("no output")?);
        let mut psql = Self { child, input, output, command };
        writeln!(psql.input, "\\echo ready")?;
        psql.wait()?;
        Ok(psql)
    }

    /// Tells it.
    pub(crate) fn go(&mut self) -> Result<()> {
        Ok(writeln!(self.input, "{}\n\\echo done", self.command)?)
    }

    /// Until it has done what it was told.
    pub(crate) fn wait(&mut self) -> Result<()> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        if matches!(line.trim(), "ready" | "done") { Ok(()) } else { Err(line.into()) }
    }

    /// Ends it.
    pub(crate) fn stop(mut self) -> Result<()> {
        drop(self.input);
        self.child.wait()?;
        Ok(())
    }
}

/// Runs SQL, and then a checkpoint, so that every run begins alike.
pub(crate) fn prepare(server: &Server, sql: &str) -> Result<()> {
    let run = psql(server).args(["-c", sql, "-c", "CHECKPOINT"]).output()?;
    if run.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&run.stderr).into()) }
}

fn psql(server: &Server) -> Command {
    let mut command = Command::new(server.bindir().join("psql"));
    let port = server.port().to_string();
    command.args(["-X", "-v", "ON_ERROR_STOP=1", "-p", &port]).arg("-h").arg(server.socket_dir());
    command.args(["-U", server.user(), "-d", server.database()]);
    command
}
