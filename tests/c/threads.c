#define _GNU_SOURCE /* gettid */
#include "threads.h"

#include <sched.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

double now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e3 + (double)time.tv_nsec / 1e6;
}

static void *run(void *argument)
{
    struct blocked *blocked = argument;

    blocked->number = gettid();
    sem_post(&blocked->started);
    blocked->status = blocked->call(blocked->client);
    blocked->returned = now();
    return NULL;
}

/* The letter that the kernel has for what a thread does: R for running, S for sleeping. */
static char state_of(pid_t number)
{
    char path[64];
    char line[256];
    char *end;
    FILE *file;

    snprintf(path, sizeof path, "/proc/self/task/%ld/stat", (long)number);
    file = fopen(path, "r");
    CHECK(file != NULL);
    CHECK(fgets(line, sizeof line, file) != NULL);
    fclose(file);
    end = strrchr(line, ')'); /* the name before it may hold anything */
    CHECK(end != NULL && strlen(end) > 2);
    return end[2];
}

void block_in(struct blocked *blocked, b24_client *client, b24_status (*call)(b24_client *client))
{
    blocked->client = client;
    blocked->call = call;
    CHECK(sem_init(&blocked->started, 0, 0) == 0);
    CHECK(pthread_create(&blocked->thread, NULL, run, blocked) == 0);
    sem_wait(&blocked->started);
    while (state_of(blocked->number) != 'S')
        sched_yield();
}

b24_status unblocked(struct blocked *blocked)
{
    CHECK(pthread_join(blocked->thread, NULL) == 0);
    sem_destroy(&blocked->started);
    return blocked->status;
}

int threads(void)
{
    char line[256];
    int count = 0;
    FILE *file = fopen("/proc/self/status", "r");

    CHECK(file != NULL);
    while (count == 0 && fgets(line, sizeof line, file) != NULL)
        sscanf(line, "Threads: %d", &count);
    fclose(file);
    CHECK(count > 0);
    return count;
}

void wait_for_threads(int expected)
{
    double deadline = now() + 1000;

    /* A thread that was joined counts until the kernel has tidied up after it. */
    while (threads() != expected) {
        CHECK(now() < deadline);
        sched_yield();
    }
}
