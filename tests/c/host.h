/* The parts of the test host. */

#ifndef HOST_H
#define HOST_H

void library_functions(void);
void invalid_handles(void);
void invalid_arguments(void);
void out_parameters(void);
void configuration(void);
void records(void);
void failed_records(void);
void state(void);
void calls(void);
void refusals(void);
void waiting(void);
void wait_handle(void);
void closing(void);
void closing_without_peer(void);
void freeing(void);
void handler_calls(void);
void handler_port(void);
void log_callback(void);
void tokens_callback(void);
void tokens_of_the_host(void);

#endif
