/* A client and fork(): the child cannot use what its parent has made, and does the parent no harm. */

#define _POSIX_C_SOURCE 200809L

#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "portal.h"

/* A child that waits for a lock which no thread of it holds would wait for ever. */
#define MAX_CHILD_SECONDS 60

#define CHECK_FORKED(call) CHECK_FAILS(B24_STATE, "fork", call)

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int is_over;

static int over(void)
{
    int result;

    pthread_mutex_lock(&lock);
    result = is_over;
    pthread_mutex_unlock(&lock);
    return result;
}

/* Keeps the locks of the library busy, so that many of the forks find one locked. */
static void *keep_busy(void *unused)
{
    (void)unused;
    while (!over()) {
        b24_config *config = portal_config("Busy");
        b24_client *client;
        char *text;

        CHECK_OK(b24_client_new(config, &client));
        CHECK_OK(b24_client_stats(client, &text));
        b24_string_free(text);
        b24_client_free(client);
        b24_config_free(config);
    }
    return NULL;
}

static void every_function_refuses(b24_config *config, b24_client *client, b24_batch *batch)
{
    const char *message_id = "0123456789abcdef0123456789abcdef";
    b24_client *other;
    b24_batch *fetched;
    b24_notification notification;
    b24_record record;
    size_t batches;
    int32_t http_status;
    char *text;

    CHECK_FORKED(b24_config_set(config, "fetch.limit", "1"));
    CHECK_FORKED(b24_config_get(config, "fetch.limit", &text));
    CHECK_FORKED(b24_config_on_log(config, NULL, NULL));
    CHECK_FORKED(b24_config_on_tokens(config, NULL, NULL));
    CHECK_FORKED(b24_client_new(config, &other));
    CHECK(other == NULL);

    CHECK_FORKED(b24_client_connect(client, -1));
    CHECK_FORKED(b24_client_bind_event(client, "ONCRMDEALADD"));
    CHECK_FORKED(b24_client_unbind_event(client, "ONCRMDEALADD"));
    CHECK_FORKED(b24_client_bind_handler(client, "https://my-server.example/b24", 1));
    CHECK_FORKED(b24_client_unbind_handler(client, NULL));
    CHECK_FORKED(b24_client_wait(client, -1, &notification));
    CHECK_FORKED(b24_client_fetch(client, 0, &fetched));
    CHECK_FORKED(b24_client_next(client, -1, &fetched));
    CHECK_FORKED(b24_client_fetch_failed(client, 0, &fetched));
    CHECK(fetched == NULL);
    CHECK_FORKED(b24_client_recover(client, &batches));
    CHECK_FORKED(b24_client_call(client, "profile", NULL, &text));
    CHECK_FORKED(b24_client_call_batch(client, "{}", 0, &text));
    CHECK_FORKED(b24_client_state(client, &text));
    CHECK_FORKED(b24_client_restore(client, "{}"));
    CHECK_FORKED(b24_client_authorize(client, "code"));
    CHECK_FORKED(b24_client_set_tokens(client, "token", NULL, 0));
    CHECK_FORKED(b24_client_stats(client, &text));
    CHECK(text == NULL);
    CHECK_FORKED(b24_client_accept_handler_call(client, "x", 1, NULL, &http_status));
    CHECK_FORKED(b24_client_close(client));
    CHECK(b24_client_fd(client) == -1);
    CHECK_HOLDS("fork", b24_last_error_message());

    CHECK_FORKED(b24_batch_record(batch, 0, &record));
    CHECK_FORKED(b24_batch_ack(batch));
    CHECK_FORKED(b24_batch_ack_records(batch, &message_id, 1));
    CHECK_FORKED(b24_batch_fail_records(batch, &message_id, 1));
    CHECK(b24_batch_len(batch) == 0 && b24_batch_json(batch) == NULL && b24_batch_process_id(batch) == NULL);

    b24_batch_free(batch);
    b24_client_free(client);
    b24_config_free(config);
    CHECK_FORKED(b24_client_close(client));
    CHECK_STATUS(B24_INVALID_HANDLE, b24_client_close(NULL));
}

static void a_client_of_its_own_works(void)
{
    b24_client *client = listening_client("Child", "ONCRMDEALUPDATE");

    b24_string_free(answer_of(client, "profile", NULL));
    b24_client_free(client);
    CHECK_STATUS(B24_INVALID_HANDLE, b24_client_close(client));
}

/* The file in `state.dir`. The caller frees it. */
static char *stored_state(void)
{
    static const size_t max = 1 << 20;
    char *text = calloc(max, 1);
    char path[4096];
    FILE *file;

    snprintf(path, sizeof path, "%s/b24events-state.json", variable("B24_STATE_DIR"));
    file = fopen(path, "r");
    CHECK(text != NULL && file != NULL);
    CHECK(fread(text, 1, max - 1, file) > 0);
    fclose(file);
    return text;
}

static void child_ends_well(pid_t child)
{
    int status = 0;

    CHECK(child > 0);
    CHECK(waitpid(child, &status, 0) == child);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        fprintf(stderr, "the child ended with status %x%s\n", (unsigned)status,
                WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM ? ": it hung" : "");
        exit(EXIT_FAILURE);
    }
}

int main(int argc, char **argv)
{
    int forks = argc > 1 ? atoi(argv[1]) : 0;
    b24_config *config = portal_config("Parent");
    b24_client *somebody = portal_client("");
    b24_client *client;
    b24_batch *batch;
    pthread_t busy[2];
    char *before, *after;
    int i;

    CHECK(forks > 0);
    CHECK_OK(b24_config_set(config, "state.dir", variable("B24_STATE_DIR")));
    CHECK_OK(b24_client_new(config, &client));
    CHECK_OK(b24_client_bind_event(client, "ONCRMDEALADD"));
    CHECK_OK(b24_client_connect(client, 30000));
    add_deal(somebody);
    CHECK_OK(b24_client_next(client, 30000, &batch));

    before = stored_state();
    for (i = 0; i < 2; i++)
        CHECK(pthread_create(&busy[i], NULL, keep_busy, NULL) == 0);
    for (i = 0; i < forks; i++) {
        pid_t child = fork();

        if (child == 0) {
            alarm(MAX_CHILD_SECONDS);
            every_function_refuses(config, client, batch);
            if (i % 10 == 0)
                a_client_of_its_own_works();
            exit(EXIT_SUCCESS);
        }
        child_ends_well(child);
    }
    pthread_mutex_lock(&lock);
    is_over = 1;
    pthread_mutex_unlock(&lock);
    for (i = 0; i < 2; i++)
        CHECK(pthread_join(busy[i], NULL) == 0);

    /* The parent has noticed nothing. */
    after = stored_state();
    CHECK_TEXT(before, after);
    free(before);
    free(after);
    CHECK_OK(b24_batch_ack(batch));
    b24_batch_free(batch);
    add_deal(somebody);
    CHECK_OK(b24_client_next(client, 30000, &batch));
    CHECK(b24_batch_len(batch) == 1);
    CHECK_OK(b24_batch_ack(batch));
    b24_batch_free(batch);
    b24_client_free(client);
    b24_client_free(somebody);
    b24_config_free(config);
    puts("all parts passed");
    return EXIT_SUCCESS;
}
