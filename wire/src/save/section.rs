//! The file as a whole: cookie, sections, end.

use super::{
    Friend, MAX_NAME, MAX_OTHER_SECTIONS, MAX_SAVE, MAX_STATUS_MESSAGE, OtherSection, Save,
    SaveError, is_encrypted,
};
use crate::address::PackedNode;
use crate::codec::{Decode, DecodeError, Encode, Reader};
use crate::key::{KeyPair, PublicKey, SecretKey};

/// The file's first eight bytes: four zeros and a number.
const COOKIE: [u8; 8] = [0, 0, 0, 0, 0x1f, 0x1b, 0xed, 0x15];
/// What stands behind the kind of each section.
const SECTION_COOKIE: u16 = 0x01ce;
/// The first four bytes of the DHT's section, which has sections of its own.
const DHT_COOKIE: u32 = 0x0159_000d;
/// What stands behind the kind of each section in the DHT's.
const DHT_SECTION_COOKIE: u16 = 0x11ce;
/// The one kind of section in the DHT's.
const DHT_NODES: u16 = 4;

const KEYS: u16 = 1;
const NODES: u16 = 2;
const FRIENDS: u16 = 3;
const NAME: u16 = 4;
const STATUS_MESSAGE: u16 = 5;
const STATUS: u16 = 6;
const RELAYS: u16 = 10;
const PATH_NODES: u16 = 11;
const CONFERENCES: u16 = 20;
const END: u16 = 255;

/// Reads a header: length, kind, and the cookie of such sections.
fn header(reader: &mut Reader<'_>, cookie: u16) -> Result<(usize, u16), DecodeError> {
    let length = reader.array().map(u32::from_le_bytes)?;
    let kind = reader.array().map(u16::from_le_bytes)?;
    if reader.array().map(u16::from_le_bytes)? != cookie {
        return Err(DecodeError::Invalid("section cookie"));
    }
    Ok((length as usize, kind))
}

/// What was read so far.
struct Draft {
    /// The fields are those of nobody until the keys were read.
    save: Save,
    /// The kinds of sections that were there.
    seen: Vec<u16>,
}

pub(super) fn read(file: &[u8]) -> Result<Save, SaveError> {
    if is_encrypted(file) {
        return Err(SaveError::Encrypted);
    }
    if file.len() > MAX_SAVE {
        return Err(SaveError::TooLong);
    }
    let mut reader = Reader::new(file.strip_prefix(&COOKIE).ok_or(SaveError::NotASave)?);
    let nobody = KeyPair { public: PublicKey([0; 32]), secret: SecretKey::from_bytes([0; 32]) };
    let mut draft = Draft { save: Save::new(nobody, [0; 4]), seen: Vec::new() };
    // c-toxcore takes a file without an end section. It never writes one, so it was cut off.
    loop {
        let begin = file.len() - reader.remaining();
        let damaged = |at, cause| SaveError::Damaged { at, cause };
        let (length, kind) =
            header(&mut reader, SECTION_COOKIE).map_err(|cause| damaged(begin, cause))?;
        let begin = file.len() - reader.remaining();
        let body = reader.take(length).map_err(|cause| damaged(begin, cause))?;
        let mut body = Reader::new(body);
        if kind == END {
            body.finish().map_err(|cause| damaged(begin, cause))?;
            break;
        }
        let read = draft.take(kind, &mut body).and_then(|()| body.finish());
        read.map_err(|cause| damaged(begin + length - body.remaining(), cause))?;
    }
    if draft.seen.contains(&KEYS) { Ok(draft.save) } else { Err(SaveError::NoKeys) }
}

impl Draft {
    /// Takes over one section.
    fn take(&mut self, kind: u16, body: &mut Reader<'_>) -> Result<(), DecodeError> {
        let save = &mut self.save;
        match kind {
            KEYS | NODES | FRIENDS | NAME | STATUS_MESSAGE | STATUS | RELAYS | PATH_NODES
            | CONFERENCES => {
                if self.seen.contains(&kind) {
                    return Err(DecodeError::Invalid("section, for it was there before"));
                }
                self.seen.push(kind);
            }
            _ => {}
        }
        match kind {
            KEYS => (save.nospam, save.keys) = keys(body)?,
            FRIENDS => save.friends = friends(body)?,
            NAME => save.name = text(body, "name", MAX_NAME)?,
            STATUS_MESSAGE => {
                save.status_message = text(body, "status message", MAX_STATUS_MESSAGE)?;
            }
            STATUS => save.status = body.u8()?,
            CONFERENCES => save.conferences = all(body)?,
            NODES | RELAYS | PATH_NODES => self.take_nodes(kind, body),
            _ if save.others.len() == MAX_OTHER_SECTIONS => {
                let (limit, got) = (MAX_OTHER_SECTIONS, MAX_OTHER_SECTIONS + 1);
                return Err(DecodeError::Limit { what: "unknown sections", limit, got });
            }
            _ => save.others.push(OtherSection { kind, data: body.take_rest().to_vec() }),
        }
        Ok(())
    }

