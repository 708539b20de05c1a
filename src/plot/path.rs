//! Path data in thousandths of the plot, its top left at 0, 0: drawn once, and placed by a transform.

use std::fmt::Write as _;

use super::scale::Scale;

/// The plot's side in path data.
pub(super) const SIDE: f64 = 1000.0;

/// A value that holds from one place to another.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// Where it begins to hold.
    pub from: f64,
    /// Where it ends.
    pub to: f64,
    /// The value; none that is finite leaves a gap.
    pub y: f64,
}

fn across(scale: &Scale, value: f64) -> i64 {
    (scale.share(value) * SIDE).round() as i64
}

fn down(scale: &Scale, value: f64) -> i64 {
    ((1.0 - scale.share(value)) * SIDE).round() as i64
}

/// A line of steps.
pub fn steps(all: &[Step], xs: &Scale, ys: &Scale) -> String {
    let mut path = String::new();
    let mut end = None;
    for step in all.iter().filter(|step| step.y.is_finite()) {
        let (from, to, y) = (across(xs, step.from), across(xs, step.to), down(ys, step.y));
        // Writing to a String cannot fail.
        let _ = match end {
            Some((x, level)) if x == from => match level == y {
                true => Ok(()),
                false => write!(path, "V{y}"),
            },
            _ => write!(path, "M{from} {y}"),
        };
        let _ = write!(path, "H{to}");
        end = Some((to, y));
    }
    path
}

/// What lies below a line of steps.
pub fn area(all: &[Step], xs: &Scale, ys: &Scale) -> String {
    let mut path = String::new();
    let floor = SIDE as i64;
    let mut end = None;
    for step in all.iter().filter(|step| step.y.is_finite()) {
        let (from, to, y) = (across(xs, step.from), across(xs, step.to), down(ys, step.y));
        if end != Some(from) {
            if end.is_some() {
                let _ = write!(path, "V{floor}Z");
            }
            let _ = write!(path, "M{from} {floor}");
        }
        let _ = write!(path, "V{y}H{to}");
        end = Some(to);
    }
    if end.is_some() {
        let _ = write!(path, "V{floor}Z");
    }
    path
}

/// A line through points.
pub fn curve(points: &[(f64, f64)], xs: &Scale, ys: &Scale) -> String {
    let mut path = String::new();
    let mut last = None;
    for (x, y) in points.iter().filter(|(x, y)| x.is_finite() && y.is_finite()) {
        let at = (across(xs, *x), down(ys, *y));
        if last == Some(at) {
            continue;
        }
        let letter = if last.is_none() { 'M' } else { 'L' };
        let _ = write!(path, "{letter}{} {}", at.0, at.1);
        last = Some(at);
    }
    path
}

/// A dot for each point: strokes without a length, that round caps make visible.
pub fn dots(points: &[(f64, f64)], xs: &Scale, ys: &Scale) -> String {
    let known = points.iter().filter(|(x, y)| x.is_finite() && y.is_finite());
    let each = points.len().div_ceil(super::POINTS_MAX).max(1);
    let dot = |(x, y): &(f64, f64)| format!("M{} {}h0", across(xs, *x), down(ys, *y));
    known.step_by(each).map(dot).collect()
}

/// Stretches in as few lines as they take so that none overlaps with another of its line, the first
/// line first; where they take more than `most`, the last line holds what is left.
///
/// By their beginnings, each into the first line that is free: that takes no more lines than there are
/// stretches at once.
pub fn stacked(all: &[(f64, f64)], most: usize) -> Vec<Vec<(f64, f64)>> {
    let mut sorted: Vec<(f64, f64)> =
        all.iter().copied().filter(|(from, to)| from.is_finite() && to.is_finite()).collect();
    sorted.sort_by(|one, other| one.0.total_cmp(&other.0));
    let mut lines: Vec<Vec<(f64, f64)>> = Vec::new();
    for span in sorted {
        let is_free = |line: &Vec<(f64, f64)>| line.last().is_none_or(|last| last.1 <= span.0);
        let free = lines.iter().position(is_free);
        match free.or((lines.len() >= most.max(1)).then(|| lines.len() - 1)) {
            Some(at) => lines[at].push(span),
            None => lines.push(vec![span]),
        }
    }
    lines
}

