//! A model of how loaders share a lane, checked in every order of events: no id twice, no acknowledged
//! row lost, one owner, no wait without end.
//!
//! Two loaders, one lane, one server. Loaders may be as slow as they like (a stopped one is one that takes
//! no step), connections break while a COMMIT is on its way, the server ends sessions that it no longer
//! hears of, restarts, loses the tail of its log and gives transaction ids a second time.
//! The protocol is that of docs/delivery.md; `pg::reservation` and `ingest::recover` are its code.
//!
//! Small bounds are checked here; larger ones by `cargo test --release --test model -- --ignored --nocapture`.

#![expect(clippy::print_stdout, clippy::panic, reason = "a test that says what it has explored")]

#[path = "model/world.rs"]
mod world;

use stateright::{Checker, HasDiscoveries, Model, Property};

use world::{At, End, Loader, Lock, Session, What, World, asks, batch, connects};

/// How loaders tell whose the lane is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Protocol {
    /// As it was once: a lock that one session of a run takes at its start, and a fence that the newest
    /// session takes by ending whoever has it.
    AtStart,
    /// A lock that each session of a run holds, and a row that names the run.
    WithRow,
    /// The same without the row, for a role that may not make it.
    Alone,
}

/// What a server loses when it restarts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Durability {
    /// What was not acknowledged.
    Synchronous,
    /// Any tail of its log, as with `synchronous_commit = off`, or when a replica is promoted that lags.
    Asynchronous,
}

/// Bounds of what is explored.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    protocol: Protocol,
    durability: Durability,
    /// Batches of each loader.
    batches: u8,
    crashes: u8,
    /// Connections that break on the loader's side alone.
    cuts: u8,
    /// Times that the server ends a session of which it hears nothing.
    lapses: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Event {
    /// A loader takes its next step.
    Step(usize),
    /// A loader gives up to be let in.
    GivesUp(usize),
    /// The server commits what the session has sent.
    Commits(usize),
    /// The loader learns that.
    Answers(usize),
    /// A loader's connection breaks, and the server does not know.
    Cut(usize),
    /// The server ends the session: it hears nothing of it.
    Lapses(usize),
    /// The server ends a session whose loader is gone.
    Notices(usize),
    /// The server restarts with so much of its log.
    Crash(usize),
}

impl Bounds {
    /// One step of a loader; `None` if it has to wait.
    fn step(self, world: &World, loader: usize) -> Option<World> {
        let Some(me) = world.session(loader) else { return connects(world, loader) };
        match world.loaders[loader].at {
            At::Knocks => self.enters(world, loader, me),
            At::Claims { sent: false } => Some(self.claims(world, loader, me)),
            At::Loads => Some(self.loads(world, loader, me)),
            At::Returns { doubt } => self.joins(world, loader, me, doubt),
            At::Looks { doubt } => Some(self.looks(world, loader, me, doubt)),
            At::Fences { doubt } => Some(self.fences(world, loader, me, doubt)),
            At::Asks { xid } => Some(asks(world, loader, xid)),
            // It waits for an answer, or is not there.
            At::Claims { sent: true }
            | At::Waits { .. }
            | At::Outside
            | At::Lost { .. }
            | At::Ended(_) => None,
        }
    }

    fn enters(self, world: &World, loader: usize, me: usize) -> Option<World> {
        let mut next = world.clone();
        next.loaders[loader].first_id = world.next_id();
        if self.protocol == Protocol::AtStart {
            if world.reserved_by.is_some() {
                return None;
            }
            next.reserved_by = Some(loader as u8);
            next.loaders[loader].at = At::Fences { doubt: None };
        } else {
            if world.held_by_others(me, true) {
                return None;
            }
            next.sessions[me].lock = Lock::Alone;
            next.loaders[loader].at = At::Claims { sent: false };
        }
        Some(next)
    }

