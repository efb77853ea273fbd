use super::setting::*;
use serde_json::json;
#[test]
fn probe() {
    for control in [
        json!({"expire_channel": {"command": true, "action": "reconnect"}}),
        json!({"expire_channel": {"command": true, "action": "get_config"}}),
        json!({"expire_channel": {"command": false}}),
    ] {
        let setting = Setting::new();
        let client = setting.connected();
        setting.deals([0]);
        client.next(LONG).unwrap().unwrap().acknowledge().unwrap();
        setting.control(control.clone());
        setting.control(json!("drop_connections"));
        let t = std::time::Instant::now();
        setting.deals([1]);
        let b= client.next(LONG).unwrap();
        println!("{control} {:?}\n{}", t.elapsed(), setting.log());
        b.unwrap().acknowledge().unwrap();
    }
}
