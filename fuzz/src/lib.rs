//! What must hold of any bytes that others hand to us.
//!
//! The fuzz targets try these with bytes that they find, and `make check` with
//! the committed ones (`record/tests/corpus.rs`).

use record::config::{Key, Kind, Settings};
use record::frame::{self, Frame, Outgoing};
use record::header::{self, Headers};
use record::payload;
use record::spool_file::{self, SpoolFile};

/// A frame of the socket: what is accepted is within the limits, is written as
/// a spool file that can be read, and sends no control characters in headers.
pub fn frame(bytes: &[u8]) {
    let Ok(decoded) = Frame::decode(bytes) else { return };
    let declared = bytes.first_chunk().map(|size| frame::declared_len(*size));
    assert_eq!(declared, Some(Ok(bytes.len())));
    assert!(decoded.payload.len() <= payload::MAX);
    assert!(!decoded.payload.contains(&0));
    assert_config(decoded.config);

    let lines: Vec<Vec<u8>> = decoded.headers.iter().map(|(header, value)| line(header.prefix(), value)).collect();
    let lines: Vec<&[u8]> = lines.iter().map(Vec::as_slice).collect();
    let outgoing = Outgoing { config: decoded.config, header_lines: &lines, payload: decoded.payload };
    // Forgiven blanks and newlines may not have fitted.
    if let Some(len) = outgoing.encoded_len() {
        let mut frame = vec![0; len];
        assert!(outgoing.encode(&mut frame).is_ok());
        assert_eq!(Frame::decode(&frame), Ok(decoded), "it comes back as it was");
    }

    let file = spool_file::encode(decoded.config, &decoded.headers, decoded.payload);
    assert!(file.len() <= spool_file::MAX);
    assert_canonical(&file);
    let read = SpoolFile::decode(&file).expect("what a frame can hold a spool file can hold");
    assert_eq!((read.config, read.body.split_last()), (decoded.config, Some((&b'\n', decoded.payload))));
    assert_clean(&read.headers);
}

/// A spool file: what can be read is written again as a file that is the same
/// from then on.
pub fn spool_file(bytes: &[u8]) {
    let Ok(read) = SpoolFile::decode(bytes) else { return };
    assert!(!read.body.is_empty());
    assert!(bytes.ends_with(read.body), "the body runs to the end");
    assert_config(read.config);
    // Files of others may lack the last newline.
    let payload = read.body.strip_suffix(b"\n").unwrap_or(read.body);
    let file = spool_file::encode(read.config, &read.headers, payload);
    assert_canonical(&file);
    if read.headers.iter().all(|(_, value)| !value.iter().any(u8::is_ascii_control)) {
        let again = SpoolFile::decode(&file).expect("what was written can be read");
        assert_eq!((again.config, again.headers), (read.config, read.headers));
        assert_eq!(again.body.strip_suffix(b"\n"), Some(payload));
    }
}

/// A configuration file: errors and warnings name a line that is there, and
/// what is in effect is within the limits, and the same when it is written down.
pub fn config(bytes: &[u8]) {
    let lines = bytes.split(|&byte| byte == b'\n').count();
    let (settings, warnings) = match Settings::read(bytes) {
        Ok(read) => read,
        Err(error) => {
            assert!((1..=lines).contains(&error.line));
            assert!(error.to_string().starts_with(&error.line.to_string()));
            return;
        }
    };
    for warning in &warnings {
        let line = warning.to_string().split(':').next().and_then(|line| line.parse().ok());
        assert!(line.is_some_and(|line| (1..=lines).contains(&line)), "{warning}");
    }
    let mut file = b"[settings]\r\n".to_vec();
    for key in Key::ALL {
        assert_in_range(&settings, key);
        let shown = settings.shown(key).into_bytes();
        let value = if settings.text(key).is_empty() { shown } else { settings.text(key).to_vec() };
        file.extend(key.name().bytes().chain(*b"="));
        file.extend(value.iter().flat_map(|&byte| escaped(byte)));
        // A value may end in a carriage return.
        file.extend(b"\r\n");
    }
    let (again, warnings) = Settings::read(&file).expect("what is in effect is accepted");
    assert!(warnings.is_empty(), "{warnings:?}");
    for key in Key::ALL {
        assert_eq!((again.text(key), again.shown(key)), (settings.text(key), settings.shown(key)));
    }
}

fn line(prefix: &str, value: &[u8]) -> Vec<u8> {
    [prefix.as_bytes(), value, b"\n"].concat()
}

fn escaped(byte: u8) -> Vec<u8> {
    match byte {
        b' ' => b"\\s".to_vec(),
        b'\\' | b'\t' => vec![b'\\', byte],
        _ => vec![byte],
    }
}

fn assert_config(path: Option<&[u8]>) {
    let Some(path) = path else { return };
    assert!(path.starts_with(b"/") && path.len() < header::LINE_MAX);
    assert!(!path.iter().any(u8::is_ascii_control), "lines could be forged");
}

/// No value has what could end a line of a file or of a request.
fn assert_clean(headers: &Headers<'_>) {
    for (header, value) in headers.iter() {
        assert!(!value.iter().any(u8::is_ascii_control), "{}: {value:?}", header.name());
        assert!(header::line_len(header, value.len()) <= header::LINE_MAX + 1);
    }
}

/// What we write is read as what we wrote.
fn assert_canonical(file: &[u8]) {
    let read = SpoolFile::decode(file).expect("what was written can be read");
    assert_clean(&read.headers);
    let payload = read.body.strip_suffix(b"\n").expect("one newline is added");
    assert_eq!(spool_file::encode(read.config, &read.headers, payload), file);
}

fn assert_in_range(settings: &Settings, key: Key) {
    match key.kind() {
        Kind::Integer(range) => assert!((range.min..=range.max).contains(&settings.integer(key)), "{}", key.name()),
        Kind::Path => {
            assert!(settings.text(key).starts_with(b"/") && !settings.text(key).contains(&0), "{}", key.name());
        }
        Kind::Choice(words) => {
            assert!(words.iter().any(|word| word.as_bytes() == settings.text(key)), "{}", key.name());
        }
        Kind::Text => assert!(!settings.text(key).contains(&b'\n'), "{}", key.name()),
        Kind::Boolean => {}
    }
}
