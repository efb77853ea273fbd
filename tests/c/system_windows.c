#include "system.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <winsock2.h>

#include <windows.h>

#include <psapi.h>
#include <tlhelp32.h>

/* Ends the program when a system call failed: nothing can be tested then. */
static void need(int succeeded, const char *what)
{
    if (!succeeded) {
        fprintf(stderr, "%s: error %lu\n", what, GetLastError());
        exit(EXIT_FAILURE);
    }
}

static SOCKET new_socket(void)
{
    static int is_started;
    WSADATA about;
    SOCKET made;

    if (!is_started) {
        need(WSAStartup(MAKEWORD(2, 2), &about) == 0, "WSAStartup");
        is_started = 1;
    }
    made = socket(AF_INET, SOCK_STREAM, 0);
    need(made != INVALID_SOCKET, "socket");
    return made;
}

intptr_t connection_open(unsigned short port)
{
    struct sockaddr_in address = {0};
    SOCKET connection = new_socket();

    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(connection, (struct sockaddr *)&address, sizeof address) == 0)
        return (intptr_t)connection;
    closesocket(connection);
    return -1;
}

int connection_send(intptr_t connection, const void *bytes, size_t length)
{
    return send((SOCKET)connection, bytes, (int)length, 0) == (int)length;
}

int connection_receive(intptr_t connection, void *bytes, size_t length)
{
    return recv((SOCKET)connection, bytes, (int)length, MSG_WAITALL) == (int)length;
}

void connection_end(intptr_t connection)
{
    closesocket((SOCKET)connection);
}

intptr_t dead_peer_open(unsigned short *port)
{
    struct sockaddr_in address = {0};
    int length = sizeof address;
    SOCKET listener = new_socket();

    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    need(bind(listener, (struct sockaddr *)&address, sizeof address) == 0, "bind");
    need(listen(listener, 8) == 0, "listen"); /* the system connects them, and nothing accepts */
    need(getsockname(listener, (struct sockaddr *)&address, &length) == 0, "getsockname");
    *port = ntohs(address.sin_port);
    return (intptr_t)listener;
}

int wait_until_ready(intptr_t descriptor, void *event, int timeout_ms)
{
    DWORD outcome = WaitForSingleObject(event, (DWORD)timeout_ms);

    (void)descriptor;
    need(outcome == WAIT_OBJECT_0 || outcome == WAIT_TIMEOUT, "WaitForSingleObject");
    return outcome == WAIT_OBJECT_0;
}

unsigned long this_thread(void)
{
    return GetCurrentThreadId();
}

/* Windows does not say what a thread does, and Wine always says the same: wait for longer than a call needs. */
int is_asleep(unsigned long thread)
{
    (void)thread;
    Sleep(50);
    return 1;
}

long thread_count(void)
{
    THREADENTRY32 thread;
    HANDLE all = CreateToolhelp32Snapshot(TH32CS_SNAPTHREAD, 0); /* of all processes */
    DWORD process = GetCurrentProcessId();
    long count = 0;
    BOOL found;

    need(all != INVALID_HANDLE_VALUE, "CreateToolhelp32Snapshot");
    thread.dwSize = sizeof thread;
    for (found = Thread32First(all, &thread); found; found = Thread32Next(all, &thread))
        count += thread.th32OwnerProcessID == process;
    CloseHandle(all);
    return count;
}

/* Windows starts threads of its own in a process when it needs them, and ends them when they are idle. */
long threads_at_rest(void)
{
    return thread_count();
}

int threads_are_back(long at_rest)
{
    return thread_count() <= at_rest;
}

/* More than a test opens; the system gives the lowest number that is free, in steps of 4. */
#define HIGHEST_HANDLE 0x4000

/* GetProcessHandleCount would do, but Wine 8 always answers 0. */
long open_count(void)
{
    uintptr_t handle;
    DWORD flags;
    long count = 0;

    for (handle = 4; handle <= HIGHEST_HANDLE; handle += 4)
        count += GetHandleInformation((HANDLE)handle, &flags) != 0;
    return count;
}

/* MinGW's runtime creates an event when two threads first contend for it, which may be late. */
int open_are_back(long before)
{
    return open_count() <= before + 1;
}

long long own_memory(void)
{
    PROCESS_MEMORY_COUNTERS memory;

    need(GetProcessMemoryInfo(GetCurrentProcess(), &memory, sizeof memory), "GetProcessMemoryInfo");
    return (long long)memory.PagefileUsage;
}

void *library_load(const char *path)
{
    HMODULE library = LoadLibraryA(path);

    if (library == NULL)
        fprintf(stderr, "%s cannot be loaded: error %lu\n", path, GetLastError());
    return library;
}

void *library_symbol(void *library, const char *name)
{
    FARPROC function = GetProcAddress(library, name);
    void *symbol;

    memcpy(&symbol, &function, sizeof symbol); /* C99 has no cast between the two kinds of pointers */
    return symbol;
}

void library_unload(void *library)
{
    FreeLibrary(library);
}
