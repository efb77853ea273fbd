/* Blocking calls: what they wait for, and what ends them. */

#ifndef _WIN32
#include <poll.h>
#endif

#include "check.h"
#include "host.h"
#include "portal.h"
#include "system.h"
#include "threads.h"

/* The promise of b24_client_close. */
#define CLOSED_WITHIN_MS 100.0
/* The same when the other side does not react any more. */
#ifdef _WIN32
#define CLOSED_WITHOUT_PEER_MS 1000.0 /* Windows ends no read that has begun, so reads are kept short there */
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

#ifdef _WIN32
/* Windows has no descriptors that a host could poll. */
void descriptor(void)
{
    b24_client *client = listening_client("descriptor", "ONCRMDEALADD");

    CHECK(b24_client_fd(client) == -1);
    b24_client_free(client);
}
#else
static int readable(b24_client *client, int timeout_ms)
{
    struct pollfd entry = {0};

    entry.fd = (int)b24_client_fd(client);
    entry.events = POLLIN;
    CHECK(poll(&entry, 1, timeout_ms) >= 0);
    return (entry.revents & POLLIN) != 0;
}

void descriptor(void)
{
    b24_client *somebody = portal_client("");
    b24_client *client = listening_client("descriptor", "ONCRMDEALADD");

    CHECK(b24_client_fd(client) >= 0);
    CHECK(b24_client_fd(client) == b24_client_fd(client));
    CHECK(!readable(client, 0));
    add_deal(somebody);
    CHECK(readable(client, 10000));
    CHECK(readable(client, 0));
    CHECK_OK(b24_client_wait(client, 0, NULL));
    CHECK(!readable(client, 0));
    CHECK_OK(b24_client_close(client));
    CHECK(readable(client, 0));
    CHECK_STATUS(B24_CLOSED, b24_client_wait(client, 0, NULL));
    CHECK(readable(client, 0));
    b24_client_free(client);
    b24_client_free(somebody);
}
#endif

static b24_status wait_for_ever(b24_client *client)
{
    return b24_client_wait(client, -1, NULL);
}

static b24_status next_for_ever(b24_client *client)
{
    b24_batch *batch;

    return b24_client_next(client, -1, &batch);
}

static b24_status connect_for_ever(b24_client *client)
{
    return b24_client_connect(client, -1);
}

static b24_status slow_fetch(b24_client *client)
{
    b24_batch *batch;

    return b24_client_fetch(client, 0, &batch);
}

/* The call was ended by a close that began at `start`. */
static void ended_by_close(struct blocked *blocked, double start)
{
    CHECK_STATUS(B24_CLOSED, unblocked(blocked));
    CHECK(blocked->returned - start < CLOSED_WITHIN_MS);
}

/* A client whose portal takes the request and never answers. */
void closing_without_peer(void)
{
    long at_rest = threads_at_rest();
    b24_config *config = portal_config("closing");
    struct blocked in_connect;
    unsigned short port;
    intptr_t peer = dead_peer_open(&port);
    b24_client *client;
    char url[64];
    double start;

    snprintf(url, sizeof url, "http://127.0.0.1:%u", (unsigned)port);
    CHECK_OK(b24_config_set(config, "portal.url", url));
    CHECK_OK(b24_client_new(config, &client));
    block_in(&in_connect, client, connect_for_ever);
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
    struct blocked in_next;
    struct blocked in_fetch;
    struct blocked in_connect;
    double start;
    char *answer;

    block_in(&in_wait, client, wait_for_ever);
    block_in(&in_next, client, next_for_ever);
    portal_control("{\"delay_next\":{\"method\":\"event.offline.get\",\"ms\":50000}}");
    block_in(&in_fetch, client, slow_fetch);
    start = now();
    CHECK_OK(b24_client_close(client));
    CHECK(now() - start < CLOSED_WITHIN_MS);
    ended_by_close(&in_wait, start);
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

    /* Port 1 of loopback: nobody is there, so the client goes on trying. */
    CHECK_OK(b24_config_set(config, "portal.url", "http://127.0.0.1:1"));
    CHECK_OK(b24_client_new(config, &nowhere));
    block_in(&in_connect, nowhere, connect_for_ever);
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
    block_in(&in_wait, clients[0], wait_for_ever);
    start = now();
    b24_client_free(clients[0]);
    ended_by_close(&in_wait, start);
    for (i = 1; i < 4; i++)
        b24_client_free(clients[i]);
    wait_for_threads(at_rest);
}
