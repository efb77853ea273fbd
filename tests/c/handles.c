/* Handles and arguments that are none: a status and a text, never a crash. */

#include "check.h"
#include "host.h"
#include "portal.h"

#define MADE_UP 0xdeadbeefu

static void no_config(b24_config *none)
{
    b24_client *client = (b24_client *)none;
    char *text = (char *)none;

    CHECK_FAILS(B24_INVALID_HANDLE, "b24_config", b24_config_set(none, "portal.url", "https://my.bitrix24.com"));
    CHECK_STATUS(B24_INVALID_HANDLE, b24_config_get(none, "portal.url", &text));
    CHECK_STATUS(B24_INVALID_HANDLE, b24_config_on_log(none, NULL, NULL));
    CHECK_STATUS(B24_INVALID_HANDLE, b24_config_on_tokens(none, NULL, NULL));
    CHECK_STATUS(B24_INVALID_HANDLE, b24_client_new(none, &client));
    CHECK(client == NULL && text == NULL);
    b24_config_free(none);
}

static void no_client(b24_client *none)
{
    b24_batch *batch = (b24_batch *)none;
    char *text = (char *)none;
    int32_t http_status = 0;

    CHECK_FAILS(B24_INVALID_HANDLE, "b24_client", b24_client_connect(none, 0));
    CHECK_STATUS(B24_INVALID_HANDLE, b24_client_bind_event(none, "ONCRMDEALADD"));
    CHECK_STATUS(B24_INVALID_HANDLE, b24_client_unbind_event(none, "ONCRMDEALADD"));
    CHECK_STATUS(B24_INVALID_HANDLE, b24_client_wait(none, -1, NULL));
    CHECK_STATUS(B24_INVALID_HANDLE, b24_client_fetch(none, 0, &batch));
    CHECK(batch == NULL);
    CHECK_STATUS(B24_INVALID_HANDLE, b24_client_next(none, -1, &batch));
    CHECK(batch == NULL);
    CHECK_STATUS(B24_INVALID_HANDLE, b24_client_fetch_failed(none, 0, &batch));
    CHECK(batch == NULL);
    CHECK_STATUS(B24_INVALID_HANDLE, b24_client_recover(none, NULL));
    CHECK_STATUS(B24_INVALID_HANDLE, b24_client_call(none, "profile", NULL, &text));
    CHECK(text == NULL);
    CHECK_STATUS(B24_INVALID_HANDLE, b24_client_call_batch(none, "{}", 0, &text));
    CHECK(text == NULL);
    CHECK_STATUS(B24_INVALID_HANDLE, b24_client_state(none, &text));
    CHECK(text == NULL);
    CHECK_STATUS(B24_INVALID_HANDLE, b24_client_restore(none, "{}"));
    CHECK_STATUS(B24_INVALID_HANDLE, b24_client_authorize(none, "code"));
    CHECK_STATUS(B24_INVALID_HANDLE, b24_client_set_tokens(none, "token", NULL, 0));
    CHECK_STATUS(B24_INVALID_HANDLE, b24_client_bind_handler(none, "https://my-server.example/b24", 1));
    CHECK_STATUS(B24_INVALID_HANDLE, b24_client_unbind_handler(none, NULL));
    CHECK_STATUS(B24_INVALID_HANDLE, b24_client_accept_handler_call(none, "x", 1, NULL, &http_status));
    CHECK(http_status == 503);
    CHECK_STATUS(B24_INVALID_HANDLE, b24_client_stats(none, &text));
    CHECK(text == NULL);
    CHECK_STATUS(B24_INVALID_HANDLE, b24_client_close(none));
    CHECK(b24_client_fd(none) == -1);
    CHECK_HOLDS("b24_client", b24_last_error_message());
    b24_client_free(none);
}

static void no_batch(b24_batch *none)
{
    const char *message_id = "0123456789abcdef0123456789abcdef";
    b24_record record;

    CHECK(b24_batch_len(none) == 0);
    CHECK_HOLDS("b24_batch", b24_last_error_message());
    CHECK(b24_batch_json(none) == NULL);
    CHECK(b24_batch_process_id(none) == NULL);
    CHECK_FAILS(B24_INVALID_HANDLE, "b24_batch", b24_batch_record(none, 0, &record));
    CHECK(record.message_id == NULL && record.event_name == NULL && record.event_data == NULL);
    CHECK_STATUS(B24_INVALID_HANDLE, b24_batch_ack(none));
    CHECK_STATUS(B24_INVALID_HANDLE, b24_batch_ack_records(none, &message_id, 1));
    CHECK_STATUS(B24_INVALID_HANDLE, b24_batch_fail_records(none, &message_id, 1));
    b24_batch_free(none);
}

void handles_that_are_none(void)
{
    b24_config *config = portal_config("");
    b24_client *client = portal_client("");
    b24_batch *batch;

    CHECK_OK(b24_client_fetch(client, 0, &batch));

    no_config(NULL);
    no_config((b24_config *)(uintptr_t)MADE_UP);
    no_config((b24_config *)client);
    no_config((b24_config *)batch);
    no_client(NULL);
    no_client((b24_client *)(uintptr_t)MADE_UP);
    no_client((b24_client *)config);
    no_client((b24_client *)batch);
    no_batch(NULL);
    no_batch((b24_batch *)(uintptr_t)MADE_UP);
    no_batch((b24_batch *)config);
    no_batch((b24_batch *)client);

    /* None of the above has harmed the real ones. */
    CHECK_OK(b24_config_set(config, "fetch.limit", "10"));
    CHECK_OK(b24_batch_ack(batch));
    b24_string_free(answer_of(client, "profile", NULL));

    b24_batch_free(batch);
    b24_client_free(client);
    b24_config_free(config);
    no_batch(batch);
    no_client(client);
    no_config(config);
}

