//! The Raspberry Pi firmware's mailbox, `/dev/vcio`: source of what `vcgencmd get_throttled` shows.
//!
//! The property interface is the firmware's (`Mailbox property interface` in the raspberrypi/firmware wiki); a general command is
//! tag 0x30080 with a text, answered by text in the same buffer.
#![allow(unsafe_code, reason = "the mailbox is one ioctl")]

use std::fs::File;
use std::path::Path;

use rustix::ioctl::{Updater, ioctl, opcode};

use super::proc::ReadError;

const REQUEST: u32 = 0;
const SUCCEEDED: u32 = 0x8000_0000;
const GENERAL_COMMAND: u32 = 0x0003_0080;
const TEXT_BYTES: usize = 1024;
/// Size, state, tag, size of its value, request or response, error, text, end.
const WORDS: usize = 6 + TEXT_BYTES / 4 + 1;

/// The driver's only request; its number encodes a pointer argument of any type.
const PROPERTY: rustix::ioctl::Opcode = opcode::read_write::<*mut u8>(100, 0);

/// Clock and supply flags of the firmware: bits 0 to 3 now, bits 16 to 19 since boot.
///
/// # Errors
/// [`ReadError`] naming the device, `missing` on a board without one.
pub fn throttled(device: &Path) -> Result<u32, ReadError> {
    let file = File::open(device).map_err(|e| ReadError::io(device, &e))?;
    let mut message = request("get_throttled");
    // SAFETY: PROPERTY reads the message's size from its first word, which `request` sets to the size of the whole array,
    // and reads and writes no more than that; every pattern of bits is a valid u32.
    let result = unsafe { ioctl(&file, Updater::<PROPERTY, [u32; WORDS]>::new(&mut message)) };
    result.map_err(|e| ReadError::io(device, &e.into()))?;
    answer(&message).ok_or_else(|| ReadError {
        path: device.into(),
        reason: format!("the firmware answers {:?}", text(&message)),
        missing: false,
    })
}

fn request(command: &str) -> [u32; WORDS] {
    let mut message = [0; WORDS];
    let head = [WORDS as u32 * 4, REQUEST, GENERAL_COMMAND, TEXT_BYTES as u32, 0, 0];
    message.iter_mut().zip(head).for_each(|(word, value)| *word = value);
    for (word, bytes) in message.iter_mut().skip(head.len()).zip(command.as_bytes().chunks(4)) {
        let mut four = [0; 4];
        four.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
        *word = u32::from_ne_bytes(four);
    }
    message
}

/// Parses `throttled=0x50000`; `None` when the firmware did not understand the request.
fn answer(message: &[u32; WORDS]) -> Option<u32> {
    let (state, error) = (message[1], message[5]);
    let text = text(message);
    let number = text.strip_prefix("throttled=")?.trim();
    let number = number.strip_prefix("0x").unwrap_or(number);
    (state == SUCCEEDED && error == 0).then(|| u32::from_str_radix(number, 16).ok())?
}

fn text(message: &[u32; WORDS]) -> String {
    let bytes: Vec<u8> = message.iter().skip(6).take(TEXT_BYTES / 4).flat_map(|w| w.to_ne_bytes()).collect();
    let end = bytes.iter().position(|&b| b == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(bytes.get(..end).unwrap_or_default()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_request_is_as_the_firmware_wants_it() {
        let message = request("get_throttled");
        assert_eq!(message[..6], [263 * 4, 0, 0x30080, 1024, 0, 0]);
        assert_eq!(text(&message), "get_throttled");
        assert_eq!(message[WORDS - 1], 0, "the end tag");
    }

    #[test]
    fn answers() {
        let answered = |state: u32, error: u32, said: &str| {
            let mut message = request(said);
            (message[1], message[5]) = (state, error);
            answer(&message)
        };
        assert_eq!(answered(SUCCEEDED, 0, "throttled=0x50005"), Some(0x50005));
        assert_eq!(answered(SUCCEEDED, 0, "throttled=0x0\n"), Some(0));
        assert_eq!(answered(0x8000_0001, 0, "throttled=0x0"), None);
        assert_eq!(answered(SUCCEEDED, 1, "throttled=0x0"), None);
        assert_eq!(answered(SUCCEEDED, 0, "error=2 error_msg=\"Invalid arguments\""), None);
        assert_eq!(answered(SUCCEEDED, 0, "get_throttled"), None, "untouched");
    }

    #[test]
    fn what_is_no_mailbox_is_an_error() {
        assert!(throttled(Path::new("/nowhere/vcio")).unwrap_err().missing);
        let error = throttled(Path::new("/dev/null")).unwrap_err();
        assert!(!error.missing && error.to_string().starts_with("/dev/null: "), "{error}");
    }
}
