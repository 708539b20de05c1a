//! A strict reader of HTML as our pages have it: every element is closed, every attribute quoted.

/// An element with its own text.
#[derive(Debug, Default, Clone)]
pub(super) struct Element {
    pub(super) name: String,
    pub(super) attributes: Vec<(String, String)>,
    pub(super) text: String,
    /// The element that it is in, by its place among all.
    pub(super) within: Option<usize>,
}

impl Element {
    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|own| own.0 == name).map(|own| own.1.as_str())
    }
}

/// Elements that have no end.
const VOID: [&str; 3] = ["meta", "input", "br"];
/// Elements whose content is no markup.
const RAW: [&str; 2] = ["script", "style"];

/// The elements of a page in the order in which they open, or what is wrong with it.
pub(super) fn parse(page: &str) -> Result<Vec<Element>, String> {
    let mut rest = page.strip_prefix("<!doctype html>").ok_or("no doctype")?;
    let mut elements: Vec<Element> = Vec::new();
    let mut open: Vec<usize> = Vec::new();
    while let Some(at) = rest.find('<') {
        let text = &rest[..at];
        if text.contains('>') {
            return Err(format!("a lone > in {text:.80}"));
        }
        if let Some(own) = open.last() {
            elements[*own].text.push_str(&unescaped(text)?);
        }
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('/') {
            let (name, after) = after.split_once('>').ok_or("an end without an end")?;
            let own = open.pop().ok_or_else(|| format!("</{name}> closes nothing"))?;
            if elements[own].name != name {
                return Err(format!("</{name}> closes <{}>", elements[own].name));
            }
            rest = after;
            continue;
        }
        let (mut element, closed, after) = tag(rest)?;
        element.within = open.last().copied();
        rest = after;
        let raw = RAW.contains(&element.name.as_str());
        let void = closed || VOID.contains(&element.name.as_str());
        elements.push(element);
        let number = elements.len() - 1;
        if raw {
            let end = format!("</{}>", elements[number].name);
            let (text, after) = rest.split_once(&end).ok_or("raw text without an end")?;
            text.clone_into(&mut elements[number].text);
            rest = after;
        } else if !void {
            open.push(number);
        }
    }
    match open.last() {
        Some(own) => Err(format!("<{}> is never closed", elements[*own].name)),
        None => Ok(elements),
    }
}

/// An opening tag: the element, whether it is closed in itself, and what follows.
fn tag(text: &str) -> Result<(Element, bool, &str), String> {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric()).ok_or("a tag without an end")?;
    let (name, mut rest) = text.split_at(end);
    if name.is_empty() {
        return Err(format!("a lone < before {text:.40}"));
    }
    let mut element = Element { name: name.to_owned(), ..Element::default() };
    loop {
        rest = rest.trim_start();
        if let Some(after) = rest.strip_prefix("/>") {
            return Ok((element, true, after));
        }
        if let Some(after) = rest.strip_prefix('>') {
            return Ok((element, false, after));
        }
        let end = rest.find(['=', ' ', '>', '/']).ok_or("an attribute without an end")?;
        let (name, after) = rest.split_at(end);
        if name.is_empty() || name.contains(['<', '"', '\'']) {
            return Err(format!("no attribute in <{}: {rest:.40}", element.name));
        }
        let Some(after) = after.strip_prefix("=\"") else {
            element.attributes.push((name.to_owned(), String::new()));
            rest = after;
            continue;
        };
        let (value, after) = after.split_once('"').ok_or("a value without an end")?;
        if value.contains('<') {
            return Err(format!("< in {name} of <{}>", element.name));
        }
        element.attributes.push((name.to_owned(), unescaped(value)?));
        rest = after;
    }
}

fn unescaped(text: &str) -> Result<String, String> {
    let mut out = String::new();
    let mut parts = text.split('&');
    out.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let (entity, rest) =
            part.split_once(';').ok_or_else(|| format!("a lone & in {text:.80}"))?;
        out.push_str(match entity {
            "amp" => "&",
            "lt" => "<",
            "gt" => ">",
            "quot" => "\"",
            "#39" => "'",
            other => return Err(format!("an unknown &{other};")),
        });
        out.push_str(rest);
    }
    Ok(out)
}

/// The figures of a page: the number of the element, its place in the result, and how it reads.
pub(super) fn figures(elements: &[Element]) -> Vec<(usize, String, String)> {
    let own = elements.iter().enumerate();
    let own = own.filter_map(|(at, own)| Some((at, own.attribute("data-of")?, own)));
    own.map(|(at, place, own)| (at, place.to_owned(), own.text.clone())).collect()
}
