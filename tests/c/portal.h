/* The emulator that the test runs against, and clients of it. */

#ifndef PORTAL_H
#define PORTAL_H

#include <b24events.h>

/* An environment variable that tests/c_hosts.rs has set. Ends the program if it is not set. */
const char *variable(const char *name);

/* A configuration with everything from the environment, for the queue of this connector id. The caller frees it. */
b24_config *portal_config(const char *connector);

/* A client with such a configuration. The caller frees it. */
b24_client *portal_client(const char *connector);

/* The same with an event bound, connected, and after its first notification ("check the queue"). */
b24_client *listening_client(const char *connector, const char *event);

/* The answer to a call that has to succeed. The caller frees it with b24_string_free. */
char *answer_of(b24_client *client, const char *method, const char *params);

/* Adds a deal as another user of the portal, so that it goes into every queue that is bound to ONCRMDEALADD. */
void add_deal(b24_client *somebody);

/* The first number (also a quoted one) with this name in a JSON text; -1 if there is none. */
long number_in(const char *json, const char *name);

/* Makes something happen in the emulator: POST /control, see Control in tests/emulator/src/control.rs. */
void portal_control(const char *json);

#endif
