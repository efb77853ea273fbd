/* The emulator that the test runs against, and clients of it. */

#ifndef PORTAL_H
#define PORTAL_H

#include <b24events.h>

/* A variable that tests/c_hosts.rs has set; ends the program when it has not. */
const char *variable(const char *name);

/* A configuration with everything that the environment tells, for the queue of this source key. Frees: the caller. */
b24_config *portal_config(const char *connector);

/* A client made from such a configuration. Frees: the caller. */
b24_client *portal_client(const char *connector);

/* The same with an event bound, connected, and its first notification ("look into the queue") taken. */
b24_client *listening_client(const char *connector, const char *event);

/* A call that has to succeed. Frees: the caller, with b24_string_free. */
char *answer_of(b24_client *client, const char *method, const char *params);

/* Adds a deal as somebody in the portal does, so that it comes into every queue bound to ONCRMDEALADD. */
void add_deal(b24_client *somebody);

/* Value of the first number (also a quoted one) under this name in a JSON text; -1 without it. */
long number_in(const char *json, const char *name);

/* Makes something happen in the emulator: POST /control, see Control in tests/emulator/src/control.rs. */
void portal_control(const char *json);

#endif
