/* From the queue to the host, and REST calls. */

#include "check.h"
#include "host.h"
#include "portal.h"

/* Number of records that the portal still has for this client's queue. */
static long left_in_queue(b24_client *client)
{
    char *answer = answer_of(client, "event.offline.list", NULL);
    long total = number_in(answer, "total");

    b24_string_free(answer);
    return total;
}

static b24_record record_of(b24_batch *batch, size_t index)
{
    b24_record record;

    CHECK_OK(b24_batch_record(batch, index, &record));
    return record;
}

void records(void)
{
    b24_client *somebody = portal_client("");
    b24_client *client = listening_client("records", "ONCRMDEALADD");
    b24_notification notification;
    b24_batch *batch;
    b24_batch *empty;
    b24_record record;
    const char *message_ids[2];
    char *stats;
    char *objects;
    int i;

    for (i = 0; i < 3; i++)
        add_deal(somebody);
    CHECK_OK(b24_client_wait(client, 10000, &notification));
    CHECK_TEXT("records", notification.connector_id);
    CHECK(notification.signalled == 1);
    CHECK(notification.count >= 1);

    CHECK_OK(b24_client_fetch(client, 0, &batch));
    CHECK(b24_batch_len(batch) == 3);
    CHECK(strlen(b24_batch_process_id(batch)) == 32);
    record = record_of(batch, 0);
    CHECK_TEXT("ONCRMDEALADD", record.event_name);
    CHECK(strlen(record.message_id) == 32);
    CHECK_HOLDS("\"FIELDS\"", record.event_data);
    CHECK(number_in(record.event_data, "ID") > 0);
    CHECK(number_in(record.event_additional, "user_id") == 1);
    CHECK(strlen(record.timestamp_x) == strlen("2025-01-31T12:00:00+03:00"));
    CHECK(strtol(record.id, NULL, 10) > 0);
    CHECK(record.attempt == 1);
    CHECK_HOLDS(record.message_id, b24_batch_json(batch));
    CHECK_HOLDS("\"process_id\":", b24_batch_json(batch));
    CHECK_OK(b24_batch_objects(batch, &objects));
    CHECK_HOLDS(record.message_id, objects);
    CHECK_HOLDS("\"status\":\"object\",\"method\":\"crm.deal.get\",\"object\":{\"ID\":", objects);
    b24_string_free(objects);
    CHECK_FAILS(B24_INVALID_ARGUMENT, "no record 3", b24_batch_record(batch, 3, &record));
    CHECK(record.message_id == NULL && record.attempt == 0);

    /* The records are reserved, so the next fetch does not return them. */
    CHECK_OK(b24_client_fetch(client, 10, &empty));
    CHECK(b24_batch_len(empty) == 0);
    CHECK_OK(b24_batch_ack(empty));
    b24_batch_free(empty);

    message_ids[0] = record_of(batch, 0).message_id;
    message_ids[1] = "ffffffffffffffffffffffffffffffff";
    CHECK_STATUS(B24_INVALID_ARGUMENT, b24_batch_ack_records(batch, message_ids, 2));
    CHECK(left_in_queue(client) == 3);
    CHECK_OK(b24_batch_ack_records(batch, message_ids, 1));
    CHECK_OK(b24_batch_ack_records(batch, message_ids, 1));
    CHECK(left_in_queue(client) == 2);
    CHECK_STATUS(B24_INVALID_ARGUMENT, b24_batch_fail_records(batch, message_ids, 1));
    message_ids[0] = record_of(batch, 1).message_id;
    CHECK_OK(b24_batch_fail_records(batch, message_ids, 1));
    CHECK_OK(b24_batch_ack(batch));
    CHECK_OK(b24_batch_ack(batch));
    CHECK(left_in_queue(client) == 1);

    CHECK_OK(b24_client_stats(client, &stats));
    CHECK(number_in(stats, "fetched") == 3);
    CHECK(number_in(stats, "acknowledged") == 2);
    CHECK(number_in(stats, "failed") == 1);
    CHECK(number_in(stats, "malformed") == 0);
    CHECK_HOLDS("\"subscribed\":true", stats);
    b24_string_free(stats);

    /* A batch can be read after its client was freed, but not acknowledged. */
    add_deal(somebody);
    b24_batch_free(batch);
    CHECK_OK(b24_client_next(client, 10000, &batch));
    CHECK(b24_batch_len(batch) == 1);
    CHECK_OK(b24_client_unbind_event(client, "ONCRMDEALADD"));
    CHECK_OK(b24_client_unbind_event(client, "ONCRMDEALADD"));
    b24_client_free(client);
    CHECK_TEXT("ONCRMDEALADD", record_of(batch, 0).event_name);
    CHECK_STATUS(B24_CLOSED, b24_batch_ack(batch));
    b24_batch_free(batch);
    b24_client_free(somebody);
}

