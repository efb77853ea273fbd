/* The handler: the portal calls the host, or the library's own port. */

#include "check.h"
#include "host.h"
#include "portal.h"
#include "system.h"
#include "threads.h"

#include <time.h>

/* How long after a close the port may still accept connections. */
#ifdef _WIN32
#define FREE_AFTER_MS 1000.0 /* Wine keeps a closed socket open until the thread that polled it has woken up */
#else
#define FREE_AFTER_MS 0.0
#endif

/* A call as the portal makes it; only the token can be wrong. */
static const char *call_with(const char *token, int as_json)
{
    static char body[1024];
    const char *domain = strstr(variable("B24_PORTAL_URL"), "//") + 2;
    const char *form = "event=ONOFFLINEEVENT&data=&ts=%ld&auth%%5Bdomain%%5D=%s&auth[member_id]=%s"
                       "&auth[application_token]=%s";
    const char *json = "{\"event\":\"ONOFFLINEEVENT\",\"ts\":%ld,\"auth\":{\"domain\":\"%s\",\"member_id\":\"%s\","
                       "\"application_token\":\"%s\"}}";

    snprintf(body, sizeof body, as_json ? json : form, (long)time(NULL), domain, variable("B24_MEMBER_ID"), token);
    return body;
}

static void answers(b24_client *client, int32_t expected, const char *body, const char *content_type)
{
    int32_t http_status;

    CHECK_OK(b24_client_accept_handler_call(client, body, strlen(body), content_type, &http_status));
    CHECK(http_status == expected);
}

static int can_connect(unsigned short port)
{
    intptr_t connection = connection_open(port);

    if (connection < 0)
        return 0;
    connection_end(connection);
    return 1;
}

static void wait_until_free(unsigned short port)
{
    double deadline = now() + FREE_AFTER_MS;

    while (can_connect(port))
        CHECK(now() < deadline);
}

/* A host with a web server of its own. */
void handler_calls(void)
{
    const char *token = variable("B24_APPLICATION_TOKEN");
    static char too_long[64 * 1024 + 1];
    b24_config *config = portal_config("handler");
    b24_notification notification;
    b24_client *client;
    int32_t http_status;
    char *stats;

    CHECK_OK(b24_config_set(config, "source", "handler"));
    CHECK_OK(b24_config_set(config, "handler.listen", ""));
    CHECK_OK(b24_config_set(config, "handler.application_token", token));
    CHECK_OK(b24_client_new(config, &client));
    CHECK_OK(b24_client_connect(client, 0));
    CHECK_OK(b24_client_wait(client, 0, &notification));
    CHECK(notification.signalled == 0);

    answers(client, 200, call_with(token, 0), "application/x-www-form-urlencoded");
    CHECK_OK(b24_client_wait(client, 0, &notification));
    CHECK(notification.signalled == 1 && notification.count == 0);
    answers(client, 200, call_with(token, 1), "application/json");
    CHECK_OK(b24_client_wait(client, 0, &notification));
    answers(client, 200, call_with(token, 1), NULL);
    CHECK_OK(b24_client_wait(client, 0, NULL));

    answers(client, 403, call_with("guess", 0), NULL);
    answers(client, 400, "nonsense", NULL);
    answers(client, 400, "", NULL);
    CHECK_OK(b24_client_accept_handler_call(client, NULL, 0, NULL, &http_status));
    CHECK(http_status == 400);
    CHECK_OK(b24_client_accept_handler_call(client, too_long, sizeof too_long, "", &http_status));
    CHECK(http_status == 413);
    CHECK_STATUS(B24_INVALID_ARGUMENT, b24_client_accept_handler_call(client, NULL, 1, NULL, &http_status));
    CHECK_STATUS(B24_INVALID_ARGUMENT, b24_client_accept_handler_call(client, "x", 1, "\xff", &http_status));
    CHECK_STATUS(B24_INVALID_ARGUMENT, b24_client_accept_handler_call(client, "x", 1, NULL, NULL));
    CHECK_STATUS(B24_TIMEOUT, b24_client_wait(client, 0, NULL));

    CHECK_OK(b24_client_stats(client, &stats));
    CHECK(number_in(stats, "handler_calls") == 3 && number_in(stats, "handler_refused") == 5);
    b24_string_free(stats);
    CHECK_OK(b24_client_close(client));
    CHECK_STATUS(B24_CLOSED, b24_client_accept_handler_call(client, "x", 1, NULL, &http_status));
    CHECK(http_status == 503);
    b24_client_free(client);
    b24_config_free(config);
}

/* The library's own port, which the portal calls. */
void handler_port(void)
{
    b24_config *config = portal_config("handler_port");
    b24_client *client, *second;
    b24_batch *batch;
    char url[64];
    char *stats;
    long port;

    CHECK_OK(b24_config_set(config, "source", "handler"));
    CHECK_OK(b24_config_set(config, "handler.listen", "127.0.0.1:0"));
    CHECK_OK(b24_config_set(config, "handler.application_token", variable("B24_APPLICATION_TOKEN")));
    CHECK_OK(b24_client_new(config, &client));
    CHECK_OK(b24_client_connect(client, 0));
    CHECK_OK(b24_client_wait(client, 0, NULL));
    CHECK_OK(b24_client_stats(client, &stats));
    CHECK_HOLDS("\"handler_address\":\"127.0.0.1:", stats);
    port = strtol(strstr(stats, "127.0.0.1:") + 10, NULL, 10);
    b24_string_free(stats);
    snprintf(url, sizeof url, "http://127.0.0.1:%ld/b24", port);

    CHECK_STATUS(B24_INVALID_ARGUMENT, b24_client_bind_handler(client, NULL, 1));
    CHECK_STATUS(B24_INVALID_ARGUMENT, b24_client_bind_handler(client, "my-server", 1));
    CHECK_STATUS(B24_INVALID_ARGUMENT, b24_client_unbind_handler(client, "\xff"));
    CHECK_OK(b24_client_bind_handler(client, url, 0));
    CHECK_OK(b24_client_bind_handler(client, url, 0));
    CHECK_OK(b24_client_bind_event(client, "ONCRMLEADADD"));
    second = portal_client("");
    b24_string_free(answer_of(second, "crm.lead.add", "{\"fields\":{}}"));
    b24_client_free(second);
    CHECK_OK(b24_client_next(client, 10000, &batch));
    CHECK(b24_batch_len(batch) == 1);
    CHECK_OK(b24_batch_ack(batch));
    b24_batch_free(batch);
    CHECK_OK(b24_client_unbind_event(client, "ONCRMLEADADD"));
    CHECK_OK(b24_client_unbind_handler(client, url));
    CHECK_OK(b24_client_unbind_handler(client, NULL));

    snprintf(url, sizeof url, "127.0.0.1:%ld", port);
    CHECK_OK(b24_config_set(config, "handler.listen", url));
    CHECK_OK(b24_client_new(config, &second));
    CHECK_FAILS(B24_CONFIG, url, b24_client_connect(second, 0));
    CHECK(can_connect((unsigned short)port));
    CHECK_OK(b24_client_close(client));
    wait_until_free((unsigned short)port);
    CHECK_OK(b24_client_connect(second, 0));
    b24_client_free(second);
    b24_client_free(client);
    b24_config_free(config);
}
