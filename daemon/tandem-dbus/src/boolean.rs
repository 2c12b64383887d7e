//! WMP's booleans as text: `True` and `False`, read without regard to case.
//!
//! D-Bus' own booleans are used wherever the contract isn't string-typed.

use tandem_model::error::RequestError;

/// `True` or `False`.
pub(crate) fn write(value: bool) -> String {
    if value { "True".to_owned() } else { "False".to_owned() }
}

/// The boolean that this text means.
///
/// # Errors
/// `InvalidArgument` naming the attribute and the text.
pub(crate) fn read(name: &str, value: &str) -> Result<bool, RequestError> {
    if value.eq_ignore_ascii_case("true") {
        Ok(true)
    } else if value.eq_ignore_ascii_case("false") {
        Ok(false)
    } else {
        Err(RequestError::InvalidArgument(format!("`{value}` is no value of {name}; use `True` or `False`")))
    }
}
