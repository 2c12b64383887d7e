//! Descriptors as a device would have them, for tests.

/// A registry property to be encoded.
#[derive(Debug, Clone)]
pub(crate) struct Property {
    pub(crate) kind: u32,
    pub(crate) name: String,
    pub(crate) value: String,
    /// Bytes after it that its size counts.
    pub(crate) padding: usize,
}

impl Property {
    pub(crate) fn new(kind: u32, name: &str, value: &str) -> Self {
        Self { kind, name: format!("{name}\0"), value: value.to_owned(), padding: 0 }
    }
}

pub(crate) fn wide(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

fn short(length: usize) -> [u8; 2] {
    u16::try_from(length).unwrap().to_le_bytes()
}

fn long(length: usize) -> [u8; 4] {
    u32::try_from(length).unwrap().to_le_bytes()
}

/// Extended properties, version 1.0.
pub(crate) fn v1_properties(properties: &[Property]) -> Vec<u8> {
    let mut body = Vec::new();
    for property in properties {
        let (name, value) = (wide(&property.name), wide(&property.value));
        body.extend(long(14 + name.len() + value.len() + property.padding));
        body.extend(property.kind.to_le_bytes());
        body.extend([&short(name.len())[..], &name, &long(value.len()), &value].concat());
        body.extend(vec![0; property.padding]);
    }
    [&long(10 + body.len())[..], &[0, 1, 5, 0], &short(properties.len()), &body].concat()
}

/// Compatible ids, version 1.0: first interface and id of each function.
pub(crate) fn v1_compatible_ids(functions: &[(u8, [u8; 8])]) -> Vec<u8> {
    let body: Vec<u8> =
        functions.iter().flat_map(|(interface, id)| [&[*interface, 1][..], id, &[0; 14]].concat()).collect();
    let count = u8::try_from(functions.len()).unwrap();
    [&long(16 + body.len())[..], &[0, 1, 4, 0, count], &[0; 7], &body].concat()
}

/// A descriptor of version 2.0.
pub(crate) fn v2(kind: u16, body: &[u8]) -> Vec<u8> {
    [&short(4 + body.len())[..], &kind.to_le_bytes(), body].concat()
}

/// A registry property, version 2.0.
pub(crate) fn v2_property(property: &Property) -> Vec<u8> {
    let (name, value) = (wide(&property.name), wide(&property.value));
    let kind = u16::try_from(property.kind).unwrap().to_le_bytes();
    v2(4, &[&kind[..], &short(name.len()), &name, &short(value.len()), &value].concat())
}

/// A subset of version 2.0: for a configuration (1) or a function (2).
pub(crate) fn v2_subset(kind: u16, number: u8, body: &[u8]) -> Vec<u8> {
    [&v2(kind, &[&[number, 0][..], &short(8 + body.len())].concat())[..], body].concat()
}

/// A descriptor set, version 2.0.
pub(crate) fn v2_set(body: &[u8]) -> Vec<u8> {
    [&v2(0, &[&[0, 0, 3, 6][..], &short(10 + body.len())].concat())[..], body].concat()
}

/// A BOS with these capabilities.
pub(crate) fn bos(capabilities: &[Vec<u8>]) -> Vec<u8> {
    let body = capabilities.concat();
    let count = u8::try_from(capabilities.len()).unwrap();
    [&[5, 0x0f][..], &short(5 + body.len()), &[count], &body].concat()
}

/// The platform capability of Microsoft OS 2.0.
pub(crate) fn platform(vendor_code: u8, set_length: usize) -> Vec<u8> {
    let uuid =
        [0xdf, 0x60, 0xdd, 0xd8, 0x89, 0x45, 0xc7, 0x4c, 0x9c, 0xd2, 0x65, 0x9d, 0x9e, 0x64, 0x8a, 0x9f];
    [&[28, 0x10, 5, 0][..], &uuid, &[0, 0, 3, 6], &short(set_length), &[vendor_code, 0]].concat()
}
