/*
 * A host in C99 that calls every function of the library, correctly and incorrectly, against the emulator that
 * tests/c_hosts.rs has started.
 */

#include "host.h"

#include "check.h"
#include "system.h"

#define PART(function) {#function, function}

static const struct {
    const char *name;
    void (*run)(void);
} PARTS[] = {
    PART(tokens_of_the_host), /* first: the authorization code of the environment is valid for 30 seconds */
    PART(library_functions),
    PART(invalid_handles),
    PART(invalid_arguments),
    PART(out_parameters),
    PART(configuration),
    PART(records),
    PART(failed_records),
    PART(state),
    PART(calls),
    PART(refusals),
    PART(waiting),
    PART(wait_handle),
    PART(closing),
    PART(closing_without_peer),
    PART(freeing),
    PART(handler_calls),
    PART(handler_port),
    PART(log_callback),
    PART(tokens_callback), /* last: it makes the tokens of the environment invalid */
};

int main(void)
{
    size_t i;

    threads_at_rest(); /* before it starts any */
    for (i = 0; i < sizeof PARTS / sizeof PARTS[0]; i++) {
        printf("%s\n", PARTS[i].name);
        fflush(stdout); /* if the host hangs and is killed, the last line shows in which part */
        PARTS[i].run();
    }
    puts("all parts passed");
    return EXIT_SUCCESS;
}
