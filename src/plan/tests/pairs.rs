//! Fewest and most pairs: what was given is kept, and what contradicts itself is refused.

use super::*;

#[test]
fn the_most_pairs_are_kept_and_contradict_no_fewest_of_the_same_place() {
    let bench = "[bench]\n[[bench.queries]]\nname = 'q'\nsql = 'SELECT 1'\n";
    let resolve = |keys: &str, words: &[&str]| {
        let text = bench.replacen("[bench]\n", &format!("[bench]\n{keys}"), 1);
        Plan::resolve(&source(&text), &given(words))
    };
    let pairs = |keys: &str, words: &[&str]| match resolve(keys, words).unwrap().job {
        Job::Benchmark(bench) => (bench.pairs_min, bench.pairs_max),
        other => panic!("{other:?}"),
    };
    assert_eq!(pairs("", &[]), (30, 200));
    assert_eq!(pairs("", &["--pairs-max=10"]), (30, 10));
    assert_eq!(pairs("pairs_max = 1\n", &[]), (30, 1));
    assert_eq!(pairs("", &["--pairs-min=500"]), (500, 500));
    // The call holds over the profile, whichever end it gives.
    assert_eq!(pairs("pairs_max = 3\n", &["--pairs-min=5"]), (5, 5));
    assert_eq!(pairs("pairs_min = 20\n", &["--pairs-max=10"]), (20, 10));
    assert_eq!(pairs("pairs_min = 20\n", &["--pairs-min=5", "--pairs-max=10"]), (5, 10));
    for (keys, words) in [
        ("", ["--pairs-max=10", "--pairs-min=20"].as_slice()),
        ("pairs_max = 10\npairs_min = 20\n", &[]),
    ] {
        let faults = resolve(keys, words).unwrap_err().to_string();
        assert!(faults.contains("the most pairs of a query are 10, and the fewest 20"), "{faults}");
        assert_eq!(faults.matches("error: ").count(), 1, "{faults}");
    }
}
