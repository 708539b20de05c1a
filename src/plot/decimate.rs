//! Fewer steps of the same course.

use super::path::Step;

/// What several steps become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Merge {
    /// Their mean, by their length: of rates.
    Mean,
    /// The greatest: of what must not be missed.
    Max,
}

/// At most so many steps: neighbours become one, the same number of them each time.
pub fn decimate(all: &[Step], most: usize, how: Merge) -> Vec<Step> {
    let each = all.len().div_ceil(most.max(1)).max(1);
    if each == 1 {
        return all.to_vec();
    }
    all.chunks(each).filter_map(|chunk| merged(chunk, how)).collect()
}

fn merged(chunk: &[Step], how: Merge) -> Option<Step> {
    let (first, last) = (chunk.first()?, chunk.last()?);
    let known = chunk.iter().filter(|step| step.y.is_finite());
    let y = match how {
        Merge::Max => known.map(|step| step.y).fold(f64::NAN, f64::max),
        Merge::Mean => {
            let (sum, length) = known.fold((0.0, 0.0), |(sum, length), step| {
                let own = (step.to - step.from).max(0.0);
                (sum + step.y * own, length + own)
            });
            sum / length
        }
    };
    Some(Step { from: first.from, to: last.to, y })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn steps(ys: &[f64]) -> Vec<Step> {
        let ys = ys.iter().enumerate();
        ys.map(|(at, y)| Step { from: at as f64, to: at as f64 + 1.0, y: *y }).collect()
    }

    #[test]
    fn neighbours_become_one() {
        let all = steps(&[1.0, 3.0, 8.0, 2.0, 5.0]);
        let ys = |how| decimate(&all, 3, how).iter().map(|step| step.y).collect::<Vec<_>>();
        assert_eq!(ys(Merge::Mean), [2.0, 5.0, 5.0]);
        assert_eq!(ys(Merge::Max), [3.0, 8.0, 5.0]);
        assert_eq!(decimate(&all, 9, Merge::Max), all);
    }

    proptest! {
        #[test]
        fn nothing_is_left_out(
            ys in proptest::collection::vec(0.0..1e6_f64, 1..2_000),
            most in 1..700_usize,
        ) {
            let all = steps(&ys);
            let greatest = ys.iter().copied().fold(0.0, f64::max);
            let fewer = decimate(&all, most, Merge::Max);
            prop_assert!(fewer.len() <= most);
            let most_of = fewer.iter().map(|step| step.y).fold(0.0, f64::max);
            prop_assert!((most_of - greatest).abs() < 1e-12);
            let (from, to) = (fewer[0].from, fewer[fewer.len() - 1].to);
            prop_assert!(from.abs() < 1e-12 && (to - ys.len() as f64).abs() < 1e-12);
            let area = |all: &[Step]| all.iter().map(|s| s.y * (s.to - s.from)).sum::<f64>();
            let mean = decimate(&all, most, Merge::Mean);
            prop_assert!((area(&mean) - area(&all)).abs() <= area(&all) * 1e-9);
        }
    }
}
