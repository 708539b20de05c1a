//! The outline of a query: what its answer is ordered by, and which aggregates its columns come from.
//! It is read from the text alone, by names. What it cannot tell for certain it does not claim.

use super::sql::tokens;

/// Aggregates whose `numeric` result PG-Strom hands through eight-byte floats, or whose last digits
/// depend on how a quotient is rounded.
const ROUNDED: [&str; 3] = ["min", "max", "avg"];
/// Aggregates that PG-Strom makes of sums of eight-byte floats, whatever their argument is. `regr_…` are
/// found by their first letters.
const DEVIATIONS: [&str; 9] = [
    "stddev",
    "stddev_pop",
    "stddev_samp",
    "variance",
    "var_pop",
    "var_samp",
    "covar_pop",
    "covar_samp",
    "corr",
];
const REGRESSION: &str = "regr_";
/// What ends a SELECT list.
const AFTER_ITEMS: [&str; 13] = [
    "from",
    "where",
    "group",
    "having",
    "window",
    "union",
    "intersect",
    "except",
    "order",
    "limit",
    "offset",
    "fetch",
    "for",
];
/// What ends an ORDER BY.
const AFTER_ORDER: [&str; 4] = ["limit", "offset", "fetch", "for"];

/// Which aggregates a column of an answer may come from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Aggregates {
    /// A minimum, maximum or average, or a quotient.
    pub rounded: bool,
    /// A deviation, covariance, correlation or regression.
    pub deviation: bool,
    /// One that adds up, so that terms may cancel each other.
    pub adds: bool,
}

impl Aggregates {
    fn or(self, other: Self) -> Self {
        Self {
            rounded: self.rounded || other.rounded,
            deviation: self.deviation || other.deviation,
            adds: self.adds || other.adds,
        }
    }

    fn of_name(name: &str) -> Self {
        let deviation = DEVIATIONS.contains(&name) || name.starts_with(REGRESSION);
        let adds = deviation || matches!(name, "sum" | "avg");
        Self { rounded: ROUNDED.contains(&name), deviation, adds }
    }
}

/// The outline of a query.
#[derive(Debug)]
pub struct Outline<'a> {
    /// The keys of the outermost ORDER BY.
    order: Vec<Vec<&'a str>>,
    /// The outermost SELECT list, where there is one.
    items: Vec<Item<'a>>,
    /// Every SELECT list, the outermost included.
    all: Vec<Item<'a>>,
    /// Whether names of columns are given elsewhere than in SELECT lists.
    renames: bool,
    /// Of the whole text.
    any: Aggregates,
    /// Whether rows are chosen by their place in an order.
    chooses: bool,
}

/// An item of a SELECT list.
#[derive(Debug, Clone)]
struct Item<'a> {
    /// Where its list begins.
    list: usize,
    /// Its name in the result, folded as SQL does; `None` if the server makes one up.
    name: Option<String>,
    /// Its tokens, but for `AS` and what is behind it.
    tokens: Vec<&'a str>,
    /// How many of those are its expression, if the last one is its name.
    expression: usize,
}

impl Item<'_> {
    /// `*` or `t.*`.
    fn is_star(&self) -> bool {
        matches!(self.tokens.as_slice(), ["*"] | [.., ".", "*"])
    }

    /// The columns of which table, for `t.*`.
    fn star_of(&self) -> Option<String> {
        match self.tokens.as_slice() {
            [.., table, ".", "*"] => Some(folded(table)),
            _ => None,
        }
    }
}

impl<'a> Outline<'a> {
    /// Reads the outline of one statement.
    pub fn read(sql: &'a str) -> Self {
        let all_tokens = tokens(sql);
        let tokens = unwrapped(&all_tokens);
        let depths = depths(tokens);
        let order = order(tokens, &depths);
        let select = (0..tokens.len()).find(|at| depths[*at] == 0 && is(tokens[*at], "select"));
        let items = select.map_or_else(Vec::new, |at| items(tokens, &depths, at));
        let selects = (0..tokens.len()).filter(|at| is(tokens[*at], "select"));
        let all = selects.flat_map(|at| self::items(tokens, &depths, at)).collect();
        Self {
            order,
            items,
            all,
            renames: renames(tokens),
            any: called(tokens),
            chooses: chooses(tokens),
        }
    }

