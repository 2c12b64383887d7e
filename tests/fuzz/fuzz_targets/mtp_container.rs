//! Containers of commands, responses and events: any bytes are read or refused, and what is read is written so that it
//! reads the same. It must not reach a device.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tandem_mtp::codec::container::{Command, Event, Header, Response};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(header) = Header::decode(bytes) {
        assert_eq!(header.encode(), bytes[..12]);
    }
    if let Ok(command) = Command::decode(bytes) {
        assert_eq!(Command::decode(&command.encode()), Ok(command));
    }
    if let Ok(response) = Response::decode(bytes) {
        assert_eq!(Response::decode(&response.encode()), Ok(response));
    }
    if let Ok(event) = Event::decode(bytes) {
        assert_eq!(Event::decode(&event.encode()), Ok(event));
    }
});
