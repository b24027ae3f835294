//! The file with the requests to delete.
#![doc = include_str!("../../docs/format/deletes.md")]

use std::io::ErrorKind;
use std::path::Path;

use disk::{Files, IoContext};

use super::DeleteRequest;
use crate::bytes::{Cursor, Malformed, put_signed, put_slice, put_varint};
use crate::error::Error;

const MAGIC: [u8; 4] = *b"FSLD";
const VERSION: u16 = 1;

/// A request as it is in the file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) id: u64,
    pub(super) request: DeleteRequest,
    pub(super) done_ns: Option<i64>,
}

pub(super) fn encode<'a>(
    next_id: u64,
    records: impl ExactSizeIterator<Item = (u64, &'a DeleteRequest, Option<i64>)>,
) -> Vec<u8> {
    let mut half = MAGIC.to_vec();
    half.extend_from_slice(&VERSION.to_le_bytes());
    put_varint(&mut half, next_id);
    put_varint(&mut half, records.len() as u64);
    for (id, request, done_ns) in records {
        put_varint(&mut half, id);
        for time in [request.created_ns, request.start_ns, request.end_ns, request.due_ns] {
            put_signed(&mut half, time);
        }
        half.push(u8::from(done_ns.is_some()));
        if let Some(done_ns) = done_ns {
            put_signed(&mut half, done_ns);
        }
        put_slice(&mut half, request.query.as_bytes());
    }
    let crc = crc32fast::hash(&half);
    half.extend_from_slice(&crc.to_le_bytes());
    half.repeat(2)
}

fn decode(half: &[u8]) -> Result<(u64, Vec<Record>), Malformed> {
    let Some((content, crc)) = half.split_last_chunk::<4>() else {
        return Err(Malformed { what: "file is too short", at: half.len() });
    };
    if crc32fast::hash(content) != u32::from_le_bytes(*crc) {
        return Err(Malformed { what: "wrong checksum", at: 0 });
    }
    let mut cursor = Cursor::new(content);
    if cursor.take(4)? != MAGIC || cursor.take(2)? != VERSION.to_le_bytes() {
        return Err(Malformed { what: "not a list of delete requests of version 1", at: 0 });
    }
    let next_id = cursor.varint()?;
    let mut records = Vec::new();
    for _ in 0..cursor.count()? {
        let id = cursor.varint()?;
        let (created_ns, start_ns) = (cursor.signed()?, cursor.signed()?);
        let (end_ns, due_ns) = (cursor.signed()?, cursor.signed()?);
        let done_ns = match cursor.byte()? {
            0 => None,
            1 => Some(cursor.signed()?),
            _ => return Err(cursor.malformed("a flag is neither 0 nor 1")),
        };
        let query = cursor.text()?.to_owned();
        records.push(Record { id, request: DeleteRequest { query, start_ns, end_ns, created_ns, due_ns }, done_ns });
    }
    cursor.finish()?;
    Ok((next_id, records))
}

/// The next number and the requests; damage is told.
pub(super) fn read(files: &dyn Files, path: &Path, damage: &mut Vec<String>) -> Result<(u64, Vec<Record>), Error> {
    let bytes = match files.map(path) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok((1, Vec::new())),
        other => other.at("map", path)?,
    };
    let (first, second) = bytes.split_at(bytes.len() / 2);
    match (decode(first), decode(second)) {
        (Ok(list), second) => {
            if second.is_err() {
                damage.push(format!("{}: the second copy of the delete requests is damaged", path.display()));
            }
            Ok(list)
        }
        (Err(error), Ok(list)) => {
            damage.push(format!("{}: the first copy of the delete requests is damaged: {error}", path.display()));
            Ok(list)
        }
        (Err(error), Err(_)) => {
            damage.push(format!("{}: {error}; entries whose deletion was asked for are visible", path.display()));
            Ok((1, Vec::new()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use disk::MemFiles;

    fn example() -> Vec<Record> {
        let request = |query: &str, due_ns| DeleteRequest {
            query: query.to_owned(),
            start_ns: 1,
            end_ns: 300,
            created_ns: -2,
            due_ns,
        };
        vec![
            Record { id: 3, request: request("{a=\"b\"}", 5), done_ns: Some(6) },
            Record { id: 4, request: request("", i64::MAX), done_ns: None },
        ]
    }

    fn bytes() -> Vec<u8> {
        let records = example();
        encode(5, records.iter().map(|record| (record.id, &record.request, record.done_ns)))
    }

    #[test]
    fn the_page_shows_what_is_written() {
        let page = include_str!("../../docs/format/deletes.md");
        let hex = page.split("```hex").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
        let want: Vec<u8> = hex.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect();
        assert_eq!(bytes(), want, "{:02x?}", bytes());
    }

    #[test]
    fn one_copy_is_enough() {
        let files = MemFiles::new();
        let path = Path::new("deletes");
        let mut damage = Vec::new();
        assert_eq!(read(&files, path, &mut damage).unwrap(), (1, Vec::new()));
        disk::write_atomic(&files, path, &bytes()).unwrap();
        assert_eq!(read(&files, path, &mut damage).unwrap(), (5, example()));
        assert!(damage.is_empty());
        for at in 0..bytes().len() {
            damage.clear();
            files.tamper(path, |content| content[at] ^= 0x10).unwrap();
            assert_eq!(read(&files, path, &mut damage).unwrap(), (5, example()), "byte {at}");
            assert_eq!(damage.len(), 1);
            files.tamper(path, |content| content[at] ^= 0x10).unwrap();
        }
        for len in 0..bytes().len() {
            damage.clear();
            files.tamper(path, |content| *content = bytes()[..len].to_vec()).unwrap();
            let (_, records) = read(&files, path, &mut damage).unwrap();
            assert!(records.is_empty() && damage.len() == 1, "cut at {len}");
        }
    }
}
