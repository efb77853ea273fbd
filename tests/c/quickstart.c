/* Prints every deal that is added in a Bitrix24 portal. Build: cc quickstart.c -lb24events */
#include <b24events.h>
#include <stdio.h>
#include <stdlib.h>

static void check(b24_status status)
{
    if (status >= B24_OK)
        return;
    fprintf(stderr, "%s\n", b24_last_error_message());
    exit(EXIT_FAILURE);
}

static const char *variable(const char *name)
{
    const char *value = getenv(name);

    if (value == NULL) {
        fprintf(stderr, "%s is not set\n", name);
        exit(EXIT_FAILURE);
    }
    return value;
}

int main(int argc, char **argv)
{
    size_t wanted = argc > 1 ? strtoul(argv[1], NULL, 10) : SIZE_MAX; /* stop after this many records */
    b24_config *config;
    b24_client *client;
    b24_batch *batch;

    check(b24_config_new(&config));
    check(b24_config_set(config, "portal.url", variable("B24_PORTAL_URL")));
    check(b24_config_set(config, "auth.access_token", variable("B24_ACCESS_TOKEN")));
    check(b24_client_new(config, &client));
    check(b24_client_bind_event(client, "ONCRMDEALADD"));
    check(b24_client_connect(client, 30000));

    for (size_t seen = 0; seen < wanted; b24_batch_free(batch)) {
        check(b24_client_next(client, -1, &batch)); /* waits until there are records */
        puts(b24_batch_json(batch));
        fflush(stdout);
        seen += b24_batch_len(batch);
        check(b24_batch_ack(batch)); /* otherwise they are delivered again */
    }
    b24_client_free(client);
    b24_config_free(config);
    return EXIT_SUCCESS;
}