void calls(void)
{
    b24_client *client = portal_client("");
    char *answer = answer_of(client, "crm.deal.add", "{\"fields\":{\"TITLE\":\"Сделка\"}}");
    long id = number_in(answer, "result");
    char params[64];

    CHECK(id > 0);
    CHECK_HOLDS("\"time\":", answer);
    b24_string_free(answer);
    snprintf(params, sizeof params, "{\"id\":%ld}", id);
    answer = answer_of(client, "crm.deal.get", params);
    CHECK_HOLDS("\"TITLE\":\"\\u0421\\u0434\\u0435\\u043b\\u043a\\u0430", answer); /* as PHP encodes it */
    b24_string_free(answer);
    b24_string_free(answer_of(client, "profile", ""));

    CHECK_OK(b24_client_call_batch(client,
                                   "{\"new\":{\"method\":\"crm.deal.add\",\"params\":{\"fields\":{\"TITLE\":\"1\"}}},"
                                   "\"read\":{\"method\":\"crm.deal.get\",\"params\":{\"id\":\"$result[new]\"}},"
                                   "\"wrong\":{\"method\":\"no.such.method\"}}",
                                   0, &answer));
    CHECK(number_in(answer, "new") == id + 1);
    CHECK(number_in(answer, "ID") == id + 1);
    CHECK_HOLDS("ERROR_METHOD_NOT_FOUND", answer);
    b24_string_free(answer);
    b24_client_free(client);
}

void refusals(void)
{
    b24_config *config = portal_config("");
    b24_client *client;
    char *answer;

    CHECK_OK(b24_client_new(config, &client));
    CHECK_STATUS(B24_PORTAL, b24_client_call(client, "no.such.method", NULL, &answer));
    CHECK(answer == NULL);
    CHECK_TEXT("ERROR_METHOD_NOT_FOUND", b24_last_error_code());
    CHECK(b24_last_error_http_status() == 404);
    CHECK(b24_last_error_is_transient() == 0);
    CHECK(strlen(b24_last_error_message()) > 20);
    b24_string_free(answer_of(client, "profile", NULL));
    CHECK_TEXT("", b24_last_error_message());
    CHECK_TEXT("", b24_last_error_code());
    CHECK(b24_last_error_http_status() == 0);
    CHECK_STATUS(B24_PORTAL, b24_client_bind_event(client, "ONNOSUCHEVENT"));
    CHECK_TEXT("ERROR_EVENT_NOT_FOUND", b24_last_error_code());
    b24_client_free(client);

    /* A user who is not an administrator. */
    CHECK_OK(b24_config_set(config, "auth.access_token", variable("B24_EMPLOYEE_TOKEN")));
    CHECK_OK(b24_client_new(config, &client));
    CHECK_FAILS(B24_ACCESS_DENIED, "administrator", b24_client_bind_event(client, "ONCRMDEALADD"));
    CHECK(strstr(b24_last_error_message(), variable("B24_EMPLOYEE_TOKEN")) == NULL);
    CHECK(b24_last_error_http_status() >= 400);
    b24_client_free(client);

    /* An invalid token, and nothing to renew it with. */
    CHECK_OK(b24_config_set(config, "auth.access_token", "0123456789"));
    CHECK_OK(b24_config_set(config, "auth.refresh_token", ""));
    CHECK_OK(b24_client_new(config, &client));
    CHECK_STATUS(B24_AUTH, b24_client_connect(client, 10000));
    b24_client_free(client);

    /* Nothing listens on port 1 of loopback. */
    CHECK_OK(b24_config_set(config, "portal.url", "http://127.0.0.1:1"));
    CHECK_OK(b24_client_new(config, &client));
    CHECK_STATUS(B24_NETWORK, b24_client_call(client, "profile", NULL, &answer));
    CHECK(b24_last_error_is_transient() == 1);
    CHECK_STATUS(B24_NETWORK, b24_client_connect(client, 300));
    b24_client_free(client);
    b24_config_free(config);
}
