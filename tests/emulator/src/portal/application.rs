//! The installed application, and the methods that describe it and its user.

use crate::php::value::{Map, Value, json};

use super::call::{Authorization, Caller, Outcome, Params};
use super::error::RestError;
use super::{ADMINISTRATOR, Portal};
use crate::{random, time};

/// What stands for the plan on-premise: the language and this word.
const SELF_HOSTED: &str = "ru_selfhosted";

/// Keys of the application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Application {
    pub client_id: String,
    /// What `app.info` calls it: a local application by its `client_id`, one of the Marketplace by another name.
    pub code: String,
    pub client_secret: String,
    /// Proves that a call of a handler comes from the portal.
    pub application_token: String,
    /// The portal's own id.
    pub member_id: String,
}

impl Application {
    pub fn new() -> Self {
        let client_id = format!("local.{}.{:08}", random::hex(14), time::unix_now() % 100_000_000);
        Self {
            code: client_id.clone(),
            client_id,
            client_secret: random::hex(50),
            application_token: random::hex(32),
            member_id: random::hex(32),
        }
    }
}

impl Application {
    /// `L`: local; `F`: free, of the Marketplace.
    pub fn status(&self) -> &'static str {
        if self.code == self.client_id { "L" } else { "F" }
    }
}

impl Default for Application {
    fn default() -> Self {
        Self::new()
    }
}

pub fn app_info(portal: &Portal, caller: &Caller) -> Outcome {
    let scopes: Vec<&str> = portal.scope.split(',').map(str::trim).collect();
    let license = if portal.on_premise { SELF_HOSTED } else { "ru_pro100" };
    if caller.by == Authorization::Webhook {
        return Ok(json!({"SCOPE": scopes, "LICENSE": license}).into());
    }
    let conditions = portal.conditions;
    let mut info = Map::new();
    let mut put = |name: &str, value: Value| info.insert(name.to_owned(), value);
    put("ID", json!("1"));
    put("CODE", json!(portal.application.code));
    put("VERSION", json!(1));
    put("STATUS", json!(portal.application.status()));
    put("INSTALLED", json!(conditions.installed));
    put("PAYMENT_EXPIRED", json!(if conditions.payment_expired { "Y" } else { "N" }));
    put("DAYS", json!(null));
    put("LANGUAGE_ID", json!("ru"));
    put("LICENSE", json!(license));
    if !portal.on_premise {
        put("LICENSE_TYPE", json!("pro100"));
        put("LICENSE_FAMILY", json!("pro"));
    }
    Ok(Value::Object(info).into())
}

fn name(user: u32) -> (&'static str, &'static str) {
    if user == ADMINISTRATOR {
        ("Анна", "Администратор")
    } else {
        ("Семён", "Сотрудник")
    }
}

pub fn profile(caller: &Caller) -> Outcome {
    let (first, last) = name(caller.user);
    Ok(json!({
        "ID": caller.user.to_string(),
        "ADMIN": caller.is_admin,
        "NAME": first,
        "LAST_NAME": last,
        "PERSONAL_GENDER": "",
        "TIME_ZONE": "Europe/Moscow",
    })
    .into())
}

pub fn user_current(caller: &Caller) -> Outcome {
    let (first, last) = name(caller.user);
    Ok(json!({
        "ID": caller.user.to_string(),
        "ACTIVE": true,
        "NAME": first,
        "LAST_NAME": last,
        "WORK_POSITION": "",
        "USER_TYPE": "employee",
    })
    .into())
}

pub fn scope(portal: &Portal, params: &Params) -> Outcome {
    let all = params.get("full").is_some_and(crate::php::truth);
    let scopes: Vec<&str> =
        if all { vec!["crm", "pull", "user_brief"] } else { portal.scope.split(',').map(str::trim).collect() };
    Ok(json!(scopes).into())
}

pub fn server_time() -> Outcome {
    Ok(Value::String(time::iso(time::unix_now())).into())
}

/// Whether the plan has a feature. An unknown code is answered with yes, as the vendor's documentation warns. There are
/// no plans on-premise, and the answer is neither yes nor no.
pub fn feature_get(portal: &Portal, params: &Params) -> Outcome {
    let available = match params.text("code").as_str() {
        "" | "0" => return Err(RestError::bad_request("CODE_EMPTY", "CODE can't be empty")),
        _ if portal.on_premise => return Ok(json!({"value": SELF_HOSTED}).into()),
        "rest_offline_extended" => portal.plan.offline_extended,
        "rest_auth_connector" => portal.plan.auth_connector,
        _ => true,
    };
    Ok(json!({"value": if available { "Y" } else { "N" }}).into())
}
