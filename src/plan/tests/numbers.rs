//! Numbers that are too large for what they are.

use super::*;

#[test]
fn a_number_of_any_size_is_out_of_its_range_and_no_other_kind() {
    for number in ["1000000001", "9223372036854775808", "99999999999999999999", "1e30", "inf"] {
        let said = faults(&format!("[stream]\nrows_per_s = {number}\n"));
        let what = format!("`rows_per_s` is {number}, outside 1 to 1,000,000,000\n");
        assert!(said.contains(&what), "{said}");
        let said = faults(&format!("duration_s = -{number}\n"));
        assert!(said.contains("outside") && !said.contains("must be"), "{said}");
        let stage = format!("[stream.shape]\nstages = [{{ over = {number}, to = 5 }}]\n");
        assert!(!faults(&stage).contains("must be"), "{}", faults(&stage));
    }
    let said = faults(
        "[[bench.queries]]\nname = 'q'\nsql = 'SELECT 1'\n[bench]\npairs_max = 99999999999999999999\n",
    );
    assert!(!said.contains("not a whole number"), "{said}");
}
