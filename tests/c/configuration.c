/* What needs no portal: the library and the configuration. */

#include "check.h"
#include "host.h"
#include "portal.h"

void library_functions(void)
{
    char version[32];
    int status;

    CHECK(b24_abi_version() == B24_ABI_VERSION);
    CHECK_TEXT(B24EVENTS_VERSION, b24_version());
    snprintf(version, sizeof version, "%d.%d.%d", B24EVENTS_VERSION_MAJOR, B24EVENTS_VERSION_MINOR,
             B24EVENTS_VERSION_PATCH);
    CHECK(strncmp(version, b24_version(), strlen(version)) == 0);
    CHECK(sizeof(b24_status) == sizeof(int32_t) && sizeof(b24_log_level) == sizeof(int32_t));
    CHECK_TEXT("B24_OK", b24_status_name(B24_OK));
    CHECK_TEXT("B24_TIMEOUT", b24_status_name(B24_TIMEOUT));
    CHECK_TEXT("B24_UNKNOWN", b24_status_name((b24_status)2));
    for (status = B24_INVALID_ARGUMENT; status >= B24_PANIC; status--)
        CHECK(strcmp("B24_UNKNOWN", b24_status_name((b24_status)status)) != 0);
    CHECK_TEXT("B24_UNKNOWN", b24_status_name((b24_status)(B24_PANIC - 1)));
    CHECK_TEXT("", b24_last_error_message());
    CHECK_TEXT("", b24_last_error_code());
    CHECK(b24_last_error_http_status() == 0);
    CHECK(b24_last_error_is_transient() == 0);
}

static void value_is(b24_config *config, const char *key, const char *expected)
{
    char *value;

    CHECK_OK(b24_config_get(config, key, &value));
    CHECK_TEXT(expected, value);
    b24_string_free(value);
}

/* No client can be created from this, and the text names the key. */
static void unusable(b24_config *config, const char *key)
{
    b24_client *client = (b24_client *)config;

    CHECK_FAILS(B24_CONFIG, key, b24_client_new(config, &client));
    CHECK(client == NULL);
}

void configuration(void)
{
    const char *secret = "s3cr3t-of-this-test";
    b24_config *config;
    b24_client *client;
    char *value;

    CHECK_OK(b24_config_new(&config));
    value_is(config, "fetch.limit", "50");
    value_is(config, "auth.access_token", "");

    CHECK_FAILS(B24_CONFIG, "fetch.limits", b24_config_set(config, "fetch.limits", "1"));
    CHECK_HOLDS("fetch.limit,", b24_last_error_message());
    CHECK_FAILS(B24_CONFIG, "no.such.key", b24_config_get(config, "no.such.key", &value));
    CHECK(value == NULL);
    CHECK_FAILS(B24_CONFIG, "from 1 to 1000", b24_config_set(config, "fetch.limit", "1001"));
    CHECK_HOLDS("fetch.limit", b24_last_error_message());
    CHECK_HOLDS("1001", b24_last_error_message());
    CHECK_STATUS(B24_CONFIG, b24_config_set(config, "fetch.limit", "0"));
    CHECK_STATUS(B24_CONFIG, b24_config_set(config, "fetch.limit", "fifty"));
    CHECK_FAILS(B24_CONFIG, "auto, yes, no", b24_config_set(config, "fetch.reserve", "maybe"));
    CHECK_FAILS(B24_CONFIG, "true or false", b24_config_set(config, "http.allow_plain", "1"));
    CHECK_STATUS(B24_CONFIG, b24_config_set(config, "portal.url", "my.bitrix24.com"));
    value_is(config, "fetch.limit", "50");
    CHECK_OK(b24_config_set(config, "fetch.limit", "1000"));
    value_is(config, "fetch.limit", "1000");

    unusable(config, "portal.url");
    CHECK_OK(b24_config_set(config, "portal.url", "https://my.bitrix24.com"));
    CHECK_OK(b24_client_new(config, &client));
    CHECK_FAILS(B24_CONFIG, "auth.access_token", b24_client_call(client, "profile", NULL, &value));
    CHECK(value == NULL);
    b24_client_free(client);
    CHECK_OK(b24_config_set(config, "auth.access_token", secret));
    value_is(config, "auth.access_token", "***");
    CHECK_OK(b24_client_new(config, &client));
    b24_client_free(client);

    CHECK_OK(b24_config_set(config, "auth.refresh_token", secret));
    unusable(config, "auth.client_id");
    CHECK_OK(b24_config_set(config, "auth.client_id", "local.1"));
    CHECK_OK(b24_config_set(config, "auth.client_secret", secret));
    value_is(config, "auth.client_id", "local.1");
    value_is(config, "auth.client_secret", "***");

    CHECK_OK(b24_config_set(config, "portal.url", "http://my.bitrix24.com"));
    unusable(config, "http.allow_plain");
    CHECK_OK(b24_config_set(config, "portal.url", "https://my.bitrix24.com/rest/1/s3cr3t-of-this-test/"));
    CHECK_OK(b24_config_get(config, "portal.url", &value));
    CHECK(strstr(value, secret) == NULL);
    b24_string_free(value);
    unusable(config, "portal.url");
    CHECK(strstr(b24_last_error_message(), secret) == NULL);
    b24_config_free(config);
}
