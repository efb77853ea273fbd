/* Threads that are blocked in the library, and threads that are to be gone. */

#ifndef THREADS_H
#define THREADS_H

#include <b24events.h>
#include <pthread.h>
#include <semaphore.h>

/* A thread in a blocking call. */
struct blocked {
    b24_client *client;
    b24_status (*call)(b24_client *client);
    b24_status status;
    double returned; /* milliseconds, as `now` */
    sem_t started;
    unsigned long number; /* of the thread, as the system has it */
    pthread_t thread;
};

/* Milliseconds since some moment. */
double now(void);

/* Starts a thread that makes the call; returns when it is blocked in it. */
void block_in(struct blocked *blocked, b24_client *client, b24_status (*call)(b24_client *client));

/* Waits for the end of such a call and returns its status. */
b24_status unblocked(struct blocked *blocked);

/* Returns when the threads are those at rest again (see system.h); ends the program when that takes ten seconds. */
void wait_for_threads(long at_rest);

#endif
