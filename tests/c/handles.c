/* Invalid handles and arguments: a status and a text, never a crash. */

#include "check.h"
#include "host.h"
#include "portal.h"

#define MADE_UP 0xdeadbeefu

/* The value of out-parameters before a call that has to set them. */
#define POISON ((void *)(uintptr_t)0x5a5a5a5au)

/* Functions that have no out-parameters. */
static void invalid_config(b24_config *config)
{
    CHECK_FAILS(B24_INVALID_HANDLE, "b24_config", b24_config_set(config, "portal.url", "https://my.bitrix24.com"));
    CHECK_STATUS(B24_INVALID_HANDLE, b24_config_on_log(config, NULL, NULL));
    CHECK_STATUS(B24_INVALID_HANDLE, b24_config_on_tokens(config, NULL, NULL));
    b24_config_free(config);
}

static void invalid_client(b24_client *client)
{
    CHECK_FAILS(B24_INVALID_HANDLE, "b24_client", b24_client_connect(client, 0));
    CHECK_STATUS(B24_INVALID_HANDLE, b24_client_bind_event(client, "ONCRMDEALADD"));
    CHECK_STATUS(B24_INVALID_HANDLE, b24_client_unbind_event(client, "ONCRMDEALADD"));
    CHECK_STATUS(B24_INVALID_HANDLE, b24_client_wait(client, -1, NULL));
    CHECK_STATUS(B24_INVALID_HANDLE, b24_client_recover(client, NULL));
    CHECK_STATUS(B24_INVALID_HANDLE, b24_client_restore(client, "{}"));
    CHECK_STATUS(B24_INVALID_HANDLE, b24_client_authorize(client, "code"));
    CHECK_STATUS(B24_INVALID_HANDLE, b24_client_set_tokens(client, "token", NULL, 0));
    CHECK_STATUS(B24_INVALID_HANDLE, b24_client_bind_handler(client, "https://my-server.example/b24", 1));
    CHECK_STATUS(B24_INVALID_HANDLE, b24_client_unbind_handler(client, NULL));
    CHECK_STATUS(B24_INVALID_HANDLE, b24_client_close(client));
    b24_client_free(client);
}

static void invalid_batch(b24_batch *batch)
{
    const char *message_id = "0123456789abcdef0123456789abcdef";

    CHECK(b24_batch_len(batch) == 0);
    CHECK_HOLDS("b24_batch", b24_last_error_message());
    CHECK(b24_batch_json(batch) == NULL);
    CHECK(b24_batch_process_id(batch) == NULL);
    CHECK_STATUS(B24_INVALID_HANDLE, b24_batch_ack(batch));
    CHECK_STATUS(B24_INVALID_HANDLE, b24_batch_ack_records(batch, &message_id, 1));
    CHECK_STATUS(B24_INVALID_HANDLE, b24_batch_fail_records(batch, &message_id, 1));
    b24_batch_free(batch);
}