    /// Whether the query has a LIMIT, OFFSET, FETCH or DISTINCT ON, or numbers rows: where they tie, which of
    /// them are chosen is anybody's guess.
    pub fn chooses(&self) -> bool {
        self.chooses
    }

    /// For each key of the outermost ORDER BY the column of the answer that it is, of columns with
    /// these names; `None` if it is none, or that cannot be told. No keys: the answer has no order.
    pub fn order_columns(&self, names: &[&str]) -> Vec<Option<usize>> {
        self.order.iter().map(|key| self.column_of(key, names)).collect()
    }

    fn column_of(&self, key: &[&str], names: &[&str]) -> Option<usize> {
        if let [number] = key
            && number.bytes().all(|b| b.is_ascii_digit())
        {
            return number.parse::<usize>().ok()?.checked_sub(1).filter(|at| *at < names.len());
        }
        let only = |name: &str| {
            let mut found = (0..names.len()).filter(|at| names[*at] == name);
            found.next().filter(|_| found.next().is_none())
        };
        // A name alone means a column of the answer before it means one of a table.
        if let [name] = key
            && is_name(name)
            && let Some(at) = only(&folded(name))
        {
            return Some(at);
        }
        let is_it = |item: &Item<'_>| {
            item.expression == key.len() && item.tokens.iter().zip(key).all(|(a, b)| alike(a, b))
        };
        if let Some(at) = self.items.iter().position(is_it) {
            return self.place(at, names.len());
        }
        // t.amount of SELECT * or t.*.
        if let [table, ".", column] = key {
            let shows = |item: &Item<'_>| {
                item.is_star() && item.star_of().is_none_or(|of| of == folded(table))
            };
            let stars = self.items.iter().filter(|item| item.is_star()).count();
            if stars == 1 && self.items.iter().any(shows) {
                return only(&folded(column));
            }
        }
        None
    }

    /// The column that an item of the outermost list is, of so many.
    fn place(&self, at: usize, columns: usize) -> Option<usize> {
        let stars = |items: &[Item<'_>]| items.iter().filter(|item| item.is_star()).count();
        match (stars(&self.items[..at]), stars(&self.items[at..])) {
            (0, _) => Some(at),
            (_, 0) => columns.checked_sub(self.items.len() - at),
            _ => None,
        }
    }

    /// Which aggregates a column may come from, given its place and name, of so many columns. Names
    /// are followed through subqueries and WITH; in doubt a column comes from all there are.
    pub fn aggregates(&self, column: usize, name: &str, columns: usize) -> Aggregates {
        if self.renames || self.any == Aggregates::default() {
            return self.any;
        }
        let mut seen = vec![false; self.all.len()];
        let at = (0..self.items.len()).find(|at| self.place(*at, columns) == Some(column));
        match at.map(|at| &self.items[at]).filter(|item| !item.is_star()) {
            Some(item) => self.comes_from(item, &mut seen),
            None => self.named(name, usize::MAX, &mut seen),
        }
    }

    fn comes_from(&self, item: &Item<'_>, seen: &mut [bool]) -> Aggregates {
        let mut found = called(&item.tokens);
        for (at, token) in item.tokens.iter().enumerate() {
            if is_name(token) && item.tokens.get(at + 1) != Some(&"(") {
                found = found.or(self.named(&folded(token), item.list, seen));
            }
        }
        found
    }

    /// The items of this name in other lists than `list`: an item does not see its neighbours.
    fn named(&self, name: &str, list: usize, seen: &mut [bool]) -> Aggregates {
        let mut found = Aggregates::default();
        for (at, item) in self.all.iter().enumerate() {
            let is_it = item.list != list && item.name.as_deref() == Some(name);
            if is_it && !std::mem::replace(&mut seen[at], true) {
                found = found.or(self.comes_from(item, seen));
            }
        }
        found
    }
}

fn chooses(tokens: &[&str]) -> bool {
    let alone = |token: &&str| ["limit", "offset", "fetch"].iter().any(|word| is(token, word));
    let pair = |pair: &[&str]| {
        let numbers = || ["row_number", "ntile"].iter().any(|word| is(pair[0], word));
        (is(pair[0], "distinct") && is(pair[1], "on")) || (pair[1] == "(" && numbers())
    };
    tokens.iter().any(alone) || tokens.windows(2).any(pair)
}

