/*
 * A host in C99 that uses every function of the library, the right way and every wrong way, against the emulator that
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
    PART(tokens_of_the_host), /* first: the authorization code of the environment lives for 30 seconds */
    PART(library_functions),
    PART(handles_that_are_none),
    PART(arguments_that_are_none),
    PART(configuration),
    PART(records),
    PART(failed_records),
    PART(state),
    PART(calls),
    PART(refusals),
    PART(waiting),
    PART(descriptor),
    PART(closing),
    PART(closing_without_peer),
    PART(freeing),
    PART(handler_calls),
    PART(handler_port),
    PART(log_callback),
    PART(tokens_callback), /* last: it makes the tokens of the environment worthless */
};

int main(void)
{
    size_t i;

    threads_at_rest(); /* before there are others */
    for (i = 0; i < sizeof PARTS / sizeof PARTS[0]; i++) {
        printf("%s\n", PARTS[i].name);
        fflush(stdout); /* a host that hangs is killed, and the last line tells in which part */
        PARTS[i].run();
    }
    puts("all parts passed");
    return EXIT_SUCCESS;
}
