/* The parts of the test host; each is one file. */

#ifndef HOST_H
#define HOST_H

void library_functions(void);
void handles_that_are_none(void);
void arguments_that_are_none(void);
void configuration(void);
void records(void);
void failed_records(void);
void state(void);
void calls(void);
void refusals(void);
void waiting(void);
void descriptor(void);
void closing(void);
void closing_without_peer(void);
void freeing(void);
void handler_calls(void);
void handler_port(void);
void log_callback(void);
void tokens_callback(void);
void tokens_of_the_host(void);

#endif
