/* Log lines. */

#include <pthread.h>

#include "check.h"
#include "host.h"
#include "portal.h"

/* The log of a host. Lines come from several threads. */
struct log {
    pthread_mutex_t lock;
    int lines;
    b24_log_level worst;
    char text[8192];
};

static void append_line(void *user_data, b24_log_level level, const char *message)
{
    struct log *log = user_data;

    pthread_mutex_lock(&log->lock);
    log->lines++;
    if (log->lines == 1 || level < log->worst)
        log->worst = level;
    strncat(log->text, message, sizeof log->text - strlen(log->text) - 1);
    strncat(log->text, "\n", sizeof log->text - strlen(log->text) - 1);
    pthread_mutex_unlock(&log->lock);
}

/* The lines of a client that connects, calls and closes. */
static void collect_lines(struct log *log, const char *level)
{
    b24_config *config = portal_config("log");
    b24_client *client;

    memset(log, 0, sizeof *log);
    pthread_mutex_init(&log->lock, NULL);
    CHECK_OK(b24_config_set(config, "log.level", level));
    CHECK_OK(b24_config_on_log(config, append_line, log));
    CHECK_OK(b24_client_new(config, &client));
    b24_config_free(config);
    CHECK_OK(b24_client_connect(client, 10000));
    b24_string_free(answer_of(client, "profile", NULL));
    b24_client_free(client);
    pthread_mutex_destroy(&log->lock);
}

void log_callback(void)
{
    static struct log log;
    int lines;

    collect_lines(&log, "info");
    CHECK(log.worst == B24_LOG_INFO);
    CHECK_HOLDS("subscribed", log.text);
    CHECK_HOLDS("closed", log.text);
    lines = log.lines;
    collect_lines(&log, "debug");
    CHECK(log.lines > lines);
    CHECK_HOLDS("profile", log.text);
    CHECK(strstr(log.text, variable("B24_ACCESS_TOKEN")) == NULL);
    CHECK(strstr(log.text, variable("B24_CLIENT_SECRET")) == NULL);
    collect_lines(&log, "error");
    CHECK(log.lines == 0);
}
