//! `b24-emulator serve`

use std::time::Duration;

use b24_emulator::{ADMINISTRATOR, AuthServer, EMPLOYEE, Emulator, Limits, Options};
use lexopt::{Arg, Error, Parser, ValueExt};

pub fn serve(arguments: &mut Parser) -> Result<(), Error> {
    let emulator = Emulator::start(options(arguments)?).map_err(|error| Error::Custom(Box::new(error)))?;
    print!("{}", introduction(&emulator));
    wait_for_ctrl_c().map_err(|error| Error::Custom(Box::new(error)))
}

fn options(arguments: &mut Parser) -> Result<Options, Error> {
    let mut options = Options { access_log: Some(Box::new(|line| eprintln!("{line}"))), ..Options::default() };
    while let Some(argument) = arguments.next()? {
        match argument {
            Arg::Long("listen") => options.listen = arguments.value()?.parse()?,
            Arg::Long("on-premise") => options.on_premise = true,
            Arg::Long("push-version") => options.push_version = arguments.value()?.parse()?,
            Arg::Long("push-personal") => options.push_shared = false,
            Arg::Long("hold") => options.hold = seconds(arguments)?,
            Arg::Long("no-websocket") => options.websocket = false,
            Arg::Long("ping") => options.ping_interval = seconds(arguments)?,
            Arg::Long("channel-ttl") => options.channel_ttl = seconds(arguments)?,
            Arg::Long("token-ttl") => options.token_ttl = seconds(arguments)?,
            Arg::Long("no-reserve") => options.offline_extended = false,
            Arg::Long("no-connector") => options.auth_connector_allowed = false,
            Arg::Long("no-handler-tokens") => options.handler_tokens = false,
            Arg::Long("not-installed") => options.conditions.installed = false,
            Arg::Long("payment-expired") => options.conditions.payment_expired = true,
            Arg::Long("license-expired") => options.conditions.license_expired = true,
            Arg::Long("closed") => options.conditions.closed = true,
            Arg::Long("no-push-server") => options.conditions.push_server = false,
            Arg::Long("no-auth-server") => options.conditions.auth_server = AuthServer::UnreachableAndForgotten,
            Arg::Long("record-ttl") => options.timing.record_ttl = seconds(arguments)?,
            Arg::Long("reservation-race") => options.timing.reservation_race = millis(arguments)?,
            Arg::Long("binding-time") => options.timing.binding = millis(arguments)?,
            Arg::Long("limits") => options.limits = Some(arguments.value()?.parse_with(limits)?),
            Arg::Long("quiet") => options.access_log = None,
            other => return Err(other.unexpected()),
        }
    }
    Ok(options)
}

fn seconds(arguments: &mut Parser) -> Result<Duration, Error> {
    Ok(Duration::from_secs(arguments.value()?.parse()?))
}

fn millis(arguments: &mut Parser) -> Result<Duration, Error> {
    Ok(Duration::from_millis(arguments.value()?.parse()?))
}

fn limits(text: &str) -> Result<Limits, String> {
    let (burst, per_second) = text.split_once('/').ok_or("expected BURST/RATE, such as 50/2")?;
    Ok(Limits {
        burst: burst.parse().map_err(|error| format!("{burst}: {error}"))?,
        per_second: per_second.parse().map_err(|error| format!("{per_second}: {error}"))?,
    })
}

fn introduction(emulator: &Emulator) -> String {
    let url = emulator.portal_url();
    let auth_server = emulator.auth_server_url();
    let application = emulator.application();
    let administrator = emulator.issue_tokens(ADMINISTRATOR);
    let employee = emulator.issue_tokens(EMPLOYEE);
    let webhook = emulator.webhook_url();
    let token = &administrator.access_token;
    let call = |method: &str, fields: &str| format!("curl -s '{url}/rest/{method}' -d 'auth={token}{fields}'");
    format!(
        "\
portal             {url}
auth_server        {auth_server}
client_id          {client_id}
client_secret      {client_secret}
application_token  {application_token}
member_id          {member_id}
webhook            {webhook}
access_token       {token}
refresh_token      {refresh_token}
access_token of a user who is not an administrator
                   {employee}

for the examples in README.md (paste into a shell):
export B24_PORTAL_URL='{url}' B24_ACCESS_TOKEN='{token}' B24_REFRESH_TOKEN='{refresh_token}' B24_CLIENT_ID='{client_id}' B24_CLIENT_SECRET='{client_secret}' B24_AUTH_SERVER='{auth_server}'

bind an event      {bind}
bind a handler     {handler}
add a deal         {add}
list the queue     {list}
fetch and delete   {get}
fetch and reserve  {reserve}
acknowledge        {clear}
get the channels   {config}
get a code         curl -si '{url}/oauth/authorize/?client_id={client_id}' | grep -i '^location'
renew the tokens   curl -s '{auth_server}/oauth/token/' -d 'grant_type=refresh_token&client_id={client_id}&client_secret={client_secret}&refresh_token={refresh_token}'
make calls fail    curl -s '{url}/control' -d '{{\"fail_next\": {{\"method\": \"event.offline.get\", \"times\": 3, \"status\": 502, \"body\": \"<h1>Bad Gateway</h1>\"}}}}'
show the counters  curl -s '{url}/control'

Ctrl-C stops the portal.
",
        client_id = application.client_id,
        client_secret = application.client_secret,
        application_token = application.application_token,
        member_id = application.member_id,
        refresh_token = administrator.refresh_token,
        employee = employee.access_token,
        bind = call("event.bind", "&event=ONCRMDEALADD&event_type=offline"),
        handler = call("event.bind", "&event=ONOFFLINEEVENT&handler=http://127.0.0.1:8080/b24"),
        // What the application itself changes is not put into its queue.
        add = format_args!("curl -s '{webhook}crm.deal.add' -d 'fields[TITLE]=From curl'"),
        list = call("event.offline.list", ""),
        get = call("event.offline.get", ""),
        reserve = call("event.offline.get", "&clear=0"),
        clear = call("event.offline.clear", "&process_id=PROCESS_ID"),
        config = call("pull.application.config.get", ""),
    )
}

fn wait_for_ctrl_c() -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(tokio::signal::ctrl_c())
}
