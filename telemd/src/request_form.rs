//! The two forms of a request: the headers of the record as headers of the
//! request, or one JSON object.

use record::config::{Key, Settings};
use record::header::Header;
use record::spool_file::SpoolFile;
use record::text::header_byte;
use ureq::http::HeaderValue;
use ureq::http::request::Builder;

/// A server whose path ends so takes JSON.
const JSON_PATH: &[u8] = b"/v3/collector";

/// How a record is written into a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestForm {
    /// 15 request headers; the body is the payload.
    Headers,
    /// One JSON object of 16 strings.
    Json,
}

impl RequestForm {
    /// The form of the configuration; the path of the server can ask for JSON.
    pub fn of(settings: &Settings) -> Self {
        let server = settings.text(Key::Server);
        let path = server.split(|byte| matches!(byte, b'?' | b'#')).next().unwrap_or_default();
        if path.ends_with(JSON_PATH) || settings.text(Key::DeliveryFormat) == b"json" {
            Self::Json
        } else {
            Self::Headers
        }
    }

    /// Writes a record: adds its headers to the request, gives its body.
    pub(crate) fn write(self, record: &SpoolFile<'_>, request: Builder) -> Result<(Builder, Vec<u8>), String> {
        match self {
            Self::Headers => headers(record, request).map(|request| (request, record.body.to_vec())),
            Self::Json => Ok((request.header("content-type", "application/json"), json(record))),
        }
    }
}

/// A header without value is left out, as HTTP libraries do.
fn headers(record: &SpoolFile<'_>, mut request: Builder) -> Result<Builder, String> {
    request = request.header("content-type", "application/text");
    for (header, value) in record.headers.iter().filter(|(_, value)| !value.is_empty()) {
        request = request.header(header.http_name(), header_value(header, value)?);
    }
    Ok(request)
}

fn header_value(header: Header, value: &[u8]) -> Result<HeaderValue, String> {
    let clean: Vec<u8> = value.iter().copied().map(header_byte).collect();
    HeaderValue::from_bytes(&clean).map_err(|error| format!("header {}: {error}", header.name()))
}

/// All values are strings, numbers too, in the order of the headers; there is
/// no white space between them.
fn json(record: &SpoolFile<'_>) -> Vec<u8> {
    let headers = record.headers.iter().map(|(header, value)| (header.name(), text(value)));
    let members = headers.chain([("payload", text(record.body))]);
    let members: Vec<String> =
        members.map(|(name, value)| format!("\"{name}\":{}", serde_json::Value::String(value))).collect();
    format!("{{{}}}", members.join(",")).into_bytes()
}

/// Bytes as UTF-8, or else as Latin-1, in which every byte is a character.
fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap_or_else(|_| bytes.iter().copied().map(char::from).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = include_str!("../tests/data/spool-file-of-the-c-daemon");

    fn form(assignments: &str) -> RequestForm {
        RequestForm::of(&Settings::read(format!("[settings]\n{assignments}\n").as_bytes()).unwrap().0)
    }

    fn json_of(file: &[u8]) -> String {
        String::from_utf8(json(&SpoolFile::decode(file).unwrap())).unwrap()
    }

    #[test]
    fn w4_the_worked_example_has_whole_values() {
        let expected = concat!(
            r#"{"record_format_version":"4","classification":"org.example/demo/ping","severity":"2","#,
            r#""machine_id":"00112233445566778899aabbccddeeff","creation_timestamp":"1700000000","arch":"x86_64","#,
            r#""host_type":"ACME|Box|1.0","build":"42","kernel_version":"6.1.0","payload_format_version":"1","#,
            r#""system_name":"exampleos","board_name":"B1|ACME","cpu_model":"Demo CPU","bios_version":"F1","#,
            r#""event_id":"0123456789abcdef0123456789abcdef","payload":"ping\n"}"#
        );
        assert_eq!(json_of(FILE.as_bytes()), expected);
        assert_eq!(expected.len(), 434);
    }

    #[test]
    fn w7_an_empty_value_is_an_empty_string_or_left_out() {
        let file = FILE.replace("Demo CPU", "");
        assert!(json_of(file.as_bytes()).contains(r#""cpu_model":"","#));
        let record = SpoolFile::decode(file.as_bytes()).unwrap();
        let request = headers(&record, ureq::http::Request::post("http://x/")).unwrap().body(()).unwrap();
        assert!(!request.headers().contains_key("cpu-model"));
        assert_eq!(request.headers().len(), Header::COUNT, "14 and the type of the content");
    }

    #[test]
    fn w10_bytes_that_are_not_utf8_are_latin1() {
        let mut file = FILE.as_bytes().to_vec();
        file.extend(b"\xfcber \"quoted\" \\ \x01 /\n");
        let expected = "\"payload\":\"ping\\n\u{fc}ber \\\"quoted\\\" \\\\ \\u0001 /\\n\"}";
        assert!(json_of(&file).ends_with(expected), "{}", json_of(&file));
        let utf8 = FILE.replace("ping\n", "gr\u{fc}n\n");
        assert!(json_of(utf8.as_bytes()).ends_with("\"payload\":\"gr\u{fc}n\\n\"}"));
    }

    #[test]
    fn the_path_or_the_key_asks_for_json() {
        assert_eq!(form("server=https://x/v3/collector"), RequestForm::Json);
        assert_eq!(form("server=https://x/v3/collector?a=b"), RequestForm::Json);
        assert_eq!(form("server=https://x/v2/collector"), RequestForm::Headers);
        assert_eq!(form("server=https://x/v3/collector/more"), RequestForm::Headers);
        assert_eq!(form("server=https://x/\ndelivery_format=JSON"), RequestForm::Json);
    }
}
