/* Records that are delivered again: failed ones, and those that the host did not acknowledge. */

#include "check.h"
#include "host.h"
#include "portal.h"

void failed_records(void)
{
    b24_client *somebody = portal_client("");
    b24_client *client = listening_client("failed", "ONCRMDEALADD");
    b24_batch *batch;
    b24_record record;

    add_deal(somebody);
    CHECK_OK(b24_client_next(client, 10000, &batch));
    CHECK_OK(b24_batch_record(batch, 0, &record));
    CHECK_OK(b24_batch_fail_records(batch, &record.message_id, 1));
    b24_batch_free(batch);
    CHECK_OK(b24_client_fetch(client, 0, &batch));
    CHECK(b24_batch_len(batch) == 0);
    b24_batch_free(batch);
    CHECK_OK(b24_client_fetch_failed(client, 0, &batch));
    CHECK(b24_batch_len(batch) == 1);
    CHECK_OK(b24_batch_ack(batch));
    b24_batch_free(batch);
    CHECK_OK(b24_client_fetch_failed(client, 0, &batch));
    CHECK(b24_batch_len(batch) == 0);
    b24_batch_free(batch);
    b24_client_free(client);
    b24_client_free(somebody);
}

/* The next fetch delivers this record again, as this attempt. */
static void is_redelivered(b24_client *client, const char *message_id, uint32_t attempt)
{
    b24_batch *batch;
    b24_record record;

    CHECK_OK(b24_client_fetch(client, 0, &batch));
    CHECK(b24_batch_len(batch) == 1);
    CHECK_OK(b24_batch_record(batch, 0, &record));
    CHECK_TEXT(message_id, record.message_id);
    CHECK(record.attempt == attempt);
    b24_batch_free(batch);
}

void state(void)
{
    b24_client *somebody = portal_client("");
    b24_client *client = listening_client("state", "ONCRMDEALADD");
    size_t batches = 0;
    char message_id[64];
    b24_batch *batch;
    b24_record record;
    char *stored;

    add_deal(somebody);
    CHECK_OK(b24_client_next(client, 10000, &batch));
    CHECK_OK(b24_batch_record(batch, 0, &record));
    snprintf(message_id, sizeof message_id, "%s", record.message_id);
    b24_batch_free(batch);

    /* The same client redelivers what was not acknowledged. */
    CHECK_OK(b24_client_recover(client, &batches));
    CHECK(batches == 1);
    is_redelivered(client, message_id, 2);
    CHECK_OK(b24_client_recover(client, NULL));
    is_redelivered(client, message_id, 3);
    CHECK_OK(b24_client_recover(client, NULL));

    /* So does the next client, from the state that the host has stored. It counts from the beginning. */
    CHECK_OK(b24_client_close(client));
    CHECK_OK(b24_client_state(client, &stored));
    b24_client_free(client);
    client = portal_client("state");
    CHECK_STATUS(B24_STATE, b24_client_restore(client, "no state"));
    CHECK_OK(b24_client_restore(client, stored));
    b24_string_free(stored);
    is_redelivered(client, message_id, 1);
    b24_client_free(client);
    b24_client_free(somebody);
}
