/* Tokens: where they come from, and how the host receives new ones. */

#include "check.h"
#include "host.h"
#include "portal.h"

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

    /* The previous pair is no longer valid: the application has to be authorized again. */
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

void tokens_of_the_host(void)
{
    b24_config *config = portal_config("");
    struct stored stored = {0};
    b24_client *client;
    char *answer;

    CHECK_OK(b24_config_set(config, "auth.access_token", ""));
    CHECK_OK(b24_config_set(config, "auth.refresh_token", ""));
    CHECK_OK(b24_config_on_tokens(config, store, &stored));
    CHECK_OK(b24_client_new(config, &client));
    CHECK_STATUS(B24_CONFIG, b24_client_call(client, "profile", NULL, &answer));
    CHECK_OK(b24_client_authorization_address(client, NULL, &answer));
    CHECK_HOLDS("/oauth/authorize/?client_id=", answer);
    CHECK(strstr(answer, "state") == NULL);
    b24_string_free(answer);
    CHECK_OK(b24_client_authorization_address(client, "a b", &answer));
    CHECK_HOLDS("&state=a%20b", answer);
    b24_string_free(answer);
    CHECK_OK(b24_client_diagnose(client, 30000, &answer));
    CHECK_HOLDS("{\"id\":\"token\",", answer);
    CHECK_HOLDS("\"status\":\"failed\"", answer);
    CHECK_HOLDS("/oauth/authorize/?client_id=", answer);
    b24_string_free(answer);
    CHECK_STATUS(B24_AUTH, b24_client_authorize(client, "an invalid code"));
    CHECK_OK(b24_client_authorize(client, variable("B24_AUTHORIZATION_CODE")));
    CHECK(stored.times == 1);
    b24_string_free(answer_of(client, "profile", NULL));
    CHECK_STATUS(B24_AUTH, b24_client_authorize(client, variable("B24_AUTHORIZATION_CODE")));
    b24_client_free(client);

    /* A host that renews the tokens itself. */
    CHECK_OK(b24_config_set(config, "auth.renew", "host"));
    CHECK_OK(b24_config_set(config, "auth.access_token", "0123456789"));
    CHECK_OK(b24_client_new(config, &client));
    CHECK_STATUS(B24_AUTH, b24_client_call(client, "profile", NULL, &answer));
    CHECK_OK(b24_client_set_tokens(client, stored.access_token, NULL, 0));
    b24_string_free(answer_of(client, "profile", NULL));
    CHECK(stored.times == 1);
    b24_client_free(client);
    b24_config_free(config);
}
