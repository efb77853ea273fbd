//! Name resolution.

use std::net::ToSocketAddrs;

use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

/// Resolves names on the calling thread.
///
/// ureq's own resolver starts a thread when a timeout is set and leaves it behind when the time is over; a library
/// that 1C unloads at will must not leave threads behind. The system's resolver has time limits of its own.
#[derive(Debug)]
pub(super) struct CallerResolver;

impl Resolver for CallerResolver {
    fn resolve(&self, uri: &Uri, _: &ureq::config::Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let host = uri.host().ok_or(ureq::Error::HostNotFound)?.trim_start_matches('[').trim_end_matches(']');
        let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("https") { 443 } else { 80 });
        let mut found = self.empty();
        // An error here is the resolver's way of saying "no such name"; its text adds nothing for the reader.
        for address in (host, port).to_socket_addrs().map_err(|_| ureq::Error::HostNotFound)? {
            if found.len() == 16 {
                break;
            }
            found.push(address);
        }
        if found.is_empty() { Err(ureq::Error::HostNotFound) } else { Ok(found) }
    }
}
