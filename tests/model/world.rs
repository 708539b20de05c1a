//! The state of the model: the server with its log and sessions, and the loaders.

/// A commit in the server's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Commit {
    pub(crate) xid: u8,
    pub(crate) what: What,
}

/// What a transaction leaves behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum What {
    /// The row of the lane: the run, and the id of the first batch that is its own.
    Row { run: u8, first_id: u8 },
    /// A batch, with the id of its rows.
    Batch { id: u8 },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Lock {
    None,
    Shared,
    Alone,
}

/// A backend.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Session {
    pub(crate) run: u8,
    /// Whether the loader still uses it.
    pub(crate) heard: bool,
    pub(crate) lock: Lock,
    /// Whether it holds the fence of the lane.
    pub(crate) fence: bool,
    /// A transaction whose COMMIT is on its way.
    pub(crate) sent: Option<Commit>,
    /// Whether that was committed, and the answer is on its way.
    pub(crate) answers: bool,
}

/// Where a loader is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum At {
    /// Not there yet.
    Outside,
    /// Connected for the first time, and not admitted.
    Knocks,
    /// Alone; its row is on its way, or will be.
    Claims {
        sent: bool,
    },
    /// It may load the next batch.
    Loads,
    /// A batch was sent.
    Waits {
        xid: u8,
    },
    /// Its session is lost, perhaps with a batch whose COMMIT was sent.
    Lost {
        doubt: Option<u8>,
    },
    /// On a new session, which has yet to join.
    Returns {
        doubt: Option<u8>,
    },
    /// It has joined, and makes sure that the row is its own, and nobody else is there.
    Looks {
        doubt: Option<u8>,
    },
    /// It waits for the backends of its lost sessions.
    Fences {
        doubt: Option<u8>,
    },
    /// It asks what became of the batch.
    Asks {
        xid: u8,
    },
    Ended(End),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum End {
    Done,
    /// Another run is there.
    Refused,
    /// Another run took over.
    TakenOver,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Loader {
    pub(crate) at: At,
    pub(crate) first_id: u8,
    pub(crate) acknowledged: u8,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct World {
    pub(crate) log: Vec<Commit>,
    /// How much of the log outlasts a crash.
    pub(crate) flushed: usize,
    pub(crate) next_xid: u8,
    /// Of both loaders, those that are lost and have not ended yet included.
    pub(crate) sessions: Vec<Session>,
    pub(crate) loaders: [Loader; 2],
    /// With `Protocol::AtStart`, the run that has the lock, in a session beside the producer's.
    pub(crate) reserved_by: Option<u8>,
    pub(crate) crashes: u8,
    pub(crate) cuts: u8,
    pub(crate) lapses: u8,
}

impl World {
    pub(crate) fn session(&self, loader: usize) -> Option<usize> {
        self.sessions.iter().position(|session| session.run == loader as u8 && session.heard)
    }

    pub(crate) fn next_id(&self) -> u8 {
        let ids = self.log.iter().filter_map(|commit| match commit.what {
            What::Batch { id } => Some(id + 1),
            What::Row { .. } => None,
        });
        ids.max().unwrap_or(0)
    }

    pub(crate) fn is_there(&self, id: u8) -> bool {
        self.log.iter().any(|commit| commit.what == What::Batch { id })
    }

    /// The row of the lane, as the last transaction left it.
    pub(crate) fn row(&self) -> Option<(u8, u8)> {
        self.log.iter().rev().find_map(|commit| match commit.what {
            What::Row { run, first_id } => Some((run, first_id)),
            What::Batch { .. } => None,
        })
    }

    /// Whether another session holds the lock in a way that keeps this one from having it: `alone`, or
    /// shared.
    pub(crate) fn held_by_others(&self, me: usize, alone: bool) -> bool {
        let mut others = self.sessions.iter().enumerate().filter(|(at, _)| *at != me);
        others.any(|(_, other)| match alone {
            true => other.lock != Lock::None,
            false => other.lock == Lock::Alone,
        })
    }

    /// Whether a session of another run holds the lock.
    pub(crate) fn has_strangers(&self, loader: usize) -> bool {
        let mut others = self.sessions.iter().filter(|other| other.run != loader as u8);
        others.any(|other| other.lock != Lock::None)
    }

    /// Has the session commit something; the transaction's id.
    pub(crate) fn send(&mut self, session: usize, what: What) -> u8 {
        let xid = self.next_xid;
        self.next_xid += 1;
        self.sessions[session].sent = Some(Commit { xid, what });
        xid
    }

    /// The loader has learned that its session has ended.
    pub(crate) fn lost(&mut self, loader: usize) {
        let loader = &mut self.loaders[loader];
        loader.at = match loader.at {
            At::Knocks | At::Claims { .. } => At::Outside,
            At::Waits { xid } | At::Asks { xid } => At::Lost { doubt: Some(xid) },
            At::Returns { doubt } | At::Looks { doubt } | At::Fences { doubt } => {
                At::Lost { doubt }
            }
            At::Loads => At::Lost { doubt: None },
            other => other,
        };
    }

    /// Whether the loader may commit into the lane.
    pub(crate) fn owns(&self, loader: usize) -> bool {
        let sends = matches!(
            self.loaders[loader].at,
            At::Loads | At::Waits { .. } | At::Asks { .. } | At::Fences { .. }
        );
        let lock = self.session(loader).map(|at| self.sessions[at].lock);
        sends && lock.is_some_and(|lock| lock != Lock::None)
    }
}

/// A loader without a session: it notices, or connects.
pub(crate) fn connects(world: &World, loader: usize) -> Option<World> {
    let mut next = world.clone();
    let mine = &mut next.loaders[loader];
    mine.at = match mine.at {
        At::Outside => At::Knocks,
        At::Lost { doubt } => At::Returns { doubt },
        At::Ended(_) => return None,
        _ => {
            next.lost(loader);
            return Some(next);
        }
    };
    next.sessions.push(Session {
        run: loader as u8,
        heard: true,
        lock: Lock::None,
        fence: false,
        sent: None,
        answers: false,
    });
    next.sessions.sort_by_key(|session| (session.run, session.heard));
    Some(next)
}

/// What became of a batch. An id that was given twice may have committed for somebody else: the rows
/// decide.
pub(crate) fn asks(world: &World, loader: usize, xid: u8) -> World {
    let mut next = world.clone();
    let mine = &mut next.loaders[loader];
    let committed = world.log.iter().any(|commit| commit.xid == xid);
    if committed && world.is_there(mine.first_id + mine.acknowledged) {
        mine.acknowledged += 1;
    }
    mine.at = At::Loads;
    next
}

pub(crate) fn batch(commit: Commit) -> Option<u8> {
    match commit.what {
        What::Batch { id } => Some(id),
        What::Row { .. } => None,
    }
}