/// Boxes, ascending, each from a value to another; from the top of all they begin at a share of the
/// height, and have a share of it. Those that lie less than a pixel apart become one.
pub fn spans(all: &[(f64, f64)], (top, tall): (f64, f64), xs: &Scale) -> String {
    let mut boxes: Vec<(i64, i64)> = Vec::new();
    for (from, to) in all.iter().filter(|(from, to)| from.is_finite() && to.is_finite()) {
        let (from, to) = (across(xs, *from), across(xs, *to).max(across(xs, *from) + 1));
        match boxes.last_mut() {
            Some((_, end)) if from <= *end + 1 => *end = to.max(*end),
            _ => boxes.push((from, to)),
        }
    }
    let top = (top * SIDE).round() as i64;
    let tall = (tall * SIDE).round().max(1.0) as i64;
    let mut path = String::new();
    for (from, to) in boxes {
        let _ = write!(path, "M{from} {top}h{}v{tall}H{from}Z", to - from);
    }
    path
}

/// Counts in the cells of a grid, in few levels.
#[derive(Debug, Clone, PartialEq)]
pub struct Cells {
    /// Columns, from the left.
    pub columns: usize,
    /// Rows, from the top.
    pub rows: usize,
    /// The cells of each level, in units of a cell: strokes of width 1.
    pub levels: Vec<String>,
}

/// Levels of counts.
const LEVELS: usize = 5;

impl Cells {
    /// By which factor levels ascend, so that counts up to the greatest are told apart.
    pub fn base(greatest: u64) -> u64 {
        let beyond = |base: &u64| base.saturating_pow(LEVELS as u32) > greatest;
        (2..65_536).find(beyond).unwrap_or(65_536)
    }

    /// The least and the greatest count of each level; of the last the greatest is open.
    pub fn levels(base: u64) -> impl Iterator<Item = (u64, Option<u64>)> {
        let least = move |level: usize| base.saturating_pow(level as u32);
        (0..LEVELS)
            .map(move |level| (least(level), (level + 1 < LEVELS).then(|| least(level + 1) - 1)))
    }

