/* Calls that block: what they wait for, and what ends them. */

#include "check.h"
#include "host.h"
#include "portal.h"
#include "system.h"
#include "threads.h"

/* How long b24_client_close may take. */
#define CLOSED_WITHIN_MS 100.0
/* The same when the peer no longer responds. */
#ifdef _WIN32
#define CLOSED_WITHOUT_PEER_MS 1000.0 /* Windows cannot interrupt a read, so reads are short there */
#else
#define CLOSED_WITHOUT_PEER_MS CLOSED_WITHIN_MS
#endif

void waiting(void)
{
    b24_client *somebody = portal_client("");
    b24_client *client = portal_client("waiting");
    b24_notification notification;
    b24_batch *batch = (b24_batch *)client;
    double start;

    CHECK_FAILS(B24_STATE, "b24_client_connect", b24_client_wait(client, -1, &notification));
    CHECK(b24_last_error_is_transient() == 0);
    CHECK_STATUS(B24_STATE, b24_client_next(client, -1, &batch));
    CHECK(batch == NULL);
    b24_client_free(client);

    client = listening_client("waiting", "ONCRMDEALADD");
    CHECK_OK(b24_client_connect(client, 0));
    CHECK_STATUS(B24_TIMEOUT, b24_client_wait(client, 0, &notification));
    CHECK_TEXT("", b24_last_error_message());
    start = now();
    CHECK_STATUS(B24_TIMEOUT, b24_client_wait(client, 50, NULL));
    CHECK(now() - start >= 50);
    CHECK_STATUS(B24_TIMEOUT, b24_client_next(client, 50, &batch));
    CHECK(batch == NULL);

    add_deal(somebody);
    CHECK_OK(b24_client_wait(client, -1, NULL));
    add_deal(somebody);
    CHECK_OK(b24_client_next(client, -1, &batch));
    CHECK(b24_batch_len(batch) == 2);
    CHECK_OK(b24_batch_ack(batch));
    b24_batch_free(batch);
    b24_client_free(client);
    b24_client_free(somebody);
}

/* Whether what this system offers to wait on shows that b24_client_wait would return at once. */
static int becomes_ready(b24_client *client, int timeout_ms)
{
    return wait_until_ready(b24_client_fd(client), b24_client_wait_handle(client), timeout_ms);
}

/* What an event loop does as long as it is ready. At rest nothing is ready. */
static void empties_the_queue(b24_client *client, size_t expected)
{
    size_t seen = 0;
    b24_batch *batch;

    while (becomes_ready(client, seen < expected ? 10000 : 0)) {
        b24_status status = b24_client_next(client, 0, &batch);

        CHECK(status == B24_OK || status == B24_TIMEOUT);
        seen += b24_batch_len(batch);
        if (status == B24_OK)
            CHECK_OK(b24_batch_ack(batch));
        b24_batch_free(batch);
    }
    CHECK(seen == expected);
}

void wait_handle(void)
{
    b24_config *config = portal_config("wait_handle");
    b24_client *somebody = portal_client("");
    b24_client *client = listening_client("wait_handle", "ONCRMDEALADD");
    b24_batch *batch;
    int i;

#ifdef _WIN32
    CHECK(b24_client_fd(client) == -1);
    CHECK_TEXT("", b24_last_error_message());
    CHECK(b24_client_wait_handle(client) != NULL);
#else
    CHECK(b24_client_fd(client) >= 0);
    CHECK(b24_client_wait_handle(client) == NULL);
    CHECK_TEXT("", b24_last_error_message());
#endif
    CHECK(b24_client_fd(client) == b24_client_fd(client));
    CHECK(b24_client_wait_handle(client) == b24_client_wait_handle(client));
    CHECK(!becomes_ready(client, 0));
    add_deal(somebody);
    CHECK(becomes_ready(client, 10000));
    CHECK(becomes_ready(client, 0));
    CHECK_OK(b24_client_wait(client, 0, NULL));
    CHECK(!becomes_ready(client, 0));
    CHECK_OK(b24_client_fetch(client, 0, &batch));
    CHECK_OK(b24_batch_ack(batch));
    b24_batch_free(batch);
    CHECK_OK(b24_client_close(client));
    CHECK(becomes_ready(client, 0));
    CHECK_STATUS(B24_CLOSED, b24_client_wait(client, 0, NULL));
    CHECK(becomes_ready(client, 0));
    b24_client_free(client);

    /* After a full batch it stays ready, because the queue probably holds more. */
    CHECK_OK(b24_config_set(config, "fetch.limit", "1"));
    CHECK_OK(b24_client_new(config, &client));
    CHECK(!becomes_ready(client, 0));
    for (i = 0; i < 3; i++)
        add_deal(somebody); /* nothing announces them: the client is not connected yet */
    CHECK_OK(b24_client_connect(client, 10000));
    empties_the_queue(client, 3);

    b24_client_free(client);

    /* Somebody who sets new tokens wants to continue with what failed without them. */
    client = listening_client("wait_handle_tokens", "ONCRMDEALADD");
    CHECK(!becomes_ready(client, 0));
    CHECK_OK(b24_client_set_tokens(client, variable("B24_ACCESS_TOKEN"), variable("B24_REFRESH_TOKEN"), 0));
    CHECK(becomes_ready(client, 0));
    b24_client_free(client);
    b24_client_free(somebody);
    b24_config_free(config);
}

