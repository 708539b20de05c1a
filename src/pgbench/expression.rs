//! The right side of `\set`: constants, arithmetic with them, and draws of a random number.

use std::iter::Peekable;
use std::str::Chars;

/// What a variable is set to.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    /// The same in each execution.
    Integer(i64),
    /// The same in each execution.
    Float(f64),
    /// Drawn anew for each execution.
    Draw(Draw),
    /// What was drawn for this variable, in the same execution.
    Same(String),
}

/// A whole number that is drawn.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Draw {
    pub(super) min: i64,
    pub(super) max: i64,
    pub(super) by: Law,
}

/// How it is drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Law {
    Uniform,
    /// With this exponent, the lowest number first.
    Zipfian(f64),
    /// So many standard deviations from the middle to either end, where it is cut off.
    Gaussian(f64),
    /// Falling by e to the power of this from one end to the other, where it is cut off.
    Exponential(f64),
}

/// What is wrong with an expression, and how to mend it.
pub(super) type Wrong = (String, String);

/// The value of an expression, where variables have these values.
///
/// # Errors
/// When it has none that a profile can have.
pub(super) fn evaluate(
    text: &str,
    variables: &dyn Fn(&str) -> Option<Value>,
) -> Result<Value, Wrong> {
    let mut reader = Reader { chars: text.chars().peekable(), variables };
    let value = reader.sum()?;
    match reader.next_token() {
        None => Ok(value),
        Some(c) => Err(unreadable(&format!("`{c}` is not expected"))),
    }
}

const ARITHMETIC: &str = "use numbers, `:scale` and variables that are constant, with + - * / % and parentheses, and \
                          random, random_zipfian, random_gaussian or random_exponential around them";

fn unreadable(what: &str) -> Wrong {
    (format!("the expression cannot be read: {what}"), ARITHMETIC.to_owned())
}

fn of_a_draw() -> Wrong {
    (
        "arithmetic with a number that is drawn".to_owned(),
        "draw the number from the range that it has in the end, or do the arithmetic within the SQL".to_owned(),
    )
}

struct Reader<'t> {
    chars: Peekable<Chars<'t>>,
    variables: &'t dyn Fn(&str) -> Option<Value>,
}

impl Reader<'_> {
    fn next_token(&mut self) -> Option<char> {
        while self.chars.next_if(|c| c.is_whitespace()).is_some() {}
        self.chars.peek().copied()
    }

    fn takes(&mut self, wanted: char) -> bool {
        self.next_token() == Some(wanted) && self.chars.next().is_some()
    }

    fn sum(&mut self) -> Result<Value, Wrong> {
        let mut value = self.product()?;
        while let Some(sign @ ('+' | '-')) = self.next_token() {
            self.chars.next();
            value = apply(sign, &value, &self.product()?)?;
        }
        Ok(value)
    }

    fn product(&mut self) -> Result<Value, Wrong> {
        let mut value = self.factor()?;
        while let Some(sign @ ('*' | '/' | '%')) = self.next_token() {
            self.chars.next();
            value = apply(sign, &value, &self.factor()?)?;
        }
        Ok(value)
    }

    fn factor(&mut self) -> Result<Value, Wrong> {
        match self.next_token() {
            Some('-') => {
                self.chars.next();
                apply('-', &Value::Integer(0), &self.factor()?)
            }
            Some('+') => {
                self.chars.next();
                self.factor()
            }
            Some('(') => {
                self.chars.next();
                let value = self.sum()?;
                if self.takes(')') { Ok(value) } else { Err(unreadable("`)` is missing")) }
            }
            Some(':') => {
                self.chars.next();
                let name = self.word();
                (self.variables)(&name).ok_or_else(|| unknown(&name))
            }
            Some(c) if c.is_ascii_digit() || c == '.' => self.number(),
            Some(c) if c.is_alphabetic() => {
                let name = self.word();
                if self.takes('(') {
                    self.call(&name)
                } else {
                    Err(unreadable(&format!("`{name}` is no function with its arguments")))
                }
            }
            Some(c) => Err(unreadable(&format!("`{c}` is not expected"))),
            None => Err(unreadable("something is missing at its end")),
        }
    }

    fn word(&mut self) -> String {
        let mut word = String::new();
        while let Some(c) = self.chars.next_if(|c| c.is_alphanumeric() || *c == '_') {
            word.push(c);
        }
        word
    }

    fn number(&mut self) -> Result<Value, Wrong> {
        let mut text = String::new();
        while let Some(c) = self.chars.next_if(|c| c.is_ascii_alphanumeric() || *c == '.') {
            text.push(c);
            if matches!(c, 'e' | 'E')
                && let Some(sign) = self.chars.next_if(|c| matches!(c, '+' | '-'))
            {
                text.push(sign);
            }
        }
        let float = || text.parse().ok().filter(|value: &f64| value.is_finite()).map(Value::Float);
        let value = text.parse().ok().map(Value::Integer).or_else(float);
        value.ok_or_else(|| unreadable(&format!("`{text}` is no number")))
    }

    fn call(&mut self, name: &str) -> Result<Value, Wrong> {
        let mut arguments = Vec::new();
        while !self.takes(')') {
            if !arguments.is_empty() && !self.takes(',') {
                return Err(unreadable("`,` or `)` is missing"));
            }
            arguments.push(self.sum()?);
        }
        match (name, arguments.as_slice()) {
            ("random", [low, high]) => draw(low, high, Law::Uniform),
            ("random_zipfian", [low, high, by]) => draw(low, high, Law::Zipfian(float(by)?)),
            ("random_gaussian", [low, high, by]) => draw(low, high, Law::Gaussian(float(by)?)),
            ("random_exponential", [low, high, by]) => {
                draw(low, high, Law::Exponential(float(by)?))
            }
            ("int", [value]) => whole(float(value)?),
            ("double", [value]) => Ok(Value::Float(float(value)?)),
            ("random" | "random_zipfian" | "random_gaussian" | "random_exponential", _) => {
                Err(unreadable(&format!("`{name}` has other arguments")))
            }
            _ => Err((format!("the function `{name}` cannot be converted"), ARITHMETIC.to_owned())),
        }
    }
}