    fn claims(self, world: &World, loader: usize, me: usize) -> World {
        let mut next = world.clone();
        if self.protocol == Protocol::Alone {
            next.sessions[me].lock = Lock::Shared;
            next.sessions[me].fence = true;
            next.loaders[loader].at = At::Loads;
        } else {
            let what = What::Row { run: loader as u8, first_id: world.loaders[loader].first_id };
            next.send(me, what);
            next.loaders[loader].at = At::Claims { sent: true };
        }
        next
    }

    fn loads(self, world: &World, loader: usize, me: usize) -> World {
        let mut next = world.clone();
        let own = &world.loaders[loader];
        if own.acknowledged < self.batches {
            let xid = next.send(me, What::Batch { id: own.first_id + own.acknowledged });
            next.loaders[loader].at = At::Waits { xid };
            return next;
        }
        next.sessions.remove(me);
        next.loaders[loader].at = At::Ended(End::Done);
        if next.reserved_by == Some(loader as u8) {
            next.reserved_by = None;
        }
        next
    }

    fn joins(self, world: &World, loader: usize, me: usize, doubt: Option<u8>) -> Option<World> {
        let mut next = world.clone();
        if self.protocol == Protocol::AtStart {
            next.loaders[loader].at = At::Fences { doubt };
            return Some(next);
        }
        if world.held_by_others(me, false) {
            return None;
        }
        next.sessions[me].lock = Lock::Shared;
        next.loaders[loader].at = At::Looks { doubt };
        Some(next)
    }

    fn looks(self, world: &World, loader: usize, me: usize, doubt: Option<u8>) -> World {
        let mut next = world.clone();
        let mine = &mut next.loaders[loader];
        let row = (self.protocol == Protocol::WithRow).then(|| world.row());
        if row.is_none_or(|row| row.is_some_and(|(run, _)| run == loader as u8)) {
            if world.has_strangers(loader) {
                // Not in the way of whoever has it; then it looks again, or gives up.
                next.sessions[me].lock = Lock::None;
                mine.at = At::Returns { doubt };
            } else {
                mine.at = At::Fences { doubt };
            }
            return next;
        }
        let id = mine.first_id + mine.acknowledged;
        let is_theirs = row.flatten().is_some_and(|(_, first_id)| id >= first_id);
        if doubt.is_some() && !is_theirs && world.is_there(id) {
            mine.acknowledged += 1;
        }
        mine.at = At::Ended(End::TakenOver);
        next.sessions.remove(me);
        next
    }

    fn fences(self, world: &World, loader: usize, me: usize, doubt: Option<u8>) -> World {
        let mut next = world.clone();
        // The fence names the run, but once it did not.
        let any = self.protocol == Protocol::AtStart;
        let in_the_way = |(at, other): (usize, &Session)| {
            at != me && other.fence && (any || other.run == loader as u8)
        };
        match world.sessions.iter().enumerate().position(in_the_way) {
            Some(other) => drop(next.sessions.remove(other)),
            None => {
                next.sessions[me].fence = true;
                next.loaders[loader].at = doubt.map_or(At::Loads, |xid| At::Asks { xid });
            }
        }
        next
    }
}

impl Model for Bounds {
    type State = World;
    type Action = Event;

    fn init_states(&self) -> Vec<World> {
        let loader = || Loader { at: At::Outside, first_id: 0, acknowledged: 0 };
        vec![World {
            log: Vec::new(),
            flushed: 0,
            next_xid: 0,
            sessions: Vec::new(),
            loaders: [loader(), loader()],
            reserved_by: None,
            crashes: self.crashes,
            cuts: self.cuts,
            lapses: self.lapses,
        }]
    }