/* Every function that has an out-parameter sets it, even when it fails before it has done anything. */
static void out_parameters_with_invalid_handle(void *handle)
{
    b24_client *client = POISON;
    b24_batch *batch = POISON;
    char *text = POISON;
    size_t batches = 7;
    int32_t http_status = 7;
    b24_notification notification;
    b24_record record;

    CHECK_STATUS(B24_INVALID_HANDLE, b24_client_new(handle, &client));
    CHECK(client == NULL);
    CHECK_STATUS(B24_INVALID_HANDLE, b24_config_get(handle, "portal.url", &text));
    CHECK(text == NULL);

    memset(&notification, 0x5a, sizeof notification);
    CHECK_STATUS(B24_INVALID_HANDLE, b24_client_wait(handle, -1, &notification));
    CHECK_TEXT("", notification.connector_id);
    CHECK(notification.count == 0 && notification.signalled == 0);
    CHECK_STATUS(B24_INVALID_HANDLE, b24_client_fetch(handle, 0, &batch));
    CHECK(batch == NULL);
    batch = POISON;
    CHECK_STATUS(B24_INVALID_HANDLE, b24_client_next(handle, -1, &batch));
    CHECK(batch == NULL);
    batch = POISON;
    CHECK_STATUS(B24_INVALID_HANDLE, b24_client_fetch_failed(handle, 0, &batch));
    CHECK(batch == NULL);
    CHECK_STATUS(B24_INVALID_HANDLE, b24_client_recover(handle, &batches));
    CHECK(batches == 0);
    text = POISON;
    CHECK_STATUS(B24_INVALID_HANDLE, b24_client_call(handle, "profile", NULL, &text));
    CHECK(text == NULL);
    text = POISON;
    CHECK_STATUS(B24_INVALID_HANDLE, b24_client_call_batch(handle, "{}", 0, &text));
    CHECK(text == NULL);
    text = POISON;
    CHECK_STATUS(B24_INVALID_HANDLE, b24_client_state(handle, &text));
    CHECK(text == NULL);
    text = POISON;
    CHECK_STATUS(B24_INVALID_HANDLE, b24_client_stats(handle, &text));
    CHECK(text == NULL);
    text = POISON;
    CHECK_STATUS(B24_INVALID_HANDLE, b24_client_diagnose(handle, 0, &text));
    CHECK(text == NULL);
    text = POISON;
    CHECK_STATUS(B24_INVALID_HANDLE, b24_client_authorization_address(handle, NULL, &text));
    CHECK(text == NULL);
    CHECK_STATUS(B24_INVALID_HANDLE, b24_client_accept_handler_call(handle, "x", 1, NULL, &http_status));
    CHECK(http_status == 503);

    memset(&record, 0x5a, sizeof record);
    CHECK_FAILS(B24_INVALID_HANDLE, "b24_batch", b24_batch_record(handle, 0, &record));
    CHECK(record.message_id == NULL && record.event_name == NULL && record.event_data == NULL);
    CHECK(record.event_additional == NULL && record.timestamp_x == NULL && record.id == NULL);
    CHECK(record.attempt == 0);
    text = POISON;
    CHECK_STATUS(B24_INVALID_HANDLE, b24_batch_objects(handle, &text));
    CHECK(text == NULL);

    CHECK(b24_client_fd(handle) == -1);
    CHECK_HOLDS("b24_client", b24_last_error_message());
    CHECK(b24_client_wait_handle(handle) == NULL);
    CHECK_HOLDS("b24_client", b24_last_error_message());
}

void out_parameters(void)
{
    b24_config *config = POISON;
    b24_client *client = portal_client("");

    out_parameters_with_invalid_handle(NULL);
    out_parameters_with_invalid_handle((void *)(uintptr_t)MADE_UP);
    b24_client_free(client);
    out_parameters_with_invalid_handle(client);
    CHECK_OK(b24_config_new(&config));
    CHECK(config != NULL && config != POISON);
    b24_config_free(config);
}

void invalid_handles(void)
{
    b24_config *config = portal_config("");
    b24_client *client = portal_client("");
    b24_batch *batch;

    CHECK_OK(b24_client_fetch(client, 0, &batch));

    invalid_config(NULL);
    invalid_config((b24_config *)(uintptr_t)MADE_UP);
    invalid_config((b24_config *)client);
    invalid_config((b24_config *)batch);
    invalid_client(NULL);
    invalid_client((b24_client *)(uintptr_t)MADE_UP);
    invalid_client((b24_client *)config);
    invalid_client((b24_client *)batch);
    invalid_batch(NULL);
    invalid_batch((b24_batch *)(uintptr_t)MADE_UP);
    invalid_batch((b24_batch *)config);
    invalid_batch((b24_batch *)client);

    /* The valid handles still work. */
    CHECK_OK(b24_config_set(config, "fetch.limit", "10"));
    CHECK_OK(b24_batch_ack(batch));
    b24_string_free(answer_of(client, "profile", NULL));

    b24_batch_free(batch);
    b24_client_free(client);
    b24_config_free(config);
    invalid_batch(batch);
    invalid_client(client);
    invalid_config(config);
}

void invalid_arguments(void)
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
    CHECK_STATUS(B24_INVALID_ARGUMENT, b24_client_diagnose(client, 0, NULL));
    CHECK_STATUS(B24_INVALID_ARGUMENT, b24_client_authorization_address(client, NULL, NULL));
    CHECK_STATUS(B24_INVALID_ARGUMENT, b24_client_authorization_address(client, "\xff", &text));
    CHECK(text == NULL);
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
