#define _GNU_SOURCE /* gettid */
#include "system.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <dlfcn.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Ends the program when a system call failed: nothing can be tested then. */
static void need(int succeeded, const char *what)
{
    if (!succeeded) {
        perror(what);
        exit(EXIT_FAILURE);
    }
}

intptr_t connection_open(unsigned short port)
{
    struct sockaddr_in address = {0};
    int connection = socket(AF_INET, SOCK_STREAM, 0);

    need(connection >= 0, "socket");
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(connection, (struct sockaddr *)&address, sizeof address) == 0)
        return connection;
    close(connection);
    return -1;
}

int connection_send(intptr_t connection, const void *bytes, size_t length)
{
    return send((int)connection, bytes, length, MSG_NOSIGNAL) == (ssize_t)length;
}

int connection_receive(intptr_t connection, void *bytes, size_t length)
{
    return recv((int)connection, bytes, length, MSG_WAITALL) == (ssize_t)length;
}

void connection_end(intptr_t connection)
{
    close((int)connection);
}

intptr_t dead_peer_open(unsigned short *port)
{
    struct sockaddr_in address = {0};
    socklen_t length = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0);

    need(listener >= 0, "socket");
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    need(bind(listener, (struct sockaddr *)&address, sizeof address) == 0, "bind");
    need(listen(listener, 8) == 0, "listen"); /* the kernel connects them, and nothing accepts */
    need(getsockname(listener, (struct sockaddr *)&address, &length) == 0, "getsockname");
    *port = ntohs(address.sin_port);
    return listener;
}

int wait_until_ready(intptr_t descriptor, void *event, int timeout_ms)
{
    struct pollfd entry = {0};

    (void)event;
    entry.fd = (int)descriptor;
    entry.events = POLLIN;
    need(poll(&entry, 1, timeout_ms) >= 0, "poll");
    return (entry.revents & POLLIN) != 0;
}

unsigned long this_thread(void)
{
    return (unsigned long)gettid();
}

int is_asleep(unsigned long thread)
{
    char path[64];
    char line[256];
    char *name_end;
    FILE *file;

    snprintf(path, sizeof path, "/proc/self/task/%lu/stat", thread);
    file = fopen(path, "r");
    need(file != NULL && fgets(line, sizeof line, file) != NULL, path);
    fclose(file);
    /* The letter for the state follows the name of the thread, which may hold any character. */
    name_end = strrchr(line, ')');
    need(name_end != NULL, path);
    return strncmp(name_end, ") S", 3) == 0;
}

static long entries(const char *folder)
{
    DIR *open = opendir(folder);
    long count = -2; /* the folder itself and the one above */

    need(open != NULL, folder);
    while (readdir(open) != NULL)
        count++;
    closedir(open);
    return count;
}

long thread_count(void)
{
    return entries("/proc/self/task");
}

/* Counted once only: later, threads that were joined a moment ago could be counted too, under an emulator for many
 * milliseconds. */
long threads_at_rest(void)
{
    static long at_rest;

    if (at_rest == 0)
        at_rest = thread_count();
    return at_rest;
}

int threads_are_back(long at_rest)
{
    return thread_count() == at_rest;
}

long open_count(void)
{
    return entries("/proc/self/fd") - 1; /* the one that looks */
}

int open_are_back(long before)
{
    return open_count() == before;
}

long long own_memory(void)
{
    long long size, resident, files;
    FILE *file = fopen("/proc/self/statm", "r");

    need(file != NULL && fscanf(file, "%lld %lld %lld", &size, &resident, &files) == 3, "/proc/self/statm");
    fclose(file);
    return (resident - files) * sysconf(_SC_PAGESIZE);
}

void *library_load(const char *path)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);

    if (library == NULL)
        fprintf(stderr, "%s\n", dlerror());
    return library;
}

void *library_symbol(void *library, const char *name)
{
    return dlsym(library, name);
}

void library_unload(void *library)
{
    dlclose(library);
}