    fn actions(&self, world: &World, events: &mut Vec<Event>) {
        for loader in 0..2 {
            events.push(Event::Step(loader));
            let at = world.loaders[loader].at;
            if matches!(at, At::Knocks | At::Returns { .. }) {
                events.push(Event::GivesUp(loader));
            }
            if world.cuts > 0 && world.session(loader).is_some() {
                events.push(Event::Cut(loader));
            }
        }
        for (at, session) in world.sessions.iter().enumerate() {
            if session.sent.is_some() && !session.answers {
                events.push(Event::Commits(at));
            }
            if session.answers {
                events.push(Event::Answers(at));
            }
            if session.heard && world.lapses > 0 {
                events.push(Event::Lapses(at));
            }
            if !session.heard {
                events.push(Event::Notices(at));
            }
        }
        if world.crashes > 0 {
            let least = match self.durability {
                Durability::Synchronous => world.flushed,
                Durability::Asynchronous => 0,
            };
            events.extend((least..=world.log.len()).map(Event::Crash));
        }
    }

    fn next_state(&self, world: &World, event: Event) -> Option<World> {
        let mut next = world.clone();
        match event {
            Event::Step(loader) => return self.step(world, loader),
            Event::GivesUp(loader) => {
                let me = world.session(loader)?;
                let waits = match world.loaders[loader].at {
                    At::Knocks if self.protocol == Protocol::AtStart => world.reserved_by.is_some(),
                    At::Knocks => world.held_by_others(me, true),
                    _ => world.has_strangers(loader),
                };
                if !waits {
                    return None;
                }
                next.loaders[loader].at = At::Ended(match world.loaders[loader].at {
                    At::Knocks => End::Refused,
                    _ => End::TakenOver,
                });
                next.sessions.remove(me);
            }
            Event::Commits(at) => {
                let session = &mut next.sessions[at];
                next.log.push(session.sent?);
                session.answers = true;
                // Nobody sees a commit before it is flushed.
                if self.durability == Durability::Synchronous {
                    next.flushed = next.log.len();
                }
            }
            Event::Answers(at) => {
                let session = &mut next.sessions[at];
                (session.sent, session.answers) = (None, false);
                if session.heard {
                    let loader = &mut next.loaders[session.run as usize];
                    match loader.at {
                        At::Waits { .. } => {
                            loader.acknowledged += 1;
                            loader.at = At::Loads;
                        }
                        At::Claims { .. } => {
                            session.lock = Lock::Shared;
                            session.fence = true;
                            loader.at = At::Loads;
                        }
                        _ => {}
                    }
                }
            }
            Event::Cut(loader) => {
                let me = world.session(loader)?;
                next.sessions[me].heard = false;
                next.cuts -= 1;
                next.lost(loader);
                next.sessions.sort_by_key(|session| (session.run, session.heard));
            }
            Event::Lapses(at) => {
                next.sessions.remove(at);
                next.lapses -= 1;
            }
            Event::Notices(at) => drop(next.sessions.remove(at)),
            Event::Crash(kept) => {
                next.log.truncate(kept);
                next.flushed = kept;
                next.sessions.clear();
                next.reserved_by = None;
                next.next_xid = next.log.iter().map(|commit| commit.xid + 1).max().unwrap_or(0);
                next.crashes -= 1;
            }
        }
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![
            Property::always("no id is there twice", |_, world: &World| {
                let mut ids: Vec<u8> = world.log.iter().copied().filter_map(batch).collect();
                let all = ids.len();
                ids.sort_unstable();
                ids.dedup();
                ids.len() == all
            }),
            Property::always("one owner", |_, world: &World| !(world.owns(0) && world.owns(1))),
            Property::always("no wait without end", |bounds: &Bounds, world: &World| {
                bounds.ends(world)
            }),
            Property::sometimes("both load all of theirs", |bounds: &Bounds, world: &World| {
                world.loaders.iter().all(|loader| {
                    loader.at == At::Ended(End::Done) && loader.acknowledged == bounds.batches
                })
            }),
            Property::sometimes("one is refused", |_, world: &World| ended(world, End::Refused)),
        ];
        if self.protocol != Protocol::AtStart {
            properties.push(Property::sometimes("a run is taken over", |_, world: &World| {
                ended(world, End::TakenOver)
            }));
        }
        if self.durability == Durability::Synchronous {
            properties.push(Property::always(
                "what is acknowledged is there",
                |_, world: &World| {
                    world.loaders.iter().all(|loader| {
                        let own = loader.first_id..loader.first_id + loader.acknowledged;
                        own.into_iter().all(|id| world.is_there(id))
                    })
                },
            ));
        }
        properties
    }
}

