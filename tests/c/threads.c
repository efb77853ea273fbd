#define _POSIX_C_SOURCE 200809L /* clock_gettime */
#include "threads.h"

#include <sched.h>
#include <time.h>

#include "check.h"
#include "system.h"

/* Nothing waits that long; an emulator on a busy machine comes near a second. */
#define THREADS_GONE_WITHIN_MS 10e3

double now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e3 + (double)time.tv_nsec / 1e6;
}

static void *run(void *argument)
{
    struct blocked *blocked = argument;

    blocked->number = this_thread();
    sem_post(&blocked->started);
    blocked->status = blocked->call(blocked->client);
    blocked->returned = now();
    return NULL;
}

void block_in(struct blocked *blocked, b24_client *client, b24_status (*call)(b24_client *client))
{
    blocked->client = client;
    blocked->call = call;
    CHECK(sem_init(&blocked->started, 0, 0) == 0);
    CHECK(pthread_create(&blocked->thread, NULL, run, blocked) == 0);
    sem_wait(&blocked->started);
    while (!is_asleep(blocked->number))
        sched_yield();
}

b24_status unblocked(struct blocked *blocked)
{
    CHECK(pthread_join(blocked->thread, NULL) == 0);
    sem_destroy(&blocked->started);
    return blocked->status;
}

void wait_for_threads(long at_rest)
{
    double deadline = now() + THREADS_GONE_WITHIN_MS;

    while (!threads_are_back(at_rest)) {
        CHECK(now() < deadline);
        sched_yield();
    }
}
