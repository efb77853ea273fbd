/* Checks that end the program with a line that says where they are, what was expected, and the last error. */

#ifndef CHECK_H
#define CHECK_H

#include <b24events.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition) check_true((condition) != 0, #condition, __FILE__, __LINE__)
#define CHECK_STATUS(expected, call) check_status((expected), (call), #call, __FILE__, __LINE__)
#define CHECK_OK(call) CHECK_STATUS(B24_OK, call)
#define CHECK_TEXT(expected, text) check_text((expected), (text), #text, __FILE__, __LINE__)
#define CHECK_HOLDS(part, text) check_holds((part), (text), #text, __FILE__, __LINE__)
/* The call fails with this status and says so in a text that holds `part`. */
#define CHECK_FAILS(expected, part, call)              \
    do {                                               \
        CHECK_STATUS(expected, call);                  \
        CHECK_HOLDS(part, b24_last_error_message());   \
    } while (0)

static inline void check_true(int is_true, const char *condition, const char *file, int line)
{
    if (!is_true) {
        fprintf(stderr, "%s:%d: not true: %s\nlast error: %s\n", file, line, condition, b24_last_error_message());
        exit(EXIT_FAILURE);
    }
}

static inline void check_status(b24_status expected, b24_status status, const char *call, const char *file, int line)
{
    if (status != expected) {
        fprintf(stderr, "%s:%d: %s\nlast error: %s\n", file, line, call, b24_last_error_message());
        fprintf(stderr, "expected %s, got %s\n", b24_status_name(expected), b24_status_name(status));
        exit(EXIT_FAILURE);
    }
}

static inline void check_text(const char *expected, const char *text, const char *what, const char *file, int line)
{
    if (text == NULL || strcmp(expected, text) != 0) {
        fprintf(stderr, "%s:%d: %s\nexpected: %s\ngot: %s\n", file, line, what, expected, text ? text : "NULL");
        exit(EXIT_FAILURE);
    }
}

static inline void check_holds(const char *part, const char *text, const char *what, const char *file, int line)
{
    if (text == NULL || strstr(text, part) == NULL) {
        fprintf(stderr, "%s:%d: %s\nexpected somewhere: %s\ngot: %s\n", file, line, what, part, text ? text : "NULL");
        exit(EXIT_FAILURE);
    }
}

#endif