/// The aggregates that are called in these tokens, and whether there is a quotient.
fn called(tokens: &[&str]) -> Aggregates {
    let calls = tokens.windows(2).filter(|pair| pair[1] == "(" && is_name(pair[0]));
    let rounded = tokens.contains(&"/");
    let quotient = Aggregates { rounded, ..Aggregates::default() };
    calls.fold(quotient, |all, call| all.or(Aggregates::of_name(&folded(call[0]))))
}

/// Without the parentheses around all of it, nor a semicolon behind it.
fn unwrapped<'t, 'a>(mut tokens: &'t [&'a str]) -> &'t [&'a str] {
    while let [rest @ .., ";"] = tokens {
        tokens = rest;
    }
    while let ["(", inner @ .., ")"] = tokens {
        // `(a) UNION (b)` is not in parentheses.
        let mut depth = 1_i32;
        let closes_early = inner.iter().any(|token| {
            depth += step(token);
            depth == 0
        });
        if closes_early {
            break;
        }
        tokens = inner;
    }
    tokens
}

fn step(token: &str) -> i32 {
    match token {
        "(" | "[" => 1,
        ")" | "]" => -1,
        _ => 0,
    }
}

/// How many brackets each token is in.
fn depths(tokens: &[&str]) -> Vec<i32> {
    let mut depth = 0;
    let each = |token: &&str| {
        let step = step(token);
        depth += step;
        // A bracket is outside of itself.
        depth - step.max(0)
    };
    tokens.iter().map(each).collect()
}

/// The keys of the ORDER BY outside of all brackets, without ASC, DESC, NULLS, USING and COLLATE: what
/// ties in one direction ties in the other.
fn order<'a>(tokens: &[&'a str], depths: &[i32]) -> Vec<Vec<&'a str>> {
    let outer = |at: &usize| depths[*at] == 0;
    let opens = (1..tokens.len())
        .filter(outer)
        .rfind(|at| is(tokens[*at], "by") && is(tokens[*at - 1], "order"));
    let Some(by) = opens else { return Vec::new() };
    let ends = |at: &usize| outer(at) && AFTER_ORDER.iter().any(|word| is(tokens[*at], word));
    let end = (by + 1..tokens.len()).find(ends).unwrap_or(tokens.len());
    let keys = split(&tokens[by + 1..end], &depths[by + 1..end]);
    let without_direction = |key: Vec<&'a str>| {
        let of_direction = |token: &&str| {
            ["asc", "desc", "nulls", "using", "collate"].iter().any(|word| is(token, word))
        };
        key.into_iter().take_while(|token| !of_direction(token)).collect()
    };
    keys.into_iter().map(without_direction).collect()
}

/// The items of the SELECT at `select`.
fn items<'a>(tokens: &[&'a str], depths: &[i32], select: usize) -> Vec<Item<'a>> {
    let depth = depths[select];
    let mut from = select + 1;
    while tokens.get(from).is_some_and(|token| is(token, "all") || is(token, "distinct")) {
        from += 1;
    }
    // DISTINCT ON (…).
    if tokens.get(from).is_some_and(|token| is(token, "on")) {
        let closes = |at: &usize| depths[*at] == depth && tokens[*at] == ")";
        from = (from..tokens.len()).find(closes).map_or(tokens.len(), |at| at + 1);
    }
    let ends = |at: &usize| {
        let is_clause = || AFTER_ITEMS.iter().any(|word| is(tokens[*at], word));
        // IS DISTINCT FROM opens no clause.
        let is_operator = || is(tokens[*at], "from") && is(tokens[*at - 1], "distinct");
        depths[*at] < depth || (depths[*at] == depth && is_clause() && !is_operator())
    };
    let end = (from..tokens.len()).find(ends).unwrap_or(tokens.len());
    let parts = split(&tokens[from..end], &depths[from..end]);
    parts.into_iter().filter(|part| !part.is_empty()).map(|part| item(select, part)).collect()
}

