//! The address of a network camera: which part of it is user and password, and how `ffmpeg` is given it so that no other
//! user of the computer can read it.
//!
//! Arguments of a program are for all to read (`/proc/PID/cmdline`), its standard input is not. So where an address holds a
//! secret `ffmpeg` gets a playlist of one entry there (its `concat` demuxer), with those options that belong to the camera's
//! own demuxer and protocol.

use crate::sys::mask::{redact, redact_args};

/// Reading of an address.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Address {
    /// As `ffmpeg` reads it, with everything in the user part encoded that has to be (RFC 3986, section 3.2.1).
    Clear(String),
    /// It cannot be told where the password ends: the address as it is, and why.
    Doubtful(String, Doubt),
}

/// A doubt about an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Doubt {
    /// The ambiguity.
    pub why: &'static str,
    /// The right way to write it.
    pub how: &'static str,
    /// It is an address as it stands, though perhaps another one than was meant.
    pub usable: bool,
}

const HOW: &str = "in a user name or password write # as %23, ? as %3F, / as %2F, @ as %40, % as %25";

/// Ports that cameras have: what stands before such a one is a host, not a user.
const PORTS: [&str; 9] = ["80", "443", "554", "1935", "5554", "7070", "8080", "8554", "10554"];

/// Reads an address.
pub(super) fn read(url: &str) -> Address {
    let doubtful = |why, usable| Address::Doubtful(url.to_owned(), Doubt { why, how: HOW, usable });
    let clear = || Address::Clear(url.to_owned());
    let Some((scheme, rest)) = url.split_once("://") else { return clear() };
    if scheme == "file" {
        return clear();
    }
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, behind) = rest.split_at(end);
    // Each '@' behind which a host could stand.
    let host_after = |at: usize| {
        let after = rest.get(at + 1..).unwrap_or_default();
        is_host(after.split(['/', '?', '#']).next().unwrap_or_default())
    };
    let ends: Vec<usize> = rest.match_indices('@').map(|(at, _)| at).filter(|at| host_after(*at)).collect();
    if let Some((user, host)) = authority.rsplit_once('@')
        && is_host(host)
    {
        // As the standard reads it. A '#' with another host behind it is hardly a fragment.
        let hash = rest.find('#').unwrap_or(rest.len());
        return if ends.iter().any(|at| *at > hash) {
            doubtful("it cannot be told which @ ends the password", true)
        } else {
            Address::Clear(format!("{scheme}://{}@{host}{behind}", encode(user)))
        };
    }
    // A camera gets no fragment, so a '#' straight behind the host is none.
    if is_host(authority) && (ends.is_empty() || !behind.starts_with('#')) {
        let port = authority.rsplit_once(':').map(|(_, port)| port);
        let user_like = !ends.is_empty() && port.is_some_and(|port| !PORTS.contains(&port));
        return if user_like {
            doubtful("what stands before the @ may be user and password, or a part of the path", true)
        } else {
            clear()
        };
    }
    match ends.as_slice() {
        [at] => {
            let (user, host) = rest.split_at(*at);
            Address::Clear(format!("{scheme}://{}{host}", encode(user)))
        }
        [] => doubtful("what stands where a host should be is none", false),
        _ => doubtful("it cannot be told which @ ends the password", false),
    }
}

/// The doubt about the address of a camera, if there is one.
pub fn doubt(url: &str) -> Option<Doubt> {
    match read(url) {
        Address::Clear(_) => None,
        Address::Doubtful(_, doubt) => Some(doubt),
    }
}

/// True if `text` can be a host with or without a port.
fn is_host(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((address, after)) => match (address.parse::<std::net::Ipv6Addr>(), after.strip_prefix(':')) {
                (Ok(_), port) if port.is_some() || after.is_empty() => ("ipv6", port),
                _ => return false,
            },
            None => return false,
        },
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let label = |c: char| c.is_alphanumeric() || matches!(c, '-' | '.' | '_');
    !host.is_empty() && host.chars().all(label) && port.is_none_or(|port| port.parse::<u16>().is_ok())
}

/// A user part in which everything is encoded that may not stand there as it is; what is encoded already stays.
fn encode(user: &str) -> String {
    let mut out = String::with_capacity(user.len());
    for (at, c) in user.char_indices() {
        let digits = user.get(at + 1..at + 3);
        let encoded = c == '%' && digits.is_some_and(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()));
        if c.is_ascii_alphanumeric() || "-._~!$&'()*+,;=:".contains(c) || encoded {
            out.push(c);
        } else {
            let mut bytes = [0; 4];
            c.encode_utf8(&mut bytes).bytes().for_each(|byte| out.push_str(&format!("%{byte:02X}")));
        }
    }
    out
}

