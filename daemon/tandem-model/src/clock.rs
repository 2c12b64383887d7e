//! The clock as the engine sees it: a trait, so that tests decide what time it is.
//!
//! Nothing here schedules; waiting is the runtime's business.

/// Tells the time.
pub trait Clock: Send + Sync {
    /// Whole seconds since 1970-01-01 UTC.
    fn now(&self) -> u64;
}

/// The system's clock. A clock set before 1970 reads as 0.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> u64 {
        std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |elapsed| elapsed.as_secs())
    }
}