/// These tokens between the commas outside of brackets.
fn split<'a>(tokens: &[&'a str], depths: &[i32]) -> Vec<Vec<&'a str>> {
    let depth = depths.iter().min().copied().unwrap_or(0);
    let is_comma = |at: &usize| tokens[*at] == "," && depths[*at] == depth;
    let mut parts = Vec::new();
    let mut from = 0;
    for at in (0..tokens.len()).filter(is_comma).chain([tokens.len()]) {
        parts.push(tokens[from..at].to_vec());
        from = at + 1;
    }
    parts
}

fn item(list: usize, mut tokens: Vec<&str>) -> Item<'_> {
    let mut expression = tokens.len();
    let name = match tokens.as_slice() {
        [.., before, name] if is(before, "as") && is_name(name) => {
            let name = folded(name);
            expression -= 2;
            tokens.truncate(expression);
            Some(name)
        }
        // A name behind something that may be whole: `count(*) n`, `t.amount total`. Where it is not,
        // as in `a OR b`, its last name does no harm.
        [.., before, name]
            if is_name(name)
                && (is_name(before) || matches!(*before, ")" | "]") || before.ends_with('\''))
                && !["end", "isnull", "notnull"].iter().any(|word| is(name, word)) =>
        {
            expression -= 1;
            Some(folded(name))
        }
        [name] | [.., ".", name] if is_name(name) => Some(folded(name)),
        [function, "(", ..] if is_name(function) => Some(folded(function)),
        _ => None,
    };
    Item { list, name, tokens, expression }
}

/// Whether columns are named by a list: `t (a, b)` or `t AS t (a, b)` behind a subquery, or `WITH t (a, b)
/// AS`.
fn renames(tokens: &[&str]) -> bool {
    let closes = |open: usize| {
        let mut depth = 0;
        (open..tokens.len()).find(|at| {
            depth += step(tokens[*at]);
            depth == 0
        })
    };
    (1..tokens.len()).filter(|at| tokens[*at] == "(" && is_name(tokens[at - 1])).any(|open| {
        let Some(close) = closes(open) else { return false };
        let is_list = tokens[open + 1..close].iter().all(|t| *t == "," || is_name(t));
        let with = matches!(tokens.get(close + 1..close + 3), Some([a, "("]) if is(a, "as"));
        let behind = |at: usize| tokens.get(at).is_some_and(|token| *token == ")");
        let of_subquery = (open >= 2 && behind(open - 2))
            || (open >= 3 && is(tokens[open - 2], "as") && behind(open - 3));
        close > open + 1 && is_list && (with || of_subquery)
    })
}

fn is(token: &str, word: &str) -> bool {
    token.eq_ignore_ascii_case(word)
}

fn is_name(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_' || c == '"')
}

/// A name as the server has it.
fn folded(name: &str) -> String {
    match name.strip_prefix('"').and_then(|name| name.strip_suffix('"')) {
        Some(quoted) => quoted.replace("\"\"", "\""),
        None => name.to_ascii_lowercase(),
    }
}

