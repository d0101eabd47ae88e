//! What an administrator can do about the last error.

/// What to do about an error that telemd told.
pub(crate) fn on_error(message: &str) -> &'static str {
    let has = |text: &str| message.contains(text);
    match status_of(message) {
        Some(300..=399) => {
            "redirects are not followed, so that records go nowhere else; put the final address into the key server"
        }
        Some(401 | 403 | 407) => {
            "the server does not accept this machine; look at the key tidheader, and ask who runs the server"
        }
        Some(404 | 405 | 410) => "nothing takes records at this address; look at the path in the key server",
        Some(400 | 413 | 415 | 422) => {
            "the record was set aside, the others go on; see telemctl rejected list, and the key delivery_format"
        }
        Some(429) => "the server asks for fewer records; nothing to do, they wait and are tried again",
        Some(_) => "the server is not well; nothing to do on this machine, records wait and are tried again",
        None if has("asks to wait") => {
            "the server is not well; nothing to do on this machine, records wait and are tried again"
        }
        None if has("configuration file") => {
            "a program chose this file for its records; see telemctl rejected list, and allow_user_config in telemetrics.conf(5)"
        }
        None if has("the system has no certificates") => {
            "install the package ca-certificates, or put a PEM file into the key cainfo"
        }
        None if has("cainfo") => "put a PEM file that user telemetry can read in its place, or remove the key cainfo",
        None if has("InvalidContentType") => {
            "who answers there does not speak TLS; look at http:// or https:// and the port in the key server"
        }
        None if has("certificate") => {
            "the server's certificate is not trusted; look at the key cainfo, the clock, and the name in the key server"
        }
        None if has("not an address") || has("must begin with http") => {
            "correct the key server; telemctl config shows it"
        }
        None if has(", by the proxy ") => {
            "the proxy did not connect; look at the variable https_proxy (or http_proxy, all_proxy) of telemd, and \
             whether the proxy runs"
        }
        None if has("in the environment is not understood") => {
            "correct the variable in the environment of telemd, as in http://proxy.example.org:3128"
        }
        None if has("refused") => {
            "nobody listens there; look at the port in the key server, and whether the server runs"
        }
        None if has("lookup") || has("resolve") || has("host not found") => {
            "the server's name cannot be resolved; look at the key server, and at the network of this machine"
        }
        None if has("unreachable") || has("timeout") || has("timed out") => {
            "the server cannot be reached; look at the network, firewalls, and the proxy of telemd (https_proxy)"
        }
        None if has("header") || has("payload") || has("expected a line") => {
            "what was in the spool is no record and was set aside; see telemctl rejected list"
        }
        None if has("_burst_limit") => {
            "records wait until the window of the limit has moved; raise the limit in telemetrics.conf if they are to go at once"
        }
        None => "records wait and are tried again; the log of telemd may say more (journalctl -u telemd)",
    }
}

/// What to do about a refusal: a key of `refused` in telemd's report.
pub(crate) fn on_refusal(reason: &str) -> &'static str {
    match reason {
        "spool_full" => {
            "records are refused, the spool is full; raise spool_max_size in telemetrics.conf, or see telemctl spool list"
        }
        "share_used" => {
            "records of a user are refused; raise spool_user_share in telemetrics.conf, or see telemctl spool list"
        }
        _ => {
            "records are refused, the disk does not take them; look at the disk of spool_dir, and at the log of telemd"
        }
    }
}

/// The number in `the server answered 503 Service Unavailable`.
fn status_of(message: &str) -> Option<u16> {
    message.strip_prefix("the server answered ")?.split(' ').next()?.parse().ok()
}