void arguments_that_are_none(void)
{
    const char *not_utf8 = "\xff\xfe";
    const char *texts[] = {NULL};
    b24_config *config = portal_config("");
    b24_client *client = portal_client("");
    b24_batch *batch;
    char *text;

    CHECK_FAILS(B24_INVALID_ARGUMENT, "NULL", b24_config_new(NULL));
    CHECK_FAILS(B24_INVALID_ARGUMENT, "key", b24_config_set(config, NULL, "10"));
    CHECK_FAILS(B24_INVALID_ARGUMENT, "value", b24_config_set(config, "fetch.limit", NULL));
    CHECK_FAILS(B24_INVALID_ARGUMENT, "UTF-8", b24_config_set(config, "connector.id", not_utf8));
    CHECK_FAILS(B24_INVALID_ARGUMENT, "UTF-8", b24_config_set(config, not_utf8, "1"));
    CHECK_STATUS(B24_INVALID_ARGUMENT, b24_config_get(config, "fetch.limit", NULL));
    CHECK_STATUS(B24_INVALID_ARGUMENT, b24_config_get(config, NULL, &text));
    CHECK_STATUS(B24_INVALID_ARGUMENT, b24_client_new(config, NULL));

    CHECK_STATUS(B24_INVALID_ARGUMENT, b24_client_bind_event(client, NULL));
    CHECK_STATUS(B24_INVALID_ARGUMENT, b24_client_bind_event(client, ""));
    CHECK_STATUS(B24_INVALID_ARGUMENT, b24_client_bind_event(client, not_utf8));
    CHECK_STATUS(B24_INVALID_ARGUMENT, b24_client_unbind_event(client, NULL));
    CHECK_STATUS(B24_INVALID_ARGUMENT, b24_client_fetch(client, 0, NULL));
    CHECK_FAILS(B24_INVALID_ARGUMENT, "1001", b24_client_fetch(client, 1001, &batch));
    CHECK(batch == NULL);
    CHECK_STATUS(B24_INVALID_ARGUMENT, b24_client_next(client, 0, NULL));
    CHECK_STATUS(B24_INVALID_ARGUMENT, b24_client_stats(client, NULL));
    CHECK_STATUS(B24_INVALID_ARGUMENT, b24_client_fetch_failed(client, 0, NULL));
    CHECK_STATUS(B24_INVALID_ARGUMENT, b24_client_fetch_failed(client, 1001, &batch));
    CHECK_STATUS(B24_INVALID_ARGUMENT, b24_client_state(client, NULL));
    CHECK_STATUS(B24_INVALID_ARGUMENT, b24_client_restore(client, NULL));
    CHECK_STATUS(B24_INVALID_ARGUMENT, b24_client_authorize(client, NULL));
    CHECK_STATUS(B24_INVALID_ARGUMENT, b24_client_set_tokens(client, NULL, NULL, 0));
    CHECK_STATUS(B24_INVALID_ARGUMENT, b24_client_call_batch(client, "{}", 0, NULL));
    CHECK_STATUS(B24_INVALID_ARGUMENT, b24_client_call_batch(client, NULL, 0, &text));
    CHECK_STATUS(B24_INVALID_ARGUMENT, b24_client_call_batch(client, "[1]", 0, &text));
    CHECK_STATUS(B24_INVALID_ARGUMENT, b24_client_call(client, "profile", NULL, NULL));
    CHECK_STATUS(B24_INVALID_ARGUMENT, b24_client_call(client, NULL, NULL, &text));
    CHECK_STATUS(B24_INVALID_ARGUMENT, b24_client_call(client, "../oauth", NULL, &text));
    CHECK_STATUS(B24_INVALID_ARGUMENT, b24_client_call(client, "profile", "[1]", &text));
    CHECK_STATUS(B24_INVALID_ARGUMENT, b24_client_call(client, "profile", "{", &text));
    CHECK_FAILS(B24_INVALID_ARGUMENT, "auth", b24_client_call(client, "profile", "{\"auth\":\"x\"}", &text));
    CHECK(text == NULL);

    CHECK_OK(b24_client_fetch(client, 0, &batch));
    CHECK_STATUS(B24_INVALID_ARGUMENT, b24_batch_record(batch, 0, NULL));
    CHECK_STATUS(B24_INVALID_ARGUMENT, b24_batch_ack_records(batch, NULL, 1));
    CHECK_STATUS(B24_INVALID_ARGUMENT, b24_batch_ack_records(batch, texts, 1));
    CHECK_STATUS(B24_INVALID_ARGUMENT, b24_batch_fail_records(batch, NULL, 1));
    CHECK_STATUS(B24_INVALID_ARGUMENT, b24_batch_fail_records(batch, texts, SIZE_MAX));
    CHECK_OK(b24_batch_ack_records(batch, NULL, 0));
    b24_string_free(NULL);

    b24_batch_free(batch);
    b24_client_free(client);
    b24_config_free(config);
}
