//! Proxies of other makes, with a user and a password: squid and tinyproxy (HTTP), microsocks (SOCKS5).
//!
//! Needs Debian's packages `squid`, `tinyproxy`, `microsocks` and `openssl`. Without them a test says so and passes,
//! unless `B24_REQUIRE_PROXIES=1` is set, as `.ci/run` does.
#![cfg(target_os = "linux")]

mod support;

use std::fs::{self, Permissions};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use b24events::client::Client;
use b24events::config::Config;
use b24events::error::Status;
use support::{Folder, LONG, Portal, Victim, expect_check, numbers, run, until};

const USER: &str = "onec";
const PASSWORD: &str = "planted-password";

#[derive(Clone, Copy, Debug)]
enum Make {
    Squid,
    Tinyproxy,
    Microsocks,
}

impl Make {
    fn program(self) -> &'static str {
        match self {
            Make::Squid => "/usr/sbin/squid",
            Make::Tinyproxy => "/usr/bin/tinyproxy",
            Make::Microsocks => "/usr/bin/microsocks",
        }
    }

    fn scheme(self) -> &'static str {
        match self {
            Make::Squid | Make::Tinyproxy => "http",
            Make::Microsocks => "socks5",
        }
    }

    /// The command that runs it at this port, with its files in the folder.
    fn command(self, port: u16, folder: &Folder) -> Command {
        let root = folder.as_str();
        let file = folder.path().join("conf");
        let mut command = Command::new(self.program());
        match self {
            Make::Squid => {
                // Squid gives up root's rights, and writes into the folder all the same.
                fs::set_permissions(folder.path(), Permissions::from_mode(0o777)).unwrap();
                let hash = run(Command::new("openssl").args(["passwd", "-apr1", PASSWORD]), "openssl");
                fs::write(folder.path().join("users"), format!("{USER}:{hash}")).unwrap();
                let config = format!(
                    "http_port 127.0.0.1:{port}\nvisible_hostname squid.example\npid_filename {root}/pid\n\
                     cache deny all\naccess_log none\ncache_log {root}/log\ncoredump_dir {root}\npinger_enable off\n\
                     netdb_filename none\nshutdown_lifetime 0 seconds\n\
                     auth_param basic program /usr/lib/squid/basic_ncsa_auth {root}/users\nauth_param basic children 1\n\
                     acl users proxy_auth REQUIRED\nhttp_access allow users\nhttp_access deny all\n"
                );
                fs::write(&file, config).unwrap();
                command.arg("-N").arg("-f").arg(file);
            }
            Make::Tinyproxy => {
                let config = format!(
                    "Port {port}\nListen 127.0.0.1\nTimeout 600\nMaxClients 100\nAllow 127.0.0.1\nLogLevel Critical\n\
                     LogFile \"{root}/log\"\nBasicAuth {USER} {PASSWORD}\n"
                );
                fs::write(&file, config).unwrap();
                command.arg("-d").arg("-c").arg(file);
            }
            Make::Microsocks => {
                command.args(["-i", "127.0.0.1", "-u", USER, "-P", PASSWORD, "-p"]).arg(port.to_string());
            }
        }
        command
    }
}

/// A running proxy; ended when dropped.
struct Proxy {
    make: Make,
    port: u16,
    folder: Folder,
    process: Victim,
}

impl Proxy {
    fn start(make: Make) -> Option<Proxy> {
        if !Path::new(make.program()).exists() {
            let is_required = std::env::var_os("B24_REQUIRE_PROXIES").is_some();
            assert!(!is_required, "{} is required and not installed", make.program());
            eprintln!("skipped: {} is not installed", make.program());
            return None;
        }
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let folder = Folder::new();
        let process = spawn(make, port, &folder);
        Some(Proxy { make, port, folder, process })
    }

    fn kill(&mut self) {
        self.process.kill();
    }

    fn start_again(&mut self) {
        // What a killed squid leaves behind.
        let _ = fs::remove_file(self.folder.path().join("pid"));
        self.process = spawn(self.make, self.port, &self.folder);
    }

