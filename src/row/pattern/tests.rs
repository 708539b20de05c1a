//! Patterns: what is read, what is refused, and the form of `jsonb`.

use super::*;

/// What a pattern has where nothing is drawn.
fn shown(pattern: &Pattern) -> String {
    let part = |part: &Part| match part {
        Part::Fixed(text) => text.clone(),
        Part::Choice(of) => format!("<{}>", of.join("|")),
        other => format!("<{other:?}>"),
    };
    pattern.parts().iter().map(part).collect()
}

#[test]
fn braces_open_a_placeholder_only_before_a_lower_case_letter() {
    for (text, parts) in [
        ("", ""),
        ("plain", "plain"),
        ("{choice:a|b}-{choice:|c}", "<a|b>-<|c>"),
        ("{{choice:a|b} {} { x } {\"a\"", "{choice:a|b} {} { x } {\"a\""),
        ("{{ }} {{1} {{", "{{ }} {{1} {{"),
        ("{integer:-5..7}", "<Integer(-5, 7)>"),
        ("{decimal:1.5..10.25}", "<Decimal(150, 1025, 2)>"),
        ("{word} {words:2..3} {sentence:1..1}", "<Words(1, 1)> <Words(2, 3)> <Sentence(1, 1)>"),
        ("{uuid}/{row_id}", "<Uuid>/<RowId>"),
    ] {
        assert_eq!(shown(&Pattern::of_text(text).unwrap()), parts);
    }
}

#[test]
fn what_is_no_placeholder_is_refused_with_what_would_be_right() {
    for (text, fact, fix) in [
        ("{hax:8}", "`{hax:8}` is no placeholder", "write {hex:8}, "),
        ("a {hex:8", "the placeholder `{hex:8` has no end", "close it with `}`"),
        ("{hex}", "`{hex}` cannot be read", "write it such as `{hex:8}`"),
        ("{hex:0}", "`{hex:0}` cannot be read", "write it such as `{hex:8}`"),
        ("{hex:99999999}", "`{hex:99999999}` cannot be read", ""),
        ("{integer:7..5}", "`{integer:7..5}` cannot be read", "{integer:1..100}"),
        ("{zipf:1..9999999}", "`{zipf:1..9999999}` cannot be read", ""),
        ("{zipf:1..9:0}", "`{zipf:1..9:0}` cannot be read", "{zipf:1..1000:1.1}"),
        ("{decimal:1..x}", "`{decimal:1..x}` cannot be read", ""),
        ("{words:0..3}", "`{words:0..3}` cannot be read", ""),
        ("{uuid:4}", "`{uuid:4}` cannot be read", "`{uuid}`"),
        ("a\0b", "NUL", "delete it"),
    ] {
        let fault = Pattern::of_text(text).unwrap_err();
        assert!(fault.fact().contains(fact) && fault.fix().contains(fix), "{text}: {fault}");
    }
}

#[test]
fn documents_of_jsonb_have_the_form_of_the_server() {
    for (text, form) in [
        ("{}", "{}"),
        ("[1,2 , {}]", "[1, 2, {}]"),
        (
            r#"{"long":1,"b":{"y":[],"x":null},"a":"ü\u00e9\n\/"}"#,
            r#"{"a": "üé\n/", "b": {"x": null, "y": []}, "long": 1}"#,
        ),
        (r#"{"a":1,"a":2}"#, r#"{"a": 2}"#),
        (
            r#"{"t":{integer:1..9},"s":"{choice:x|\"}-{hex:2}","k":{choice:true|"a"|1.50}}"#,
            r#"{"k": <true|"a"|1.5>, "s": "<x|\\\">-<Chars([48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 97, 98, 99, 100, 101, 102], 2)>", "t": <Integer(1, 9)>}"#,
        ),
        (r#""{choice:a|b}""#, r#""<a|b>""#),
        ("{row_id}", "<RowId>"),
    ] {
        assert_eq!(shown(&Pattern::of_json(text, true).unwrap()), form);
    }
    let verbatim = r#"{ "b":1e2,  "a":{choice:1e2|-0}, "c": "{choice:x|y}" }"#;
    let json = Pattern::of_json(verbatim, false).unwrap();
    assert_eq!(shown(&json), r#"{ "b":1e2,  "a":<1e2|-0>, "c": "<x|y>" }"#);
}

#[test]
fn what_would_be_no_json_is_refused() {
    for (text, fact) in [
        ("", "is no JSON"),
        ("{integer:1..2}{integer:1..2}", "is no JSON"),
        (r#"{"a": {hex:2}}"#, "a placeholder for text stands where JSON has a value"),
        (r#"{"a": {choice:x|y}}"#, "`x` is chosen for a value of JSON"),
        (r#"{"{hex:2}": 1}"#, "a key of the document has a placeholder"),
        ("1e300", "another form in jsonb"),
        ("\"\u{e000}\"", "U+E000"),
        (r#""\u0000""#, "NUL"),
    ] {
        let fault = Pattern::of_json(text, true).unwrap_err();
        assert!(fault.fact().contains(fact), "{text}: {fault}");
    }
}
