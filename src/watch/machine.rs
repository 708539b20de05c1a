//! What the machine did meanwhile: who took its processors, and whether its tasks had to wait for
//! them. Whatever the system does not tell is absent.

use std::fs;

/// Times that only grow; two readings make a difference.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
#[expect(clippy::struct_field_names, reason = "the unit is part of a name")]
pub(crate) struct MachineTimes {
    /// Time in which threads of this process were ready and had no processor, in seconds.
    pub run_delay_s: Option<f64>,
    /// Processor time that all of the machine has used, in seconds.
    pub busy_s: Option<f64>,
    /// Processor time that a hypervisor gave to others, in seconds.
    pub steal_s: Option<f64>,
    /// Processor time of the server's processes on this machine, in seconds.
    pub postgres_s: Option<f64>,
    /// Time in which some task had to wait for a processor, in seconds.
    pub cpu_pressure_s: Option<f64>,
    /// The same for a disk.
    pub io_pressure_s: Option<f64>,
    /// The same for memory.
    pub memory_pressure_s: Option<f64>,
}

impl MachineTimes {
    /// Reads all of them, with the processor time of `server`. It looks at every process, which takes some
    /// milliseconds.
    pub(crate) fn read(server: ServerProcesses) -> Self {
        let ticks_per_s = rustix::param::clock_ticks_per_second() as f64;
        let stat = fs::read_to_string("/proc/stat").ok();
        let (busy, steal) = match stat.as_deref().and_then(processor_ticks) {
            Some((busy, steal)) => (Some(busy), Some(steal)),
            None => (None, None),
        };
        let seconds = |ticks: u64| ticks as f64 / ticks_per_s;
        let pressure = |of: &str| {
            let text = fs::read_to_string(format!("/proc/pressure/{of}")).ok()?;
            pressure_us(&text).map(|us| us as f64 / 1e6)
        };
        Self {
            run_delay_s: run_delay_ns().map(|ns| ns as f64 / 1e9),
            busy_s: busy.map(seconds),
            steal_s: steal.map(seconds),
            postgres_s: server.ticks().map(seconds),
            cpu_pressure_s: pressure("cpu"),
            io_pressure_s: pressure("io"),
            memory_pressure_s: pressure("memory"),
        }
    }

    /// What each of them grew by since an earlier reading.
    #[must_use]
    pub(crate) fn since(&self, earlier: &Self) -> Self {
        let grown = |now: Option<f64>, before: Option<f64>| Some((now? - before?).max(0.0));
        Self {
            run_delay_s: grown(self.run_delay_s, earlier.run_delay_s),
            busy_s: grown(self.busy_s, earlier.busy_s),
            steal_s: grown(self.steal_s, earlier.steal_s),
            postgres_s: grown(self.postgres_s, earlier.postgres_s),
            cpu_pressure_s: grown(self.cpu_pressure_s, earlier.cpu_pressure_s),
            io_pressure_s: grown(self.io_pressure_s, earlier.io_pressure_s),
            memory_pressure_s: grown(self.memory_pressure_s, earlier.memory_pressure_s),
        }
    }

    /// Processor time of everybody but this process, which took `own_s`, and the server.
    pub(crate) fn others_s(&self, own_s: f64) -> Option<f64> {
        Some((self.busy_s? - self.postgres_s? - own_s).max(0.0))
    }
}

/// Ticks of the line `cpu` of /proc/stat: busy, and stolen by a hypervisor.
fn processor_ticks(stat: &str) -> Option<(u64, u64)> {
    let line = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let fields: Vec<u64> = line.split_whitespace().map_while(|field| field.parse().ok()).collect();
    // user nice system idle iowait irq softirq steal; guests are part of user.
    let [user, nice, system, _, _, irq, softirq, steal, ..] = *fields else { return None };
    Some((user + nice + system + irq + softirq, steal))
}