    /// Of counts by column and row from the bottom, in levels that ascend by a factor. Neighbours of one
    /// level in a row are one stroke.
    pub fn of(columns: usize, rows: usize, base: u64, count: impl Fn(usize, usize) -> u64) -> Self {
        let level = |column: usize, row: usize| match count(column, row) {
            0 => None,
            count => Some((count.ilog(base.max(2)) as usize).min(LEVELS - 1)),
        };
        let mut levels = vec![String::new(); LEVELS];
        for row in 0..rows {
            let y = rows - 1 - row;
            // Where the last stroke of each level in this row ended.
            let mut ends: [Option<usize>; LEVELS] = [None; LEVELS];
            let mut column = 0;
            while column < columns {
                let Some(own) = level(column, row) else {
                    column += 1;
                    continue;
                };
                let from = column;
                while column < columns && level(column, row) == Some(own) {
                    column += 1;
                }
                let path = &mut levels[own];
                let _ = match ends[own] {
                    None => write!(path, "M{from} {y}h{}", column - from),
                    Some(end) => write!(path, "m{} 0h{}", from - end, column - from),
                };
                ends[own] = Some(column);
            }
        }
        Self { columns, rows, levels }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn paths_are_short_and_have_gaps_where_nothing_is_known() {
        let (xs, ys) = (Scale::time(0.0, 4.0, 4), Scale::from_zero(10.0, 5));
        let at = |from: f64, y| Step { from, to: from + 1.0, y };
        let all = [at(0.0, 5.0), at(1.0, 5.0), at(2.0, f64::NAN), at(3.0, 10.0)];
        insta::assert_snapshot!(steps(&all, &xs, &ys), @"M0 500H250H500M750 0H1000");
        insta::assert_snapshot!(area(&all, &xs, &ys), @"M0 1000V500H250V500H500V1000ZM750 1000V0H1000V1000Z");
        let points = [(0.0, 1.0), (0.0001, 1.0), (2.0, f64::INFINITY), (4.0, 9.0)];
        insta::assert_snapshot!(curve(&points, &xs, &ys), @"M0 900L1000 100");
        insta::assert_snapshot!(spans(&[(0.0, 1.0), (1.0, 2.0), (3.0, 3.0)], (0.25, 0.125), &xs), @"M0 250h500v125H0ZM750 250h1v125H750Z");
        let cells = Cells::of(4, 2, 2, |column, row| [[1, 0, 1, 40], [3, 2, 0, 0]][row][column]);
        insta::assert_snapshot!(cells.levels.join("|"), @"M0 1h1m1 0h1|M0 0h2|||M3 1h1");
    }

    #[test]
    fn levels_reach_the_greatest_count() {
        assert_eq!([1, 31, 32, 242, 243, 18_000].map(Cells::base), [2, 2, 3, 3, 4, 8]);
        let levels: Vec<_> = Cells::levels(4).collect();
        assert_eq!(levels[0], (1, Some(3)));
        assert_eq!(levels[3..], [(64, Some(255)), (256, None)]);
    }

    #[test]
    fn what_overlaps_has_lines_of_its_own() {
        let all = [(4.0, 5.0), (0.0, 4.0), (1.0, 2.0), (2.0, 3.0), (1.5, f64::NAN)];
        let lines = stacked(&all, 9);
        assert_eq!(lines, [vec![(0.0, 4.0), (4.0, 5.0)], vec![(1.0, 2.0), (2.0, 3.0)]]);
        assert_eq!(stacked(&all, 1).concat().len(), 4);
    }

    fn numbers(path: &str) -> Vec<f64> {
        let parts = path.split(|c: char| c.is_ascii_alphabetic() || c == ' ');
        parts.filter(|part| !part.is_empty()).map(|part| part.parse().unwrap()).collect()
    }

    proptest! {
        #[test]
        fn every_number_of_a_path_is_one_and_inside(
            values in proptest::collection::vec((any::<f64>(), any::<f64>()), 0..50),
        ) {
            let (xs, ys) = (Scale::time(0.0, 90.0, 4), Scale::log(1e-3, 1e4, 5));
            let all: Vec<Step> =
                values.iter().map(|(x, y)| Step { from: *x, to: x + 1.0, y: *y }).collect();
            for path in [steps(&all, &xs, &ys), area(&all, &xs, &ys), curve(&values, &xs, &ys)] {
                prop_assert!(numbers(&path).iter().all(|n| (0.0..=SIDE).contains(n)), "{path}");
            }
        }

        #[test]
        fn as_many_lines_as_there_are_stretches_at_once(
            all in proptest::collection::vec((0.0..100.0_f64, 0.0..9.0_f64), 1..80),
        ) {
            let all: Vec<(f64, f64)> =
                all.into_iter().map(|(from, long)| (from, from + long)).collect();
            let lines = stacked(&all, usize::MAX);
            let at_once = |at: f64| all.iter().filter(|own| own.0 <= at && at < own.1).count();
            let deepest = all.iter().map(|own| at_once(own.0)).max().unwrap_or(0);
            prop_assert!(lines.len() <= deepest.max(1), "{} of {deepest}", lines.len());
            prop_assert_eq!(lines.concat().len(), all.len());
            for line in lines {
                prop_assert!(line.windows(2).all(|two| two[0].1 <= two[1].0), "{line:?}");
            }
        }

        #[test]
        fn every_cell_with_a_count_is_drawn_once(
            counts in proptest::collection::vec(0..40_u64, 60),
        ) {
            let (columns, rows) = (10, 6);
            let cells = Cells::of(columns, rows, 2, |column, row| counts[row * columns + column]);
            let drawn: f64 = cells.levels.iter().map(|path| {
                path.split('h').skip(1).map(|rest| {
                    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
                    digits.parse::<f64>().unwrap()
                }).sum::<f64>()
            }).sum();
            prop_assert_eq!(drawn as usize, counts.iter().filter(|count| **count > 0).count());
        }
    }
}
