/* What the tests need of the operating system. Each system has a file of its own. */

#ifndef SYSTEM_H
#define SYSTEM_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A TCP connection to a port of this computer; -1 when nothing listens there. Close it with connection_end. */
intptr_t connection_open(unsigned short port);

/* Sends all of it; 0 when the connection broke. */
int connection_send(intptr_t connection, const void *bytes, size_t length);

/* Waits for this many bytes; 0 when the connection broke or ended before. */
int connection_receive(intptr_t connection, void *bytes, size_t length);

void connection_end(intptr_t connection);

/* Accepts connections at a free port of this computer and never reads or closes them. Close it with connection_end. */
intptr_t dead_peer_open(unsigned short *port);

/* Waits on a file descriptor or an event, whichever this system has; 0 when it does not become ready in time. */
int wait_until_ready(intptr_t descriptor, void *event, int timeout_ms);

/* Number of the calling thread. */
unsigned long this_thread(void);

/* Whether a thread of this process waits for something. */
int is_asleep(unsigned long thread);

/* Threads that this process has now. A thread that was joined may be counted for a moment: the system, or an emulator
 * that runs this process, wakes the joining thread before it has removed the ended one. */
long thread_count(void);

/* Threads that this process has while the library is idle. Call it first, before the program starts a thread. */
long threads_at_rest(void);

/* Whether only the threads at rest are left; see each system for exceptions. */
int threads_are_back(long at_rest);

/* Number of files, sockets and other objects that this process has open now. */
long open_count(void);

/* Whether only those are open that were open before; see each system for exceptions. */
int open_are_back(long before);

/* Bytes of private memory of this process now: mapped files do not count. */
long long own_memory(void);

/* Loads a library into this process; NULL and a line on stderr when that fails. Unload it with library_unload. */
void *library_load(const char *path);

/* What the library exports under this name; NULL when there is no such name. */
void *library_symbol(void *library, const char *name);

void library_unload(void *library);

#ifdef __cplusplus
}
#endif

#endif