/// The total of the line `some`.
fn pressure_us(text: &str) -> Option<u64> {
    let some = text.lines().find(|line| line.starts_with("some "))?;
    some.split_whitespace().find_map(|field| field.strip_prefix("total=")?.parse().ok())
}

/// Of all threads of this process that live.
fn run_delay_ns() -> Option<u64> {
    let threads = fs::read_dir("/proc/self/task").ok()?;
    let delays = threads.filter_map(|thread| {
        let text = fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?;
        text.split_whitespace().nth(1)?.parse::<u64>().ok()
    });
    let delays: Vec<u64> = delays.collect();
    (!delays.is_empty()).then(|| delays.iter().sum())
}

/// The processes of the server on this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ServerProcesses {
    /// Those of this postmaster.
    Postmaster(u32),
    /// It was not found by its number: it runs elsewhere, or in a container. So whatever is named
    /// postgres may be its.
    Unknown,
}

/// Some processes, followed while they live, as one that ends takes its account along: how long they ran, and
/// how long they were ready to run and had no processor.
#[derive(Debug)]
pub(crate) struct Followed {
    /// Each process with its account at the last look.
    seen: Vec<(u32, Account)>,
    /// Sums so far; `None` where the system tells of none of them.
    sums: Option<Account>,
    /// Whether one has ended.
    is_part: bool,
}

/// Nanoseconds of a process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Account {
    /// On a processor, in user mode and in the kernel.
    ran: u64,
    /// Ready to run, without one.
    delayed: u64,
}

impl Followed {
    /// These processes, from now on.
    pub(crate) fn of(pids: &[u32]) -> Self {
        let seen: Vec<_> = pids.iter().filter_map(|pid| Some((*pid, account_of(*pid)?))).collect();
        let sums = (!seen.is_empty()).then(Account::default);
        let is_part = seen.len() < pids.len();
        Self { seen, sums, is_part }
    }

    /// Adds what came since the last look. Call it each second or so.
    pub(crate) fn look(&mut self) {
        let Some(sums) = &mut self.sums else { return };
        let before = self.seen.len();
        self.seen.retain_mut(|(pid, last)| {
            let Some(now) = account_of(*pid) else { return false };
            sums.ran += now.ran.saturating_sub(last.ran);
            sums.delayed += now.delayed.saturating_sub(last.delayed);
            *last = now;
            true
        });
        self.is_part |= self.seen.len() < before;
    }

    /// Begins the sum of delays anew.
    pub(crate) fn forget_delays(&mut self) {
        self.look();
        self.sums = self.sums.map(|sums| Account { delayed: 0, ..sums });
    }

    /// How long they had no processor so far, in seconds.
    pub(crate) fn run_delay_s(&self) -> Option<f64> {
        self.sums.map(|sums| sums.delayed as f64 / 1e9)
    }

    /// How long they ran so far, in seconds; `None` once one has ended, whose last moments nobody saw.
    pub(crate) fn cpu_s(&self) -> Option<f64> {
        self.sums.filter(|_| !self.is_part).map(|sums| sums.ran as f64 / 1e9)
    }
}

fn account_of(pid: u32) -> Option<Account> {
    account(&fs::read_to_string(format!("/proc/{pid}/schedstat")).ok()?)
}

fn account(schedstat: &str) -> Option<Account> {
    let mut fields = schedstat.split_whitespace().map(str::parse);
    Some(Account { ran: fields.next()?.ok()?, delayed: fields.next()?.ok()? })
}

/// A process of PostgreSQL by its line of /proc/PID/stat.
struct Process {
    parent: u32,
    own: u64,
    /// Of children that have ended.
    ended: u64,
}

impl ServerProcesses {
    /// Processor time of its processes, with those that have ended. A backend that ends goes over into
    /// its postmaster's account, so the sum only grows while a postmaster lives.
    fn ticks(self) -> Option<u64> {
        let processes = self.processes()?;
        let is_postmaster =
            |process: &Process| !processes.iter().any(|(pid, _)| *pid == process.parent);
        let ticks = |(_, process): &(u32, Process)| {
            process.own + if is_postmaster(process) { process.ended } else { 0 }
        };
        Some(processes.iter().map(ticks).sum())
    }

