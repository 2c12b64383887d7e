//! Which device or playlist the user means: pure matching of a text against names. It asks nobody.

use crate::error::Error;
use crate::output::text::safe;

/// Something that can be named on the command line.
pub(crate) trait Named {
    /// Texts that never change and stand for this one alone: the id, the object path.
    fn ids(&self) -> Vec<&str>;
    /// What people call it; others may be called the same.
    fn names(&self) -> Vec<&str>;
    /// What tells it from others of the same name, for people: its id, and what else helps.
    fn detail(&self) -> String;
    /// Whether the beginning of an id is enough.
    const ID_PREFIXES: bool;
    /// `device`, `playlist`: for messages.
    const WHAT: &'static str;
}

/// The one that is meant: by id, else by exact name, else by name without regard to case, else by the beginning of
/// an id or name.
///
/// # Errors
/// [`Error::NotFound`] with the candidates when several are meant, and with all there is when none is.
pub(crate) fn select<T: Named + Clone>(all: &[T], wanted: &str) -> Result<T, Error> {
    let folded = wanted.to_lowercase();
    let tests: [&dyn Fn(&T) -> bool; 4] = [
        &|item| item.ids().contains(&wanted),
        &|item| item.names().contains(&wanted),
        &|item| item.names().iter().any(|name| name.to_lowercase() == folded),
        &|item| {
            !wanted.is_empty()
                && (item.names().iter().any(|name| name.to_lowercase().starts_with(&folded))
                    || T::ID_PREFIXES && item.ids().iter().any(|id| id.starts_with(wanted)))
        },
    ];
    for test in tests {
        let found: Vec<&T> = all.iter().filter(|item| test(item)).collect();
        match found.as_slice() {
            [] => {}
            [one] => return Ok((*one).clone()),
            several => return Err(ambiguous(several, wanted)),
        }
    }
    Err(missing(all, wanted))
}

fn ambiguous<T: Named>(found: &[&T], wanted: &str) -> Error {
    Error::NotFound(format!(
        "`{}` may be any of these: {}; give more of it, or the id",
        safe(wanted),
        list(found)
    ))
}

fn missing<T: Named>(all: &[T], wanted: &str) -> Error {
    let what = T::WHAT;
    let there: Vec<&T> = all.iter().collect();
    let there =
        if all.is_empty() { "there is none".to_owned() } else { format!("there is {}", list(&there)) };
    Error::NotFound(format!("no {what} is called `{}`; {there}", safe(wanted)))
}

/// Names with what tells them apart, at most twenty.
fn list<T: Named>(items: &[&T]) -> String {
    const LIMIT: usize = 20;
    let mut texts: Vec<String> = items
        .iter()
        .take(LIMIT)
        .map(|item| {
            let names = item.names();
            format!("{} ({})", safe(names.first().unwrap_or(&"")), safe(&item.detail()))
        })
        .collect();
    if items.len() > LIMIT {
        texts.push(format!("{} more", items.len() - LIMIT));
    }
    texts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Debug, Clone, PartialEq)]
    struct Thing(&'static str, &'static str);

    impl Named for Thing {
        const ID_PREFIXES: bool = true;
        const WHAT: &'static str = "device";
        fn ids(&self) -> Vec<&str> {
            vec![self.0]
        }
        fn names(&self) -> Vec<&str> {
            vec![self.1]
        }
        fn detail(&self) -> String {
            self.0.to_owned()
        }
    }

    const THINGS: [Thing; 4] = [
        Thing("usb-1", "Sansa"),
        Thing("usb-2", "Sansa Clip"),
        Thing("folder-3", "sansa"),
        Thing("x\x1b", "Zen"),
    ];

    #[test]
    fn exact_goes_before_case_before_beginning() {
        let id = |text| select(&THINGS, text).map(|thing| thing.0).map_err(|error| error.to_string());
        assert_eq!(id("usb-1"), Ok("usb-1"));
        assert_eq!(id("sansa"), Ok("folder-3"));
        assert_eq!(id("ZEN"), Ok("x\x1b"));
        assert_eq!(id("ze"), Ok("x\x1b"));
        assert_eq!(id("fol"), Ok("folder-3"));
        assert_eq!(id("sansa c"), Ok("usb-2"));
    }

    #[test]
    fn several_and_none_list_what_there_is() {
        let several = select(&THINGS, "usb").unwrap_err();
        assert_eq!(
            several.to_string(),
            "`usb` may be any of these: Sansa (usb-1), Sansa Clip (usb-2); give more of it, or the id"
        );
        assert_eq!(several.exit(), crate::error::Exit::NotFound);
        let several = select(&THINGS, "SANSA").unwrap_err();
        assert!(several.to_string().contains("folder-3"), "{several}");
        let none = select(&THINGS, "ipod").unwrap_err().to_string();
        assert!(none.starts_with("no device is called `ipod`; there is Sansa (usb-1)"), "{none}");
        assert!(none.contains("Zen (x\\u{1b})"), "{none}");
        assert_eq!(
            select::<Thing>(&[], "a").unwrap_err().to_string(),
            "no device is called `a`; there is none"
        );
        assert!(select(&THINGS[..1], "").is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_answered_safely(text: String) {
            if let Err(error) = select(&THINGS, &text) {
                prop_assert!(crate::output::text::is_safe(&error.to_string()));
            }
        }
    }
}