static b24_status wait_without_limit(b24_client *client)
{
    return b24_client_wait(client, -1, NULL);
}

static b24_status next_without_limit(b24_client *client)
{
    b24_batch *batch;

    return b24_client_next(client, -1, &batch);
}

/* Every negative timeout means no limit. */
static b24_status connect_without_limit(b24_client *client)
{
    return b24_client_connect(client, INT32_MIN);
}

static b24_status wait_with_negative_timeout(b24_client *client)
{
    return b24_client_wait(client, -2, NULL);
}

static b24_status slow_fetch(b24_client *client)
{
    b24_batch *batch;

    return b24_client_fetch(client, 0, &batch);
}

/* A close that began at `start` has ended the call. */
static void ended_by_close(struct blocked *blocked, double start)
{
    CHECK_STATUS(B24_CLOSED, unblocked(blocked));
    CHECK(blocked->returned - start < CLOSED_WITHIN_MS);
}

/* A client whose portal accepts the request and never answers. */
void closing_without_peer(void)
{
    long at_rest = threads_at_rest();
    b24_config *config = portal_config("closing");
    struct blocked in_connect;
    unsigned short port;
    intptr_t peer = dead_peer_open(&port);
    b24_client *client;
    b24_batch *batch;
    char url[64];
    double start;

    snprintf(url, sizeof url, "http://127.0.0.1:%u", (unsigned)port);
    CHECK_OK(b24_config_set(config, "portal.url", url));
    CHECK_OK(b24_client_new(config, &client));
    CHECK_STATUS(B24_INVALID_ARGUMENT, b24_client_bind_event(client, NULL));
    CHECK_STATUS(B24_TIMEOUT, b24_client_connect(client, 20));
    CHECK_TEXT("", b24_last_error_message());
    CHECK(b24_last_error_is_transient() == 0);
    /* The library keeps trying, so the client can be waited for. */
    CHECK_STATUS(B24_TIMEOUT, b24_client_wait(client, 0, NULL));
    CHECK_STATUS(B24_TIMEOUT, b24_client_next(client, 20, &batch));
    block_in(&in_connect, client, connect_without_limit);
    start = now();
    CHECK_OK(b24_client_close(client));
    CHECK(now() - start < CLOSED_WITHIN_MS);
    CHECK_STATUS(B24_CLOSED, unblocked(&in_connect));
    b24_client_free(client);
    CHECK(now() - start < CLOSED_WITHOUT_PEER_MS);
    b24_config_free(config);
    connection_end(peer);
    wait_for_threads(at_rest);
}

void closing(void)
{
    long at_rest = threads_at_rest();
    b24_client *client = listening_client("closing", "ONCRMDEALADD");
    b24_config *config = portal_config("closing");
    b24_client *nowhere;
    struct blocked in_wait;
    struct blocked in_negative_wait;
    struct blocked in_next;
    struct blocked in_fetch;
    struct blocked in_connect;
    double start;
    char *answer;

    block_in(&in_wait, client, wait_without_limit);
    block_in(&in_negative_wait, client, wait_with_negative_timeout);
    block_in(&in_next, client, next_without_limit);
    portal_control("{\"delay_next\":{\"method\":\"event.offline.get\",\"ms\":50000}}");
    block_in(&in_fetch, client, slow_fetch);
    start = now();
    CHECK_OK(b24_client_close(client));
    CHECK(now() - start < CLOSED_WITHIN_MS);
    ended_by_close(&in_wait, start);
    ended_by_close(&in_negative_wait, start);
    ended_by_close(&in_next, start);
    ended_by_close(&in_fetch, start);

    CHECK_OK(b24_client_close(client));
    CHECK_FAILS(B24_CLOSED, "closed", b24_client_wait(client, -1, NULL));
    CHECK_STATUS(B24_CLOSED, b24_client_connect(client, -1));
    CHECK_STATUS(B24_CLOSED, b24_client_bind_event(client, "ONCRMDEALADD"));
    CHECK_STATUS(B24_CLOSED, b24_client_call(client, "profile", NULL, &answer));
    CHECK_STATUS(B24_CLOSED, slow_fetch(client));
    start = now();
    b24_client_free(client);
    CHECK(now() - start < CLOSED_WITHIN_MS);
    wait_for_threads(at_rest);

    /* Nothing listens on port 1 of loopback, so the client keeps trying. */
    CHECK_OK(b24_config_set(config, "portal.url", "http://127.0.0.1:1"));
    CHECK_OK(b24_client_new(config, &nowhere));
    block_in(&in_connect, nowhere, connect_without_limit);
    start = now();
    CHECK_OK(b24_client_close(nowhere));
    ended_by_close(&in_connect, start);
    b24_client_free(nowhere);
    b24_config_free(config);
    wait_for_threads(at_rest);
    portal_control("\"clear_faults\"");
}

void freeing(void)
{
    long at_rest = threads_at_rest();
    b24_client *clients[4];
    struct blocked in_wait;
    double start;
    int i;

    for (i = 0; i < 4; i++)
        clients[i] = listening_client("freeing", "ONCRMDEALADD");
    CHECK(thread_count() > at_rest);
    block_in(&in_wait, clients[0], wait_without_limit);
    start = now();
    b24_client_free(clients[0]);
    ended_by_close(&in_wait, start);
    for (i = 1; i < 4; i++)
        b24_client_free(clients[i]);
    wait_for_threads(at_rest);
}