/// Options of `ffmpeg` itself that stand before an input, and those of decoders: they are not the camera's.
const PROGRAMS: [&str; 51] = [
    "re",
    "readrate",
    "ss",
    "sseof",
    "seek_timestamp",
    "t",
    "to",
    "itsoffset",
    "itsscale",
    "isync",
    "stream_loop",
    "hwaccel",
    "hwaccel_device",
    "hwaccel_output_format",
    "hwaccel_flags",
    "init_hw_device",
    "filter_hw_device",
    "c",
    "codec",
    "vcodec",
    "r",
    "s",
    "pix_fmt",
    "an",
    "vn",
    "sn",
    "dn",
    "autorotate",
    "noautorotate",
    "thread_queue_size",
    "find_stream_info",
    "accurate_seek",
    "noaccurate_seek",
    "loglevel",
    "v",
    "report",
    "threads",
    "thread_type",
    "flags",
    "flags2",
    "skip_frame",
    "skip_loop_filter",
    "skip_idct",
    "err_detect",
    "ec",
    "lowres",
    "vsync",
    "fps_mode",
    "copyts",
    "start_at_zero",
    "y",
];
/// Those of them without a value.
const BARE: [&str; 12] = [
    "re",
    "an",
    "vn",
    "sn",
    "dn",
    "autorotate",
    "noautorotate",
    "accurate_seek",
    "noaccurate_seek",
    "report",
    "copyts",
    "y",
];
/// Options of every demuxer: both the playlist and the camera get them.
const COMMON: [&str; 8] = [
    "fflags",
    "analyzeduration",
    "probesize",
    "use_wallclock_as_timestamps",
    "max_delay",
    "rtbufsize",
    "formatprobesize",
    "avioflags",
];
const PROTOCOLS: &str = "file,pipe,fd,crypto,data,http,https,httpproxy,tcp,tls,udp,rtp,rtsp,rtsps,srtp,rtmp,rtmps,srt";

/// An input as `ffmpeg` is given it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Input {
    /// Arguments up to and with `-i`'s.
    pub(super) args: Vec<String>,
    /// For its standard input; empty = none.
    pub(super) stdin: Vec<u8>,
    /// Reason why a secret stands among the arguments all the same.
    pub(super) exposed: Option<&'static str>,
}

/// The input `url` with its options: among the arguments, or, where there is a secret in them, on standard input.
pub(super) fn input(options: Vec<String>, url: &str) -> Input {
    let secret = redact(url) != url || redact_args(&options) != options;
    let open = |exposed| {
        let args = options.iter().cloned().chain(["-i".into(), url.to_owned()]).collect();
        Input { args, stdin: Vec::new(), exposed }
    };
    if !secret {
        return open(None);
    }
    match playlist(&options, url) {
        Ok(input) => input,
        Err(why) => open(Some(why)),
    }
}

fn playlist(options: &[String], url: &str) -> Result<Input, &'static str> {
    let mut args = Vec::new();
    let mut list = format!("ffconcat version 1.0\nfile {}\n", quoted(url)?);
    let mut rest = options.iter();
    while let Some(option) = rest.next() {
        let Some(name) = option.strip_prefix('-') else { return Err("an argument in extra_args is no option") };
        // -c:v is -c for video streams.
        let base = name.split(':').next().unwrap_or(name);
        if BARE.contains(&base) {
            args.push(option.clone());
            continue;
        }
        let Some(value) = rest.next() else { return Err("an option in extra_args has no value") };
        if base == "f" || base == "i" {
            return Err("extra_args names a format or another input");
        }
        let program = PROGRAMS.contains(&base);
        if program || COMMON.contains(&base) {
            args.extend([option.clone(), value.clone()]);
        }
        if !program {
            list.push_str(&format!("option {name} {}\n", quoted(value.trim_end_matches(['\r', '\n']))?));
        }
    }
    args.extend(["-protocol_whitelist", PROTOCOLS, "-f", "concat", "-safe", "0", "-i", "pipe:0"].map(str::to_owned));
    Ok(Input { args, stdin: list.into_bytes(), exposed: None })
}

/// A word in a playlist: in quotes, a quote among it outside of them.
fn quoted(text: &str) -> Result<String, &'static str> {
    if text.contains(['\n', '\r', '\0']) {
        return Err("a value has more than one line");
    }
    Ok(format!("'{}'", text.replace('\'', r"'\''")))
}

#[cfg(test)]
mod tests;
