/* What the library tells the host on its own. */

#include <pthread.h>

#include "check.h"
#include "host.h"
#include "portal.h"

/* The log as a host keeps it. Lines come from several threads. */
struct log {
    pthread_mutex_t lock;
    int lines;
    int worst;
    char text[8192];
};

static void keep_line(void *user_data, b24_log_level level, const char *message)
{
    struct log *log = user_data;

    pthread_mutex_lock(&log->lock);
    log->lines++;
    if (log->worst == 0 || level < log->worst)
        log->worst = level;
    strncat(log->text, message, sizeof log->text - strlen(log->text) - 1);
    strncat(log->text, "\n", sizeof log->text - strlen(log->text) - 1);
    pthread_mutex_unlock(&log->lock);
}

/* Lines of a client that connects, calls and closes. */
static void log_of_a_day(struct log *log, const char *level)
{
    b24_config *config = portal_config("log");
    b24_client *client;

    memset(log, 0, sizeof *log);
    pthread_mutex_init(&log->lock, NULL);
    CHECK_OK(b24_config_set(config, "log.level", level));
    CHECK_OK(b24_config_on_log(config, keep_line, log));
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

    log_of_a_day(&log, "info");
    CHECK(log.worst == B24_LOG_INFO);
    CHECK_HOLDS("subscribed", log.text);
    CHECK_HOLDS("closed", log.text);
    lines = log.lines;
    log_of_a_day(&log, "debug");
    CHECK(log.lines > lines);
    CHECK_HOLDS("profile", log.text);
    CHECK(strstr(log.text, variable("B24_ACCESS_TOKEN")) == NULL);
    CHECK(strstr(log.text, variable("B24_CLIENT_SECRET")) == NULL);
    log_of_a_day(&log, "error");
    CHECK(log.lines == 0);
}

/* The pair as a host stores it. */
struct stored {
    int times;
    char access_token[256];
    char refresh_token[256];
    char expires[32];
};

static void store(void *user_data, const b24_tokens *tokens)
{
    struct stored *stored = user_data;

    stored->times++;
    snprintf(stored->access_token, sizeof stored->access_token, "%s", tokens->access_token);
    snprintf(stored->refresh_token, sizeof stored->refresh_token, "%s", tokens->refresh_token);
    snprintf(stored->expires, sizeof stored->expires, "%llu", (unsigned long long)tokens->expires);
    CHECK_HOLDS(variable("B24_PORTAL_URL"), tokens->client_endpoint);
    CHECK_TEXT(variable("B24_MEMBER_ID"), tokens->member_id);
}

void tokens_callback(void)
{
    b24_config *config = portal_config("");
    struct stored stored = {0};
    b24_client *client;
    char *stats;

    CHECK_OK(b24_config_on_tokens(config, store, &stored));
    CHECK_OK(b24_client_new(config, &client));
    b24_string_free(answer_of(client, "profile", NULL));
    CHECK(stored.times == 0);
    portal_control("\"expire_tokens\"");
    b24_string_free(answer_of(client, "profile", NULL));
    CHECK(stored.times == 1);
    CHECK(strcmp(stored.access_token, variable("B24_ACCESS_TOKEN")) != 0);
    CHECK(strcmp(stored.refresh_token, variable("B24_REFRESH_TOKEN")) != 0);
    CHECK(strtoull(stored.expires, NULL, 10) > 1500000000);
    CHECK_OK(b24_client_stats(client, &stats));
    CHECK(number_in(stats, "renewals") == 1);
    b24_string_free(stats);
    b24_client_free(client);

    /* The next start of the host, with what it has stored. */
    CHECK_OK(b24_config_set(config, "auth.access_token", stored.access_token));
    CHECK_OK(b24_config_set(config, "auth.refresh_token", stored.refresh_token));
    CHECK_OK(b24_config_set(config, "auth.expires", stored.expires));
    CHECK_OK(b24_client_new(config, &client));
    b24_string_free(answer_of(client, "profile", NULL));
    CHECK(stored.times == 1);
    b24_client_free(client);

    /* The pair of before is worthless: authorize again. */
    CHECK_OK(b24_config_set(config, "auth.access_token", variable("B24_ACCESS_TOKEN")));
    CHECK_OK(b24_config_set(config, "auth.refresh_token", variable("B24_REFRESH_TOKEN")));
    CHECK_OK(b24_config_set(config, "auth.expires", "0"));
    CHECK_OK(b24_client_new(config, &client));
    CHECK_STATUS(B24_AUTH, b24_client_connect(client, 10000));
    CHECK(stored.times == 1);
    CHECK(strstr(b24_last_error_message(), variable("B24_REFRESH_TOKEN")) == NULL);
    b24_client_free(client);
    b24_config_free(config);
}
