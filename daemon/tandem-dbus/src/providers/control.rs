//! What WMP's control codes bring, which a provider may know. Pure.
//!
//! The layout is Windows Media Player's: 32-bit numbers, low byte first.

use super::fault::Fault;

/// What `WMP2` brought: whether the device can be synchronised. Whoever answers nothing says nothing against
/// it.
///
/// # Errors
/// When it is neither yes nor no.
pub(super) fn can_synchronize(answer: &[u8]) -> Result<bool, Fault> {
    match answer {
        [] | [1] | [1, 0, 0, 0] => Ok(true),
        [0] | [0, 0, 0, 0] => Ok(false),
        other => Err(Fault::Lie(format!(
            "{} bytes to whether it can be synchronised, where 0 or 1 are expected",
            other.len()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yes_no_and_silence_are_understood() {
        for (answer, told) in [
            (&[][..], Ok(true)),
            (&[1], Ok(true)),
            (&[1, 0, 0, 0], Ok(true)),
            (&[0], Ok(false)),
            (&[0, 0, 0, 0], Ok(false)),
        ] {
            assert_eq!(can_synchronize(answer), told);
        }
        assert!(can_synchronize(&[2]).is_err() && can_synchronize(&[1, 0]).is_err());
    }
}