    /// All of them, by their number.
    fn processes(self) -> Option<Vec<(u32, Process)>> {
        let of = |entry: std::io::Result<fs::DirEntry>| {
            let pid: u32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
            let process = postgres(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)?;
            let is_its = match self {
                Self::Postmaster(postmaster) => [pid, process.parent].contains(&postmaster),
                Self::Unknown => true,
            };
            is_its.then_some((pid, process))
        };
        Some(fs::read_dir("/proc").ok()?.filter_map(of).collect())
    }
}

fn postgres(stat: &str) -> Option<Process> {
    // The name is in parentheses, and may hold any character.
    let (begin, rest) = stat.rsplit_once(')')?;
    if begin.split_once('(')?.1 != "postgres" {
        return None;
    }
    let fields: Vec<&str> = rest.split_whitespace().collect();
    // Fields are counted from 1 in proc(5), and the third is the first behind the name.
    let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
    Some(Process {
        parent: u32::try_from(field(4)?).ok()?,
        own: field(14)? + field(15)?,
        ended: field(16)? + field(17)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_proc_are_read() {
        let stat = "cpu  100 1 50 900 7 2 3 11 0 0\ncpu0 1 1 1 1 1 1 1 1 0 0\n";
        assert_eq!(processor_ticks(stat), Some((156, 11)));
        assert_eq!(processor_ticks("cpu  100 1\n"), None);
        let pressure = "some avg10=0.00 avg60=0.03 avg300=0.00 total=4321\nfull avg10=0 total=7\n";
        assert_eq!(pressure_us(pressure), Some(4321));
        let line = "42 (postgres) S 7 1 1 0 -1 4194560 1 2 3 4 100 20 3000 400 20 0 1 0 5 6 7";
        let process = postgres(line).unwrap();
        assert_eq!((process.parent, process.own, process.ended), (7, 120, 3400));
        assert!(postgres(&line.replace("postgres", "a) (postgresql")).is_none());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn processes_are_followed_while_they_are_there() {
        assert_eq!(account("1500 20 3\n"), Some(Account { ran: 1_500, delayed: 20 }));
        assert_eq!(account("1500\n"), None);
        let mut own = Followed::of(&[std::process::id()]);
        own.look();
        assert!(own.cpu_s().unwrap() >= 0.0 && own.run_delay_s().unwrap() >= 0.0);
        own.sums = Some(Account { ran: 2_000_000_000, delayed: 500_000_000 });
        assert_eq!(own.run_delay_s(), Some(0.5));
        own.forget_delays();
        assert!(own.run_delay_s().unwrap() < 0.5 && own.cpu_s().unwrap() >= 2.0);
        own.seen.push((u32::MAX, Account::default()));
        own.look();
        assert_eq!((own.cpu_s(), own.seen.len()), (None, 1), "one has ended");
        assert!(own.run_delay_s().is_some());
        let mut nobody = Followed::of(&[u32::MAX]);
        nobody.look();
        assert_eq!((nobody.cpu_s(), nobody.run_delay_s()), (None, None));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn what_this_machine_did_is_known() {
        let before = MachineTimes::read(ServerProcesses::Unknown);
        assert!(before.busy_s.unwrap() > 0.0 && before.postgres_s.is_some());
        // This process is no server's, so that server has used nothing.
        assert_eq!(
            MachineTimes::read(ServerProcesses::Postmaster(std::process::id())).postgres_s,
            Some(0.0)
        );
        let since = MachineTimes::read(ServerProcesses::Unknown).since(&before);
        assert!(since.busy_s.unwrap() >= 0.0 && since.others_s(1e9) == Some(0.0));
        let nothing = MachineTimes::default();
        assert_eq!(before.since(&nothing), nothing);
    }
}
