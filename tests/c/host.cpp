// A host in C++17: several threads share one client. Some change the portal, others process records.

#include "b24.hpp"

#include <chrono>
#include <cstdlib>
#include <future>
#include <iostream>
#include <mutex>
#include <set>
#include <string>
#include <vector>

namespace {

constexpr int CHANGERS = 4;
constexpr int DEALS_EACH = 25;
constexpr int CONSUMERS = 3;
constexpr std::size_t DEALS = CHANGERS * DEALS_EACH;

void check(bool is_true, const std::string &what)
{
    if (!is_true)
        throw std::logic_error("not true: " + what);
}

std::string variable(const char *name)
{
    const char *value = std::getenv(name);
    check(value != nullptr, std::string(name) + " is set; run this program by: cargo test --test c_hosts");
    return value;
}

b24::Client portal_client()
{
    const b24::Config config = b24::new_config();
    const auto set = [&](const char *key, const std::string &value) {
        b24::check(b24_config_set(config.get(), key, value.c_str()));
    };
    set("portal.url", variable("B24_PORTAL_URL"));
    set("auth.access_token", variable("B24_ACCESS_TOKEN"));
    set("rate.per_second", "0"); // this portal has no limits
    set("fetch.limit", "7"); // many batches, so that all threads get some
    return b24::new_client(config);
}

// The records that the consumers have received, and whether all of them are acknowledged. A record may be delivered to
// two threads: the portal's reservations are not atomic.
class Received {
public:
    void add(const std::string &message_id)
    {
        const std::lock_guard<std::mutex> guard(lock_);
        received_.insert(message_id);
    }

    void acknowledged(const std::vector<std::string> &message_ids)
    {
        const std::lock_guard<std::mutex> guard(lock_);
        const bool was_complete = acknowledged_.size() == DEALS;
        acknowledged_.insert(message_ids.begin(), message_ids.end());
        check(acknowledged_.size() <= received_.size(), "only what was received is acknowledged");
        if (!was_complete && acknowledged_.size() == DEALS)
            complete_.set_value();
    }

    bool wait() { return complete_.get_future().wait_for(std::chrono::seconds(30)) == std::future_status::ready; }

private:
    std::mutex lock_;
    std::set<std::string> received_;
    std::set<std::string> acknowledged_;
    std::promise<void> complete_;
};

// With another key: what the application changes without one is not queued for the queue without one.
void change(const b24::Client &client)
{
    for (int i = 0; i < DEALS_EACH; i++)
        b24::call(client, "crm.deal.add", R"({"fields":{"TITLE":"from C++"},"auth_connector":"Other"})");
}

// The main loop of a host, until the client is closed.
void consume(const b24::Client &client, Received &received)
{
    try {
        for (;;) {
            const b24::Batch batch = b24::next(client, -1);
            std::vector<std::string> message_ids;
            for (std::size_t i = 0; i < b24_batch_len(batch.get()); i++) {
                b24_record record;
                b24::check(b24_batch_record(batch.get(), i, &record));
                received.add(record.message_id);
                message_ids.push_back(record.message_id);
            }
            b24::check(b24_batch_ack(batch.get()));
            received.acknowledged(message_ids);
        }
    } catch (const b24::Error &error) {
        if (error.status != B24_CLOSED)
            throw;
    }
}

void errors_are_of_the_thread()
{
    const b24::Client client = portal_client();
    try {
        b24::call(client, "no.such.method");
        check(false, "an unknown method is refused");
    } catch (const b24::Error &error) {
        check(error.status == B24_PORTAL && error.code == "ERROR_METHOD_NOT_FOUND" && error.http_status == 404
                  && !error.is_transient,
              std::string("the error is complete: ") + error.what());
    }
    check(*b24_last_error_message() != '\0', "this thread has an error");
    std::async(std::launch::async, [] {
        check(*b24_last_error_message() == '\0', "another thread has no error");
    }).get();
}

void threads_share_a_client()
{
    const b24::Client client = portal_client();
    Received received;
    b24::check(b24_client_bind_event(client.get(), "ONCRMDEALADD"));
    b24::check(b24_client_connect(client.get(), 10000));
    std::vector<std::future<void>> changers, consumers;
    for (int i = 0; i < CONSUMERS; i++)
        consumers.push_back(std::async(std::launch::async, [&] { consume(client, received); }));
    for (int i = 0; i < CHANGERS; i++)
        changers.push_back(std::async(std::launch::async, [&] { change(client); }));
    for (auto &changer : changers)
        changer.get();
    const bool complete = received.wait();
    b24::check(b24_client_close(client.get()));
    for (auto &consumer : consumers)
        consumer.get();
    check(complete, "every change was delivered as a record");
}

} // namespace

int main()
{
    try {
        check(b24_abi_version() == B24_ABI_VERSION, "the header and the library have the same ABI");
        errors_are_of_the_thread();
        threads_share_a_client();
        std::cout << "all parts passed\n";
        return EXIT_SUCCESS;
    } catch (const std::exception &error) {
        std::cerr << error.what() << '\n';
        return EXIT_FAILURE;
    }
}
