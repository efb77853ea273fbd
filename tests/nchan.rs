//! A push server of another make: nginx with the nchan module, by long polling and by WebSocket.
//!
//! Needs nginx and its module (Debian: `nginx`, `libnginx-mod-nchan`). Without them the test says so and passes,
//! unless `B24_REQUIRE_NGINX=1` is set, as `.ci/run` does.

mod support;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use b24_emulator::{Control, FailNext};
use b24events::clock::Timeout;
use serde_json::json;
use support::{Folder, LONG, Portal, stats, until};

const CHANNEL: &str = "0d875ab13a17a97fc2f5aabbccddeeff.abc";

/// nginx with nchan on a free port; ended when dropped.
struct Nginx {
    process: Child,
    _folder: Folder,
    port: u16,
}

impl Nginx {
    fn start() -> Option<Nginx> {
        let binary = ["/usr/sbin/nginx", "/usr/bin/nginx"].into_iter().map(Path::new).find(|path| path.exists());
        let module = Path::new("/usr/lib/nginx/modules/ngx_nchan_module.so");
        let (Some(binary), true) = (binary, module.exists()) else {
            assert!(std::env::var_os("B24_REQUIRE_NGINX").is_none(), "nginx with nchan is required and not installed");
            eprintln!("skipped: nginx or its module nchan is not installed");
            return None;
        };
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let folder = Folder::new();
        let root = folder.as_str();
        let config = format!(
            "load_module {};
             daemon off; worker_processes 1; pid {root}/pid; error_log stderr;
             events {{ worker_connections 256; }}
             http {{
               access_log off; client_body_temp_path {root}/a; proxy_temp_path {root}/b; fastcgi_temp_path {root}/c;
               uwsgi_temp_path {root}/d; scgi_temp_path {root}/e;
               server {{
                 listen 127.0.0.1:{port};
                 location /pub/ {{ nchan_publisher; nchan_channel_id $arg_CHANNEL_ID; nchan_message_buffer_length 1000; }}
                 location /sub/ {{ nchan_subscriber longpoll; nchan_channel_id $arg_CHANNEL_ID; nchan_subscriber_timeout 2s;
                                   nchan_subscriber_first_message newest; }}
                 location /subws/ {{ nchan_subscriber websocket; nchan_channel_id $arg_CHANNEL_ID;
                                     nchan_subscriber_first_message newest; }}
               }}
             }}",
            module.display()
        );
        let file = folder.path().join("nginx.conf");
        std::fs::write(&file, config).unwrap();
        let process = Command::new(binary)
            .arg("-p")
            .arg(folder.path())
            .arg("-c")
            .arg(&file)
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let nginx = Nginx { process, port, _folder: folder };
        // While nobody listens, a connection may happen to have this port at both of its ends.
        let is_nginx = |stream: TcpStream| stream.local_addr().unwrap().port() != port;
        until("a connection to nginx", || TcpStream::connect(("127.0.0.1", port)).is_ok_and(is_nginx));
        Some(nginx)
    }

    /// Publishes an envelope as a portal does, once somebody listens: nchan knows nothing of `mid`, so it would not
    /// replay what comes between two polls.
    fn publish(&self, mid: u32, connector: &str) {
        self.wait_for_subscriber();
        let message = json!({"id": mid, "mid": mid.to_string(), "text": {
            "module_id": "rest", "command": "event_offline", "params": [{"connector_id": connector, "count": 1}]}});
        let body = format!("#!NGINXNMS!#{message}#!NGINXNME!#");
        let answer = self.request("POST", &body);
        assert!(answer.starts_with("HTTP/1.1 20"), "{answer}");
    }

    fn wait_for_subscriber(&self) {
        until("a subscriber", || self.request("GET", "").contains("\"subscribers\": 1"));
    }

    fn request(&self, method: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let length = body.len();
        let head = "Host: x\r\nAccept: text/json\r\nConnection: close";
        write!(
            stream,
            "{method} /pub/?CHANNEL_ID={CHANNEL} HTTP/1.1\r\n{head}\r\nContent-Length: {length}\r\n\r\n{body}"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // nginx's master ends its worker on SIGTERM; SIGKILL would leave the worker behind.
        let _ = Command::new("kill").arg(self.process.id().to_string()).status();
        let _ = self.process.wait();
    }
}

#[test]
fn signals_come_by_long_polling() {
    listen("long_polling");
}

#[test]
fn signals_come_by_websocket() {
    listen("websocket");
}

fn listen(transport: &str) {
    let Some(nginx) = Nginx::start() else { return };
    let portal = Portal::start();
    // The portal is the emulator, but it names nginx as its push server.
    let answer = json!({"result": {
        "server": {"version": 3, "server_enabled": true, "long_polling": format!("http://127.0.0.1:{}/sub/", nginx.port),
            "websocket_enabled": true, "websocket": format!("ws://127.0.0.1:{}/subws/", nginx.port)},
        "channels": {"shared": {"id": CHANNEL, "type": "shared"}}}});
    portal.emulator.control(Control::FailNext(FailNext {
        method: Some("pull.application.config.get".into()),
        times: 1000,
        status: 200,
        body: Some(answer.to_string()),
        ..FailNext::default()
    }));
    let client = portal.connected_with(&[("push.transport", transport)]);

    let mut checks = 0;
    for mid in 1..=20 {
        nginx.publish(2 * mid - 1, "Other");
        nginx.publish(2 * mid, "OneC");
        loop {
            let notification = client.wait(LONG).unwrap().expect("a signal");
            if notification.signalled {
                assert_eq!(notification.count, 1);
                break;
            }
            checks += 1;
        }
    }
    // Longer than a poll waits: it ends without a message, and the client polls again.
    assert!(client.wait(Timeout::from_millis(2500)).unwrap().is_none_or(|notification| !notification.signalled));
    nginx.publish(41, "OneC");
    while !client.wait(LONG).unwrap().expect("a signal").signalled {}
    let before = stats(&client);
    println!("nchan, {transport}: {before}, checks of the queue {checks}");
    let counts = ["malformed", "failures", "signals"].map(|name| before[name].as_u64().unwrap());
    assert_eq!(counts, [0, 0, 21], "{}", portal.log());

    // nchan closes every subscription to a channel that is deleted.
    for round in 0..5 {
        nginx.wait_for_subscriber();
        let answer = nginx.request("DELETE", "");
        assert!(answer.starts_with("HTTP/1.1 20"), "{answer}");
        if transport == "websocket" {
            // The check after the new connection: nchan no longer counts the old one.
            while client.wait(LONG).unwrap().expect("a check").signalled {}
        }
        nginx.publish(42 + round, "OneC");
        while !client.wait(LONG).unwrap().expect("a signal").signalled {}
    }
    let after = stats(&client);
    println!("nchan, {transport}, closed five times: {after}");
    assert_eq!(after["failures"], 5, "{}", portal.log());
    assert_eq!(after["signals"], 26);
}
