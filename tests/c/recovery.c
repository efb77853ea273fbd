/* Records that come again: failed ones, and those that a host took and did not acknowledge. */

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

/* The next batch is this one again. */
static void comes_again(b24_client *client, const char *message_id)
{
    b24_batch *batch;
    b24_record record;

    CHECK_OK(b24_client_fetch(client, 0, &batch));
    CHECK(b24_batch_len(batch) == 1);
    CHECK_OK(b24_batch_record(batch, 0, &record));
    CHECK_TEXT(message_id, record.message_id);
    b24_batch_free(batch);
}

void state(void)
{
    b24_client *somebody = portal_client("");
    b24_client *client = listening_client("state", "ONCRMDEALADD");
    size_t reservations = 0;
    char message_id[64];
    b24_batch *batch;
    b24_record record;
    char *kept;

    add_deal(somebody);
    CHECK_OK(b24_client_next(client, 10000, &batch));
    CHECK_OK(b24_batch_record(batch, 0, &record));
    snprintf(message_id, sizeof message_id, "%s", record.message_id);
    b24_batch_free(batch);

    /* The same client hands out again what it was not told to be done. */
    CHECK_OK(b24_client_recover(client, &reservations));
    CHECK(reservations == 1);
    comes_again(client, message_id);
    CHECK_OK(b24_client_recover(client, NULL));

    /* So does the next one, from what the host has kept. */
    CHECK_OK(b24_client_close(client));
    CHECK_OK(b24_client_state(client, &kept));
    b24_client_free(client);
    client = portal_client("state");
    CHECK_STATUS(B24_STATE, b24_client_restore(client, "no state"));
    CHECK_OK(b24_client_restore(client, kept));
    b24_string_free(kept);
    comes_again(client, message_id);
    b24_client_free(client);
    b24_client_free(somebody);
}
