#include "portal.h"

#include "check.h"
#include "system.h"

const char *variable(const char *name)
{
    const char *value = getenv(name);

    if (value == NULL) {
        fprintf(stderr, "%s is not set; run this program by: cargo test --test c_hosts\n", name);
        exit(EXIT_FAILURE);
    }
    return value;
}

b24_config *portal_config(const char *connector)
{
    b24_config *config;

    CHECK_OK(b24_config_new(&config));
    CHECK_OK(b24_config_set(config, "portal.url", variable("B24_PORTAL_URL")));
    CHECK_OK(b24_config_set(config, "auth.server", variable("B24_AUTH_SERVER")));
    CHECK_OK(b24_config_set(config, "auth.client_id", variable("B24_CLIENT_ID")));
    CHECK_OK(b24_config_set(config, "auth.client_secret", variable("B24_CLIENT_SECRET")));
    CHECK_OK(b24_config_set(config, "auth.access_token", variable("B24_ACCESS_TOKEN")));
    CHECK_OK(b24_config_set(config, "auth.refresh_token", variable("B24_REFRESH_TOKEN")));
    CHECK_OK(b24_config_set(config, "connector.id", connector));
    CHECK_OK(b24_config_set(config, "rate.per_second", "0")); /* this portal has no limits */
    return config;
}

b24_client *portal_client(const char *connector)
{
    b24_config *config = portal_config(connector);
    b24_client *client;

    CHECK_OK(b24_client_new(config, &client));
    b24_config_free(config);
    return client;
}

b24_client *listening_client(const char *connector, const char *event)
{
    b24_client *client = portal_client(connector);
    b24_notification first;

    CHECK_OK(b24_client_bind_event(client, event));
    CHECK_OK(b24_client_connect(client, 10000));
    CHECK_OK(b24_client_wait(client, 10000, &first));
    CHECK(first.signalled == 0 && first.count == 0);
    return client;
}

char *answer_of(b24_client *client, const char *method, const char *params)
{
    char *answer;

    CHECK_OK(b24_client_call(client, method, params, &answer));
    return answer;
}

void add_deal(b24_client *somebody)
{
    b24_string_free(answer_of(somebody, "crm.deal.add", "{\"fields\":{\"TITLE\":\"Сделка\"}}"));
}

long number_in(const char *json, const char *name)
{
    const char *place = json;
    char key[64];

    snprintf(key, sizeof key, "\"%s\":", name);
    place = strstr(json, key);
    if (place == NULL)
        return -1;
    place += strlen(key);
    return strtol(place + (*place == '"'), NULL, 10);
}

void portal_control(const char *json)
{
    char message[1024];
    const char *port = strrchr(variable("B24_PORTAL_URL"), ':') + 1;
    intptr_t connection = connection_open((unsigned short)strtoul(port, NULL, 10));
    int length = snprintf(message, sizeof message,
                          "POST /control HTTP/1.1\r\nHost: emulator\r\nConnection: close\r\n"
                          "Content-Length: %zu\r\n\r\n%s",
                          strlen(json), json);

    CHECK(length > 0 && (size_t)length < sizeof message);
    CHECK(connection >= 0);
    CHECK(connection_send(connection, message, (size_t)length));
    /* The first bytes say whether the emulator has done what was asked. */
    CHECK(connection_receive(connection, message, 12));
    CHECK(memcmp(message, "HTTP/1.1 200", 12) == 0);
    connection_end(connection);
}