/// Whether two tokens mean the same.
fn alike(a: &str, b: &str) -> bool {
    if is_name(a) && is_name(b) { folded(a) == folded(b) } else { a == b }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ordered(sql: &str, names: &[&str]) -> Vec<Option<usize>> {
        Outline::read(sql).order_columns(names)
    }

    #[test]
    fn the_outermost_order_is_found_and_no_other() {
        let names = ["category", "n", "amount"];
        for (sql, keys) in [
            ("SELECT category, count(*) n, amount FROM t ORDER BY category", &[Some(0)][..]),
            ("select * from t order by 3 desc nulls last, CATEGORY limit 10", &[Some(2), Some(0)]),
            (
                "SELECT category, count(*) AS n, sum(a) FROM t GROUP BY 1 ORDER BY count(*) DESC",
                &[Some(1)],
            ),
            (
                "SELECT category, sum(x), t.amount FROM t ORDER BY T.Amount, sum( x )",
                &[Some(2), Some(1)],
            ),
            ("SELECT * FROM t ORDER BY t.amount FOR UPDATE", &[Some(2)]),
            ("SELECT t.* FROM t JOIN u USING (id) ORDER BY u.amount", &[None]),
            ("SELECT a.category, n, amount FROM a JOIN b USING (id) ORDER BY b.category", &[None]),
            (
                "SELECT category, n, amount FROM t ORDER BY lower(category), amount",
                &[None, Some(2)],
            ),
            ("SELECT category, n, amount FROM t ORDER BY 4", &[None]),
            (
                "SELECT category, n, amount FROM t ORDER BY category COLLATE \"C\" OFFSET 5",
                &[Some(0)],
            ),
            ("(SELECT * FROM t ORDER BY n);", &[Some(1)]),
            ("(SELECT * FROM t) UNION ALL (SELECT * FROM u ORDER BY n)", &[]),
            ("SELECT * FROM t UNION SELECT * FROM u ORDER BY amount", &[Some(2)]),
            ("SELECT * FROM (SELECT * FROM t ORDER BY n LIMIT 3) q", &[]),
            ("SELECT *, 'x ORDER BY n' FROM t -- ORDER BY n", &[]),
            ("SELECT category, n, array_agg(a ORDER BY a) amount FROM t", &[]),
            ("SELECT category, n, rank() OVER (ORDER BY a) FROM t", &[]),
            ("SELECT category, n, $$ ORDER BY $$ FROM t /* ORDER BY n */ ORDER BY (n)", &[None]),
            ("WITH q AS (SELECT * FROM t ORDER BY n) SELECT * FROM q ORDER BY 2", &[Some(1)]),
            ("VALUES (1, 2, 3), (4, 5, 6) ORDER BY 1", &[Some(0)]),
        ] {
            assert_eq!(ordered(sql, &names), keys, "{sql}");
        }
        assert_eq!(ordered("SELECT a, b AS a FROM t ORDER BY a", &["a", "a"]), [Some(0)]);
        assert_eq!(ordered("SELECT x \"N\" FROM t ORDER BY \"N\"", &["N"]), [Some(0)]);
        assert_eq!(ordered("SELECT x \"N\" FROM t ORDER BY n", &["N"]), [None]);
    }

    #[test]
    fn an_aggregate_is_seen_through_names() {
        let of = |sql: &str, column: usize, name: &str, columns: usize| {
            let found = Outline::read(sql).aggregates(column, name, columns);
            [(found.rounded, 'r'), (found.deviation, 'd'), (found.adds, 'a')]
                .iter()
                .filter_map(|(is, letter)| is.then_some(*letter))
                .collect::<String>()
        };
        let sql = "SELECT category, count(*), sum(amount), avg(amount), max(amount) AS amount, \
                   stddev(amount) FROM t GROUP BY 1";
        let found: Vec<_> = (0..6).map(|column| of(sql, column, "", 6)).collect();
        assert_eq!(found, ["", "", "a", "ra", "r", "da"]);
        // Through a subquery, a CTE and a star; neighbours are not seen.
        let sub =
            "SELECT q.total, q.m + 1 AS more FROM (SELECT sum(a) AS total, max(a) m FROM t) q";
        assert_eq!([of(sub, 0, "total", 2), of(sub, 1, "more", 2)], ["a", "r"]);
        let star = "WITH q AS (SELECT sum(a) AS total, min(a) FROM t) SELECT * FROM q";
        assert_eq!([of(star, 0, "total", 2), of(star, 1, "min", 2)], ["a", "r"]);
        let renamed = "SELECT * FROM (SELECT sum(a), max(a) FROM t) AS q (x, y)";
        assert_eq!(of(renamed, 0, "x", 2), "ra", "in doubt all");
        let again = "SELECT sum(total) AS total FROM (SELECT max(a) AS total FROM t GROUP BY b) q";
        assert_eq!(of(again, 0, "total", 1), "ra");
        assert_eq!(of("SELECT sum(a / 3) AS s FROM t", 0, "s", 1), "ra");
        assert_eq!(of("SELECT regr_slope(y, x) FROM t", 0, "regr_slope", 1), "da");
        assert_eq!(of("SELECT max FROM t WHERE x IS DISTINCT FROM y", 0, "max", 1), "");
        assert_eq!(of("SELECT a IS DISTINCT FROM b, max(c) FROM t", 1, "max", 2), "r");
        assert_eq!(of("SELECT a OR b FROM (SELECT max(x) AS b FROM t) q", 0, "", 1), "r");
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(sql in "(?i)(select|order by|[a-z]|[(),;.*]| |'|from|as|[0-9]){0,30}") {
            let outline = Outline::read(&sql);
            outline.order_columns(&["a", "b"]);
            outline.aggregates(1, "b", 2);
        }
    }
}