    /// Takes over a list of nodes. They are but hints: one that cannot be read is kept as it is, and
    /// nobody is locked out of their own save.
    fn take_nodes(&mut self, kind: u16, body: &mut Reader<'_>) {
        let save = &mut self.save;
        let data = body.take_rest();
        let mut reader = Reader::new(data);
        let nodes = if kind == NODES { dht_nodes(&mut reader) } else { all(&mut reader) };
        match nodes {
            Ok(nodes) if kind == NODES => save.nodes = nodes,
            Ok(nodes) if kind == RELAYS => save.relays = nodes,
            Ok(nodes) => save.path_nodes = nodes,
            Err(_) => save.others.push(OtherSection { kind, data: data.to_vec() }),
        }
    }
}

/// Nospam and keys, which must belong together.
fn keys(body: &mut Reader<'_>) -> Result<([u8; 4], KeyPair), DecodeError> {
    let nospam = body.array()?;
    let mut ahead = *body;
    let public = PublicKey::decode(&mut ahead)?;
    let keys = KeyPair::from_secret(SecretKey::from_bytes(ahead.array()?));
    if keys.public != public {
        return Err(DecodeError::Invalid("public key: it does not belong to the secret one"));
    }
    *body = ahead;
    Ok((nospam, keys))
}

fn friends(body: &mut Reader<'_>) -> Result<Vec<Friend>, DecodeError> {
    let mut friends = Vec::new();
    while !body.is_empty() {
        friends.extend(Friend::read(body)?);
    }
    Ok(friends)
}

/// A text that is the whole section.
fn text(body: &mut Reader<'_>, what: &'static str, limit: usize) -> Result<Vec<u8>, DecodeError> {
    let got = body.remaining();
    if got > limit {
        return Err(DecodeError::Limit { what, limit, got });
    }
    Ok(body.take_rest().to_vec())
}

/// As many values as there are.
fn all<'a, T: Decode<'a>>(body: &mut Reader<'a>) -> Result<Vec<T>, DecodeError> {
    let mut values = Vec::new();
    while !body.is_empty() {
        values.push(T::decode(body)?);
    }
    Ok(values)
}

/// The nodes in the DHT's section, which has one section of its own.
fn dht_nodes(body: &mut Reader<'_>) -> Result<Vec<PackedNode>, DecodeError> {
    if body.array().map(u32::from_le_bytes)? != DHT_COOKIE {
        return Err(DecodeError::Invalid("DHT cookie"));
    }
    let (length, kind) = header(body, DHT_SECTION_COOKIE)?;
    if kind != DHT_NODES {
        return Err(DecodeError::Invalid("DHT section"));
    }
    let mut nodes = Reader::new(body.take(length)?);
    body.finish()?;
    all(&mut nodes)
}

/// Appends a section whose content `write` appends.
fn section(out: &mut Vec<u8>, kind: u16, cookie: u16, write: impl FnOnce(&mut Vec<u8>)) {
    let begin = out.len();
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&kind.to_le_bytes());
    out.extend_from_slice(&cookie.to_le_bytes());
    write(out);
    let length = (out.len() - begin - 8) as u32;
    out[begin..begin + 4].copy_from_slice(&length.to_le_bytes());
}

/// Appends values one after the other.
fn put_all<T: Encode>(out: &mut Vec<u8>, values: &[T]) {
    for value in values {
        value.encode(out);
    }
}

pub(super) fn write(save: &Save) -> Vec<u8> {
    let mut file = COOKIE.to_vec();
    let mut put = |kind, write: &dyn Fn(&mut Vec<u8>)| {
        section(&mut file, kind, SECTION_COOKIE, write);
    };
    put(KEYS, &|out| {
        out.extend_from_slice(&save.nospam);
        save.keys.public.encode(out);
        out.extend_from_slice(save.keys.secret.expose());
    });
    put_nodes(&mut put, save, NODES, &save.nodes);
    put(FRIENDS, &|out| put_all(out, &save.friends));
    put(NAME, &|out| out.extend_from_slice(&save.name[..save.name.len().min(MAX_NAME)]));
    let message = &save.status_message[..save.status_message.len().min(MAX_STATUS_MESSAGE)];
    put(STATUS_MESSAGE, &|out| out.extend_from_slice(message));
    put(STATUS, &|out| out.push(save.status));
    put_nodes(&mut put, save, RELAYS, &save.relays);
    put_nodes(&mut put, save, PATH_NODES, &save.path_nodes);
    put(CONFERENCES, &|out| put_all(out, &save.conferences));
    for other in &save.others {
        if !matches!(other.kind, KEYS..=STATUS | RELAYS | PATH_NODES | CONFERENCES | END) {
            put(other.kind, &|out| out.extend_from_slice(&other.data));
        }
    }
    put(END, &|_| {});
    file
}

/// Writes a list of nodes, or in its place the one that could not be read.
fn put_nodes(
    put: &mut impl FnMut(u16, &dyn Fn(&mut Vec<u8>)),
    save: &Save,
    kind: u16,
    nodes: &[PackedNode],
) {
    let kept = save.others.iter().find(|other| other.kind == kind && nodes.is_empty());
    put(kind, &|out| match kept {
        Some(kept) => out.extend_from_slice(&kept.data),
        None if kind == NODES => {
            out.extend_from_slice(&DHT_COOKIE.to_le_bytes());
            section(out, DHT_NODES, DHT_SECTION_COOKIE, |out| put_all(out, nodes));
        }
        None => put_all(out, nodes),
    });
}
