// The C interface for C++17: handles that free themselves, and exceptions for errors.

#ifndef B24_HPP
#define B24_HPP

#include <b24events.h>

#include <memory>
#include <stdexcept>
#include <string>

namespace b24 {

// A call that failed, with everything that the library says about it.
class Error : public std::runtime_error {
public:
    explicit Error(b24_status status)
        : std::runtime_error(b24_last_error_message()),
          status(status),
          code(b24_last_error_code()),
          http_status(b24_last_error_http_status()),
          is_transient(b24_last_error_is_transient() != 0)
    {
    }

    const b24_status status;
    const std::string code;
    const int http_status;
    const bool is_transient;
};

// Throws for errors. Success and timeouts are not errors.
inline b24_status check(b24_status status)
{
    if (status < B24_OK)
        throw Error(status);
    return status;
}

template <auto Free>
struct Deleter {
    template <typename Handle>
    void operator()(Handle *handle) const noexcept
    {
        Free(handle);
    }
};

using Config = std::unique_ptr<b24_config, Deleter<b24_config_free>>;
using Client = std::unique_ptr<b24_client, Deleter<b24_client_free>>;
using Batch = std::unique_ptr<b24_batch, Deleter<b24_batch_free>>;
using Text = std::unique_ptr<char, Deleter<b24_string_free>>;

inline Config new_config()
{
    b24_config *config;
    check(b24_config_new(&config));
    return Config(config);
}

inline Client new_client(const Config &config)
{
    b24_client *client;
    check(b24_client_new(config.get(), &client));
    return Client(client);
}

// The next batch; nullptr if the timeout expires.
inline Batch next(const Client &client, int timeout_ms)
{
    b24_batch *batch;
    check(b24_client_next(client.get(), timeout_ms, &batch));
    return Batch(batch);
}

inline std::string call(const Client &client, const std::string &method, const std::string &params = "")
{
    char *answer;
    check(b24_client_call(client.get(), method.c_str(), params.c_str(), &answer));
    return Text(answer).get();
}

} // namespace b24

#endif
