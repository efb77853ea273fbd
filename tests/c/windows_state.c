/* A client that stores its state on Windows: into the folder that the argument names, and then while another program, such
 * as a virus scanner, holds the file open for a second. The test that runs this looks at its calls of the system. */
#include <stdio.h>
#include <string.h>
#include <windows.h>

#include "b24events.h"

static HANDLE held;

static int failed(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, b24_last_error_message());
    return 1;
}

static DWORD WINAPI let_go(void *unused)
{
    (void)unused;
    Sleep(1000);
    CloseHandle(held);
    return 0;
}

int main(int argc, char **argv)
{
    b24_config *config;
    b24_client *client;
    char file[MAX_PATH];
    HANDLE thread;

    if (argc != 2 || strlen(argv[1]) > 100 || b24_config_new(&config) != B24_OK)
        return failed("windows_state FOLDER");
    if (b24_config_set(config, "portal.url", "https://portal.example") != B24_OK
        || b24_config_set(config, "auth.access_token", "a token") != B24_OK
        || b24_config_set(config, "state.dir", argv[1]) != B24_OK)
        return failed("configuration");
    if (b24_client_new(config, &client) != B24_OK)
        return failed("client");

    sprintf(file, "%s\\b24events-state.json", argv[1]);
    held = CreateFileA(file, GENERIC_READ, 0, NULL, OPEN_EXISTING, 0, NULL);
    if (held == INVALID_HANDLE_VALUE)
        return failed("there is no state");
    thread = CreateThread(NULL, 0, let_go, NULL, 0, NULL);
    if (b24_client_set_tokens(client, "another token", NULL, 0) != B24_OK)
        return failed("the state was held open for a second");
    WaitForSingleObject(thread, INFINITE);
    CloseHandle(thread);

    b24_client_free(client);
    b24_config_free(config);
    printf("stored\n");
    return 0;
}
