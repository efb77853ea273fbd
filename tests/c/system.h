/* What the tests ask of the operating system. Each system answers in a file of its own. */

#ifndef SYSTEM_H
#define SYSTEM_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A TCP connection to a port of this computer; -1 when nobody listens there. Ends with connection_end. */
intptr_t connection_open(unsigned short port);

/* Sends all of it; 0 when the connection broke. */
int connection_send(intptr_t connection, const void *bytes, size_t length);

/* Waits until so much has come; 0 when the connection broke or ended before. */
int connection_receive(intptr_t connection, void *bytes, size_t length);

void connection_end(intptr_t connection);

/* Takes connections at a free port of this computer and never answers them, nor their end. Ends with connection_end. */
intptr_t dead_peer_open(unsigned short *port);

/* Number of the calling thread. */
unsigned long this_thread(void);

/* Whether a thread of this process waits for something. */
int is_asleep(unsigned long thread);

/* Threads that this process has now. One that was joined may count for a while: the system, or an emulator under this
 * process, wakes the joining thread before it is done with the ended one. */
long thread_count(void);

/* Threads that this process has while the library does nothing. A program calls it first of all, when it has started no
 * thread yet. */
long threads_at_rest(void);

/* Whether the threads are those at rest again; see each system for what else may have changed. */
int threads_are_back(long at_rest);

/* Files, sockets and whatever else this process has open now. */
long open_count(void);

/* The same for them. */
int open_are_back(long before);

/* Bytes of memory that this process has for itself now: files that it has mapped do not count. */
long long own_memory(void);

/* Loads a library into this process; NULL when that fails, which is then said on stderr. Ends with library_unload. */
void *library_load(const char *path);

/* What the library exports under this name; NULL when there is no such name. */
void *library_symbol(void *library, const char *name);

void library_unload(void *library);

#ifdef __cplusplus
}
#endif

#endif
