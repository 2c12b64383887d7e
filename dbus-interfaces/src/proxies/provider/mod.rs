//! Proxies of a provider's four interfaces, made from the XML like those beside this folder. They have no destination of
//! their own: every provider has its own bus name, and its own paths.

mod device;
mod object;
mod root;
mod storage;

pub use device::*;
pub use object::*;
pub use root::*;
pub use storage::*;
