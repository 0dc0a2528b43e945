//! Reads and writes the files of transfers, on a thread of its own.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use toktok_mesh::messenger::{IoFailed, IoRequest, IoResult, Messenger, TransferId};
use toktok_mesh::runtime::IoReply;

/// Open files by their transfers.
pub(crate) type Files = Arc<Mutex<BTreeMap<TransferId, File>>>;

/// What one piece of work is, and who waits for it.
pub(crate) type Job = (IoRequest, IoReply<Messenger>);

/// Takes a lock, whoever failed with it.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts the thread.
pub(crate) fn start(files: Files) -> Sender<Job> {
    let (jobs, inbox): (_, Receiver<Job>) = channel();
    std::thread::spawn(move || {
        for (request, reply) in inbox {
            reply.send(perform(&files, request));
        }
    });
    jobs
}

fn perform(files: &Files, request: IoRequest) -> IoResult {
    let files = lock(files);
    match request {
        IoRequest::Read { transfer, range } => {
            let mut bytes = vec![0; (range.end - range.start) as usize];
            let file = files.get(&transfer).ok_or(IoFailed);
            let read = file.and_then(|file| read_at(file, &mut bytes, range.start));
            IoResult::Read(read.map(|length| {
                bytes.truncate(length);
                bytes.into()
            }))
        }
        IoRequest::Write { transfer, position, data } => {
            let file = files.get(&transfer).ok_or(IoFailed);
            let written = |file: &File| file.write_all_at(&data, position).map_err(|_| IoFailed);
            IoResult::Written(file.and_then(written))
        }
        _ => IoResult::Written(Err(IoFailed)),
    }
}

/// Fills `bytes` as far as the file goes.
fn read_at(file: &File, bytes: &mut [u8], position: u64) -> Result<usize, IoFailed> {
    let mut length = 0;
    while length < bytes.len() {
        let at = position + length as u64;
        match file.read_at(&mut bytes[length..], at).map_err(|_| IoFailed)? {
            0 => break,
            more => length += more,
        }
    }
    Ok(length)
}