/// That nothing says what a variable is.
pub(super) fn unknown(name: &str) -> Wrong {
    (
        format!("nothing says what `:{name}` is"),
        format!("set it before with \\set, or give it as pgbench has it: --define {name}=VALUE"),
    )
}

fn float(value: &Value) -> Result<f64, Wrong> {
    match value {
        Value::Integer(value) => Ok(*value as f64),
        Value::Float(value) => Ok(*value),
        Value::Draw(_) | Value::Same(_) => Err(of_a_draw()),
    }
}

/// The nearest whole number, of two that are as near the even one: as pgbench has it.
fn whole(value: f64) -> Result<Value, Wrong> {
    let nearest = value.round_ties_even();
    // The first number beyond is 2⁶³, and the last one within is its negative.
    let fits = (-TWO_63..TWO_63).contains(&nearest);
    if fits { Ok(Value::Integer(nearest as i64)) } else { Err(beyond()) }
}

const TWO_63: f64 = 9_223_372_036_854_775_808.0;

fn beyond() -> Wrong {
    unreadable("a number is beyond its type, or divided by 0")
}

fn apply(sign: char, left: &Value, right: &Value) -> Result<Value, Wrong> {
    if let (Value::Integer(left), Value::Integer(right)) = (left, right) {
        let value = match sign {
            '+' => left.checked_add(*right),
            '-' => left.checked_sub(*right),
            '*' => left.checked_mul(*right),
            '/' => left.checked_div(*right),
            _ => left.checked_rem(*right),
        };
        return value.map(Value::Integer).ok_or_else(beyond);
    }
    let (left, right) = (float(left)?, float(right)?);
    let value = match sign {
        '+' => left + right,
        '-' => left - right,
        '*' => left * right,
        '/' => left / right,
        _ => return Err(unreadable("`%` is of whole numbers")),
    };
    Some(value).filter(|value| value.is_finite()).map(Value::Float).ok_or_else(beyond)
}

fn draw(low: &Value, high: &Value, by: Law) -> Result<Value, Wrong> {
    match (low, high) {
        (Value::Integer(min), Value::Integer(max)) if min <= max => {
            Ok(Value::Draw(Draw { min: *min, max: *max, by }))
        }
        (Value::Integer(min), Value::Integer(max)) => Err((
            format!("the range from {min} to {max} is empty"),
            "let the first number be the smaller one; --scale says what `:scale` is".to_owned(),
        )),
        (Value::Draw(_) | Value::Same(_), _) | (_, Value::Draw(_) | Value::Same(_)) => {
            Err(of_a_draw())
        }
        _ => Err(unreadable("a range has whole numbers")),
    }
}
