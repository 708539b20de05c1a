//! Which lines of a file could be taken: what is shown of a torn file is not all of it, and that is said.

/// What became of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    /// It was taken, or is none that is looked for.
    Whole,
    /// It cannot be read, and was left out.
    Bad,
    /// It was there before, and counts once.
    Again,
}

/// The lines of a file that were not taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lines {
    /// Those that cannot be read.
    pub bad: u64,
    /// Those that were there before.
    pub again: u64,
    /// Whether the last one has no end.
    pub cut_off: bool,
}

impl Lines {
    pub(super) fn note(&mut self, taken: Taken) {
        match taken {
            Taken::Whole => {}
            Taken::Bad => self.bad += 1,
            Taken::Again => self.again += 1,
        }
    }

    /// Whether all of them were taken.
    pub fn are_whole(&self) -> bool {
        *self == Self::default()
    }
}
