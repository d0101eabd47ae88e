//! The proxy that the environment asks for, by the variables and rules of
//! curl, which the C daemons used.
//!
//! A proxy relays bytes: over `https` it sees the server's name and TLS. One
//! that cannot be understood is an error; nothing goes around it.

use std::env;
use std::net::IpAddr;

use ureq::Proxy;
use ureq::http::Uri;

/// The proxy for requests to this server, if there is one.
pub(crate) fn of_environment(server: &Uri) -> Result<Option<Proxy>, String> {
    choose(server, |name| env::var_os(name).map(|value| value.to_string_lossy().into_owned()))
}

fn choose(server: &Uri, variable: impl Fn(&str) -> Option<String>) -> Result<Option<Proxy>, String> {
    let first_of =
        |names: &[&'static str]| names.iter().find_map(|&name| Some((name, variable(name).filter(|v| !v.is_empty())?)));
    let names: &[_] = match server.scheme_str() {
        Some("https") => &["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"],
        // Not HTTP_PROXY: where programs answer web requests, a client sets it.
        _ => &["http_proxy", "all_proxy", "ALL_PROXY"],
    };
    let Some((name, address)) = first_of(names) else { return Ok(None) };
    let host = server.host().unwrap_or_default();
    if first_of(&["no_proxy", "NO_PROXY"]).is_some_and(|(_, list)| is_in(&list, host)) {
        return Ok(None);
    }
    // Not the value: there may be a password in it.
    Proxy::new(&address).map(Some).map_err(|_| {
        format!("{name} in the environment is not understood; expected http://host:port, https:// or socks5h://")
    })
}

/// Whether a list of `no_proxy` has the host, or a domain that it is in.
fn is_in(list: &str, host: &str) -> bool {
    let host = without_brackets(host).trim_end_matches('.').to_ascii_lowercase();
    let address: Option<IpAddr> = host.parse().ok();
    let mut entries = list.split([',', ' ', '\t']).filter(|entry| !entry.is_empty());
    entries.any(|entry| {
        if entry == "*" {
            return true;
        }
        if address.is_some() {
            return without_brackets(entry).parse().ok() == address;
        }
        let domain = entry.strip_prefix('*').unwrap_or(entry).trim_matches('.').to_ascii_lowercase();
        host.strip_suffix(&domain).is_some_and(|rest| !domain.is_empty() && (rest.is_empty() || rest.ends_with('.')))
    })
}

fn without_brackets(host: &str) -> &str {
    host.trim_start_matches('[').trim_end_matches(']')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Host and port of the proxy, or nothing.
    fn chosen(server: &str, variables: &[(&str, &str)]) -> Result<Option<String>, String> {
        let variable = |name: &str| {
            let found = variables.iter().find(|(candidate, _)| *candidate == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let proxy = choose(&server.parse().unwrap(), variable)?;
        Ok(proxy.map(|proxy| format!("{}:{}", proxy.host(), proxy.port())))
    }

    fn some(proxy: &str) -> Result<Option<String>, String> {
        Ok(Some(proxy.to_owned()))
    }

    #[test]
    fn the_scheme_of_the_server_chooses_the_variable() {
        let all = [("http_proxy", "http://a:1"), ("https_proxy", "http://b:2"), ("all_proxy", "http://c:3")];
        assert_eq!(chosen("http://x/", &all), some("a:1"));
        assert_eq!(chosen("https://x/", &all), some("b:2"));
        assert_eq!(chosen("https://x/", &all[..1]), Ok(None), "http_proxy is not for https");
        assert_eq!(chosen("http://x/", &all[1..2]), Ok(None), "https_proxy is not for http");
        assert_eq!(chosen("http://x/", &all[1..]), some("c:3"));
        assert_eq!(chosen("https://x/", &[all[0], all[2]]), some("c:3"));
        assert_eq!(chosen("https://x/", &[("HTTPS_PROXY", "d:4")]), some("d:4"));
        assert_eq!(chosen("https://x/", &[("ALL_PROXY", "socks5h://d:4")]), some("d:4"));
        assert_eq!(chosen("http://x/", &[("HTTP_PROXY", "http://d:4")]), Ok(None));
        assert_eq!(chosen("https://x/", &[]), Ok(None));
        assert_eq!(chosen("https://x/", &[("https_proxy", ""), all[2]]), some("c:3"));
    }

    #[test]
    fn hosts_and_domains_of_no_proxy_are_reached_directly() {
        let is_direct =
            |server: &str, list: &str| chosen(server, &[("all_proxy", "http://p:1"), ("no_proxy", list)]) == Ok(None);
        for list in
            ["a.example", "A.Example", ".a.example", "*.a.example", "x,a.example", "x, a.example", "example", "*"]
        {
            assert!(is_direct("https://a.example/", list), "{list}");
            assert!(is_direct("https://A.EXAMPLE:8443/", list), "{list}");
        }
        for list in ["", "b.example", "aa.example", ".", "*.", "ample", "b.a.example", "a.example.org", ","] {
            assert!(!is_direct("https://a.example/", list), "{list}");
        }
        assert!(is_direct("https://b.a.example/", "a.example"));
        assert!(!is_direct("https://ba.example/", "a.example"));
        assert!(is_direct("http://127.0.0.1:80/", "localhost,127.0.0.1"));
        assert!(!is_direct("http://127.0.0.1:80/", "7.0.0.1,0.0.1,127.0.0.10"));
        assert!(is_direct("http://[::1]:80/", "::1"));
        assert!(is_direct("http://[::1]:80/", "[::1]"));
        assert!(!is_direct("http://[::1]:80/", "::2"));
        let upper = [("https_proxy", "p:1"), ("NO_PROXY", "a.example")];
        assert_eq!(chosen("https://a.example/", &upper), Ok(None));
    }

    #[test]
    fn a_proxy_that_is_not_understood_is_an_error_that_keeps_its_password() {
        for wrong in ["ftp://user:secret@p:1", "http://", "http://user:secret@p q:1", "\u{fffd}"] {
            let error = chosen("https://x/", &[("https_proxy", wrong)]).unwrap_err();
            assert!(error.starts_with("https_proxy in the environment is not understood"), "{wrong}: {error}");
            assert!(!error.contains("secret"), "{error}");
        }
        let unused = [("https_proxy", "ftp://p:1"), ("no_proxy", "x")];
        assert_eq!(chosen("https://x/", &unused), Ok(None));
    }
}
