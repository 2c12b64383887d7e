//! What an object has, by its own introspection document. Pure: any text is read, and what it doesn't say
//! isn't there.

use super::fault::Fault;

/// Bytes of a document at most.
const MOST_IN_XML: usize = 256 * 1024;

/// Whether the object itself, and not one below it, has an interface.
pub(super) fn has_interface(document: &str, interface: &str) -> Result<bool, Fault> {
    has(document, interface, None)
}

/// Whether that interface of the object itself has a method.
pub(super) fn has_method(document: &str, (interface, method): (&str, &str)) -> Result<bool, Fault> {
    has(document, interface, Some(method))
}

fn has(document: &str, interface: &str, method: Option<&str>) -> Result<bool, Fault> {
    if document.len() > MOST_IN_XML {
        return Err(Fault::Lie(format!("an introspection document of {} bytes", document.len())));
    }
    let (mut depth, mut is_inside) = (0u32, false);
    for tag in document.split('<').skip(1) {
        let Some((tag, _)) = tag.split_once('>') else { break };
        let (ends, is_empty) = (tag.starts_with('/'), tag.ends_with('/'));
        match tag.split(|c: char| c.is_ascii_whitespace() || c == '/').find(|part| !part.is_empty()) {
            Some("node") if ends => depth = depth.saturating_sub(1),
            Some("node") if !is_empty => depth += 1,
            Some("interface") => {
                let is_it = depth == 1 && !ends && is_named(tag, interface);
                if is_it && method.is_none() {
                    return Ok(true);
                }
                is_inside = is_it && !is_empty;
            }
            Some("method") if is_inside && method.is_some_and(|method| is_named(tag, method)) => {
                return Ok(true);
            }
            _ => {}
        }
    }
    Ok(false)
}

/// Whether a tag's attribute `name` is this.
fn is_named(tag: &str, wanted: &str) -> bool {
    let Some((_, value)) = tag.split_once("name") else { return false };
    let value = value.trim_start().strip_prefix('=').map(str::trim_start).unwrap_or_default();
    let quoted = value.strip_prefix('"').map(|rest| (rest, '"'));
    let quoted = quoted.or_else(|| value.strip_prefix('\'').map(|rest| (rest, '\'')));
    quoted.and_then(|(rest, quote)| rest.split_once(quote)).is_some_and(|(name, _)| name == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_interface_is_the_objects_own() {
        let document = "<node name='/x'><interface name=\"a.B\"><method name='a.C'/></interface>\
                        <node name=\"y\"/><node><interface name='a.D'/></node><interface  name = 'a.E' /></node>";
        for (interface, there) in [("a.B", true), ("a.C", false), ("a.D", false), ("a.E", true)] {
            assert_eq!(has_interface(document, interface), Ok(there), "{interface}");
        }
        assert_eq!(has_interface("<node><interface name='a.B'", "a.B"), Ok(false));
        assert!(has_interface(&"x".repeat(MOST_IN_XML + 1), "a.B").is_err());
    }

    #[test]
    fn a_method_is_that_interfaces_own() {
        let document = "<node><interface name='a.B'><method name='M'><arg name='N'/></method></interface>\
                        <interface name='a.C'/><interface name='a.D'><method name='O'/></interface>\
                        <node><interface name='a.B'><method name='P'/></interface></node></node>";
        for (method, there) in [("M", true), ("N", false), ("O", false), ("P", false)] {
            assert_eq!(has_method(document, ("a.B", method)), Ok(there), "{method}");
        }
        assert_eq!(has_method(document, ("a.D", "O")), Ok(true));
        assert_eq!(has_method("<node><interface name='a.B'/><method name='M'/>", ("a.B", "M")), Ok(false));
    }

    proptest! {
        #[test]
        fn any_document_is_read(document in "(<|>|/|node|interface|method|name|=|'|\"| |a\\.B){0,40}") {
            let _ = (has_interface(&document, "a.B"), has_method(&document, ("a.B", "a.B")));
        }
    }
}
