/* Threads that are blocked in the library, and waiting for threads to end. */

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
    double returned; /* time, as `now` */
    sem_t started;
    unsigned long number; /* of the thread, see this_thread */
    pthread_t thread;
};

/* Milliseconds of a clock that never goes back. */
double now(void);

/* Starts a thread that makes the call; returns when it is blocked in it. */
void block_in(struct blocked *blocked, b24_client *client, b24_status (*call)(b24_client *client));

/* Waits for the end of such a call and returns its status. */
b24_status unblocked(struct blocked *blocked);

/* Waits until only the threads at rest are left (see system.h). Ends the program after ten seconds. */
void wait_for_threads(long at_rest);

#endif
