//! The methods of the four interfaces, a file for each. They check what the caller says, and leave the rest to the device.

pub(crate) mod device;
pub(crate) mod object;
pub(crate) mod root;
pub(crate) mod storage;