    /// The value of `http.proxy`.
    fn address(&self, password: &str) -> String {
        format!("{}://{USER}:{password}@127.0.0.1:{}", self.make.scheme(), self.port)
    }

    /// As texts name it.
    fn name(&self) -> String {
        format!("the proxy 127.0.0.1:{} ", self.port)
    }
}

fn spawn(make: Make, port: u16, folder: &Folder) -> Victim {
    let process = Victim::new(make.command(port, folder).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    until("a connection to the proxy", || TcpStream::connect(("127.0.0.1", port)).is_ok());
    process
}

fn config(portal: &Portal, proxy: &Proxy, transport: &str) -> Config {
    let mut config = portal.config();
    config.set("http.proxy", &proxy.address(PASSWORD)).unwrap();
    config.set("push.transport", transport).unwrap();
    config
}

/// A deal is added, announced, fetched and acknowledged. What passes by itself is tried again, as a host does.
fn receive(portal: &Portal, client: &Client, number: u32) {
    portal.add_deals([number]);
    until("the deal", || match client.next(LONG) {
        Ok(batch) => batch.is_some_and(|mut batch| {
            assert_eq!(numbers(&mut batch), [number]);
            batch.acknowledge().unwrap();
            true
        }),
        Err(error) => {
            assert!(error.is_transient(), "{error}");
            false
        }
    });
}

fn everything_goes_through(make: Make) {
    for transport in ["websocket", "long_polling"] {
        let Some(mut proxy) = Proxy::start(make) else { return };
        let portal = Portal::start();
        let client = portal.client_of(&config(&portal, &proxy, transport));
        client.bind_event("ONCRMDEALADD").unwrap();
        client.connect(LONG).unwrap();
        expect_check(&client);
        receive(&portal, &client, 1);

        // Nothing gets past the proxy.
        proxy.kill();
        until("that the subscription is lost", || !client.is_connected());
        let error = client.call("profile", "").unwrap_err();
        assert_eq!(error.status(), Status::Network);
        let text = error.to_string();
        assert!(text.starts_with(&format!("{}refused the connection; ", proxy.name())), "{make:?}: {text}");
        proxy.start_again();
        until("the next subscription", || client.is_connected());
        receive(&portal, &client, 2);
        assert_eq!(portal.queued(), 0);
        assert!(!portal.log().contains("planted"), "{}", portal.log());
    }
}

fn a_wrong_password_is_told(make: Make) {
    let Some(proxy) = Proxy::start(make) else { return };
    for transport in ["websocket", "long_polling"] {
        let portal = Portal::start();
        let mut config = config(&portal, &proxy, transport);
        config.set("http.proxy", &proxy.address("planted-wrong")).unwrap();
        let client = portal.client_of(&config);
        for error in [client.call("profile", "").unwrap_err(), client.bind_event("ONCRMDEALADD").unwrap_err()] {
            let text = error.to_string();
            assert_eq!(error.status(), Status::Network, "{make:?}: {text}");
            assert!(text.starts_with(&proxy.name()) && text.contains("password"), "{make:?}: {text}");
            assert!(text.contains("http.proxy") && !text.contains("planted"), "{make:?}: {text}");
        }
        assert_eq!(portal.emulator.counters().connections, 0);
    }
}

#[test]
fn everything_goes_through_squid() {
    everything_goes_through(Make::Squid);
}

#[test]
fn everything_goes_through_tinyproxy() {
    everything_goes_through(Make::Tinyproxy);
}

#[test]
fn everything_goes_through_microsocks() {
    everything_goes_through(Make::Microsocks);
}

#[test]
fn a_wrong_password_is_told_by_squid() {
    a_wrong_password_is_told(Make::Squid);
}

#[test]
fn a_wrong_password_is_told_by_tinyproxy() {
    a_wrong_password_is_told(Make::Tinyproxy);
}

#[test]
fn a_wrong_password_is_told_by_microsocks() {
    a_wrong_password_is_told(Make::Microsocks);
}
