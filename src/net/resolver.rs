//! Name resolution.

use std::net::ToSocketAddrs;

use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

/// As many as ureq's list holds.
const MAX_ADDRESSES: usize = 16;

/// Resolves names on the calling thread.
///
/// If a timeout is set, ureq's own resolver starts a thread, and leaves it running when the time is over. This library
/// must not leave threads behind, because 1C unloads it at will. The system's resolver has timeouts of its own.
#[derive(Debug)]
pub(super) struct CallerResolver;

impl Resolver for CallerResolver {
    fn resolve(&self, uri: &Uri, _: &ureq::config::Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let host = uri.host().ok_or(ureq::Error::HostNotFound)?.trim_start_matches('[').trim_end_matches(']');
        let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("https") { 443 } else { 80 });
        let mut found = self.empty();
        // The text of the resolver's error would add nothing to "no such name".
        for address in (host, port).to_socket_addrs().map_err(|_| ureq::Error::HostNotFound)? {
            if found.len() == MAX_ADDRESSES {
                break;
            }
            found.push(address);
        }
        if found.is_empty() { Err(ureq::Error::HostNotFound) } else { Ok(found) }
    }
}