fn ended(world: &World, end: End) -> bool {
    world.loaders.iter().any(|loader| loader.at == At::Ended(end))
}

impl Bounds {
    /// Whether both loaders come to their end once nothing more breaks, whoever is served first.
    fn ends(self, world: &World) -> bool {
        let mut now = world.clone();
        (now.crashes, now.cuts, now.lapses) = (0, 0, 0);
        for _ in 0..200 {
            if now.loaders.iter().all(|loader| matches!(loader.at, At::Ended(_))) {
                return true;
            }
            let mut events = Vec::new();
            self.actions(&now, &mut events);
            // Each that can happen, in turn; nobody gives up unless nothing else can happen.
            let patient = |event: &&Event| !matches!(event, Event::GivesUp(_));
            let mut went_on = false;
            for event in events.iter().filter(patient) {
                let mut still = Vec::new();
                self.actions(&now, &mut still);
                if still.contains(event)
                    && let Some(next) = self.next_state(&now, *event)
                {
                    now = next;
                    went_on = true;
                }
            }
            if !went_on {
                let next = events.iter().find_map(|event| self.next_state(&now, *event));
                match next {
                    Some(next) => now = next,
                    None => return false,
                }
            }
        }
        false
    }
}

const SMALL: Bounds = Bounds {
    protocol: Protocol::WithRow,
    durability: Durability::Synchronous,
    batches: 1,
    crashes: 1,
    cuts: 1,
    lapses: 1,
};

/// Explores all of it; the number of states.
fn holds(bounds: Bounds) -> usize {
    let checker = bounds
        .checker()
        .threads(std::thread::available_parallelism().map_or(2, usize::from))
        .spawn_bfs()
        .join();
    checker.assert_properties();
    println!("{} states: {bounds:?}", checker.unique_state_count());
    checker.unique_state_count()
}

/// Explores until a property is broken; the events that led there.
fn breaks(bounds: Bounds, property: &'static str) -> Vec<Event> {
    let until = HasDiscoveries::AnyOf([property].into());
    let checker = bounds.checker().finish_when(until).spawn_bfs().join();
    let path = checker.discovery(property).unwrap_or_else(|| panic!("{property}: not broken"));
    let events = path.into_actions();
    println!("{property}: {events:?}");
    events
}

#[test]
fn a_lock_and_a_row_keep_runs_apart() {
    assert!(holds(SMALL) > 10_000);
    assert!(holds(Bounds { durability: Durability::Asynchronous, lapses: 0, ..SMALL }) > 10_000);
}

#[test]
fn a_lock_that_is_taken_at_the_start_alone_does_not() {
    let once = Bounds { protocol: Protocol::AtStart, ..SMALL };
    let events = breaks(once, "no id is there twice");
    assert!(events.iter().any(|event| matches!(event, Event::Crash(_))), "{events:?}");
}

#[test]
fn a_lock_without_a_row_does_not_outlast_a_restart() {
    let alone = Bounds { protocol: Protocol::Alone, ..SMALL };
    let events = breaks(alone, "no id is there twice");
    assert!(events.iter().any(|event| matches!(event, Event::Crash(_))), "{events:?}");
}

#[test]
#[ignore = "takes minutes; see the head of this file"]
fn larger_bounds() {
    for durability in [Durability::Synchronous, Durability::Asynchronous] {
        holds(Bounds { durability, ..SMALL });
        holds(Bounds { durability, batches: 2, ..SMALL });
        holds(Bounds { durability, crashes: 2, ..SMALL });
        holds(Bounds { durability, cuts: 2, ..SMALL });
    }
}
