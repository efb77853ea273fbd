// A host of the 1C add-in that works as the platform does: it loads the library, creates objects, calls them by name,
// and ends them in every way that C++ knows.
//
//     addin_host LIBRARY CYCLES [--no-rss]
//
// Runs all parts once, then loads, uses and unloads the library CYCLES times. The environment says where the portal is
// (see tests/support/portal.rs). `--no-rss` does not check the memory of the process, which valgrind changes.
#include "native_api.hpp"

#include <atomic>
#include <chrono>
#include <cstdio>
#include <limits>
#include <thread>

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

namespace {

constexpr long MIN_LONG = std::numeric_limits<long>::min(), MAX_LONG = std::numeric_limits<long>::max();

Text variable(const char *name) {
    const char *value = std::getenv(name);
    if (!value) throw std::runtime_error(std::string(name) + " is not set");
    return widened(value);
}

bool threads_return_to(long at_rest) {
    for (int attempt = 0; attempt < 10000; ++attempt) {
        if (threads_are_back(at_rest)) return true;
        std::this_thread::sleep_for(milliseconds(1));
    }
    return false;
}

void configure(Object &object) {
    CHECK(object.component->Init(&object.connection));
    const char *keys[][2] = {
        {"portal.url", "B24_PORTAL_URL"},     {"auth.server", "B24_AUTH_SERVER"},     {"auth.client_id", "B24_CLIENT_ID"},
        {"auth.client_secret", "B24_CLIENT_SECRET"}, {"auth.access_token", "B24_ACCESS_TOKEN"},
    };
    // The emulator has no limits.
    CHECK_CALL(object, object.call(u"SetParameter", u"rate.per_second", 0));
    for (auto &key : keys) CHECK_CALL(object, object.call(u"SetParameter", widened(key[0]), variable(key[1])));
}

void connect(Object &object) {
    configure(object);
    CHECK_CALL(object, object.call(u"Connect"));
    CHECK(object.property(u"Connected") == u"true");
}

// A call with another key: what the application changes without one is not queued for the queue without one.
void add_deal(Object &object) {
    CHECK_CALL(object, object.call(u"CallMethod", u"crm.deal.add", u"{\"fields\":{},\"auth_connector\":\"Other\"}"));
}

bool contains(const Text &text, const Text &part) { return text.find(part) != Text::npos; }

Text field(const Text &json, const Text &name) {
    Text start = u"\"" + name + u"\":\"";
    size_t from = json.find(start);
    if (from == Text::npos) return Text();
    from += start.size();
    return json.substr(from, json.find(u'"', from) - from);
}

// Acknowledges everything that is in the queue.
void drain(Object &object) {
    Text batch;
    do {
        CHECK_CALL(object, object.call(u"Fetch", 1000));
        batch = field(Object::result, u"batch_id");
        CHECK_CALL(object, object.call(u"Acknowledge", batch));
    } while (!batch.empty());
}

// ---- the parts -------------------------------------------------------------------------------------------------------

void exports(Library &library) {
    const char16_t expected[] = u"B24Events\0";
    CHECK(std::memcmp(library.names(), expected, sizeof expected) == 0);
    CHECK(library.capabilities(3) == 1);
    CHECK(library.attach_type() == 3);
    ComponentBase *component = nullptr;
    CHECK(library.make(u"Unknown", &component) == 0 && !component);
    CHECK(library.make(nullptr, &component) == 0 && !component);
    CHECK(library.make(u"B24Events", nullptr) == 0);
    CHECK(library.destroy(nullptr) != 0);
    CHECK(library.destroy(&component) != 0);
}

void names(Library &library) {
    Object object(library);
    ComponentBase &component = *object.component;
    CHECK(component.GetInfo() >= 2000);
    char16_t *name = nullptr;
    CHECK(component.RegisterExtensionAs(&name));
    CHECK(object.memory.take(name) == u"B24Events");
    CHECK(!component.RegisterExtensionAs(nullptr));

    CHECK(component.FindMethod(u"CONNECT") == component.FindMethod(u"Подключить"));
    CHECK(component.FindMethod(u"сЛЕДУЮЩИЙпАКЕТ") == component.FindMethod(u"nextbatch"));
    CHECK(component.FindProp(u"СОСТОЯНИЕ") == component.FindProp(u"State"));
    CHECK(component.FindMethod(u"Connec") == -1 && component.FindProp(u"Connect") == -1);
    CHECK(component.FindMethod(nullptr) == -1 && component.FindProp(nullptr) == -1);
    CHECK(component.FindMethod(Text(100000, u'x').c_str()) == -1);
    const char16_t half_pair[] = {0xd83d, 0};
    CHECK(component.FindMethod(half_pair) == -1);

    for (long number = 0; number < component.GetNMethods(); ++number) {
        for (long alias : {0, 1}) {
            Text known = object.memory.take(component.GetMethodName(number, alias));
            CHECK(!known.empty() && component.FindMethod(known.c_str()) == number);
        }
    }
    for (long number = 0; number < component.GetNProps(); ++number) {
        for (long alias : {0, 1}) {
            Text known = object.memory.take(component.GetPropName(number, alias));
            CHECK(!known.empty() && component.FindProp(known.c_str()) == number);
        }
        CHECK(component.IsPropReadable(number));
        CHECK(component.IsPropWritable(number) == (number == component.FindProp(u"State")));
    }

    // Defaults: a number, texts, none; never EMPTY, which some hosts take for none.
    Variant value;
    CHECK(component.GetParamDefValue(component.FindMethod(u"WaitEvent"), 0, &value));
    CHECK(value.type == VT_I4 && value.i4 == 30000);
    CHECK(component.GetParamDefValue(component.FindMethod(u"Acknowledge"), 1, &value) && value.type == VT_PWSTR);
    CHECK(object.memory.take(value.text.pointer) == u"*");
    CHECK(component.GetParamDefValue(component.FindMethod(u"CallMethod"), 1, &value) && value.type == VT_PWSTR);
    CHECK(object.memory.take(value.text.pointer) == u"{}");
    CHECK(!component.GetParamDefValue(component.FindMethod(u"CallMethod"), 0, &value) && value.type == VT_EMPTY);
    for (long number = 0; number < component.GetNMethods(); ++number) {
        for (long index = 0; index < component.GetNParams(number); ++index) {
            const bool has_default = component.GetParamDefValue(number, index, &value);
            CHECK(has_default == (value.type != VT_EMPTY));
            if (value.type == VT_PWSTR) object.memory.take(value.text.pointer);
        }
    }
    CHECK(component.HasRetVal(component.FindMethod(u"Fetch")) && !component.HasRetVal(component.FindMethod(u"Connect")));

    for (long wrong : {-1L, 99L, MIN_LONG, MAX_LONG}) {
        CHECK(!component.GetMethodName(wrong, 0) && !component.GetPropName(wrong, 0) && component.GetNParams(wrong) == -1);
        CHECK(!component.GetMethodName(0, wrong) && !component.GetPropName(0, wrong));
        CHECK(!component.IsPropReadable(wrong) && !component.IsPropWritable(wrong) && !component.HasRetVal(wrong));
        CHECK(!component.GetParamDefValue(wrong, 0, &value) && !component.GetParamDefValue(0, wrong, &value));
        CHECK(!component.CallAsFunc(wrong, &value, nullptr, 0) && !component.CallAsProc(wrong, nullptr, 0));
        CHECK(!component.GetPropVal(wrong, &value) && !component.SetPropVal(wrong, &value));
    }
    CHECK(!component.GetParamDefValue(2, 0, nullptr));
}

// Each call fails and reports why.
void bad_input(Library &library) {
    Object object(library);
    ComponentBase &component = *object.component;
    CHECK(component.Init(&object.connection));
    component.SetLocale(u"en_US");
    auto refused = [&](bool succeeded, const char16_t *why) {
        auto errors = object.connection.take_errors();
        if (succeeded || errors.size() != 1) failed(__FILE__, __LINE__, "not refused: " + shown(why));
        CHECK(errors[0].source == u"B24Events" && errors[0].code == 1006 && errors[0].scode != 0);
        if (!contains(errors[0].text, why)) failed(__FILE__, __LINE__, shown(errors[0].text));
        CHECK(object.last_error() == errors[0].text);
    };
    const long set = component.FindMethod(u"SetParameter"), get = component.FindMethod(u"GetParameter");
    const long wait = component.FindMethod(u"WaitEvent");
    Value out;

    // Types.
    refused(object.call(u"SetParameter", 5, u"x"), u"Key must be a string, not the number 5");
    refused(object.call(u"WaitEvent", u"5"), u"TimeoutMs must be a whole number, not a string");
    Value params[3];
    params[0].variant.type = VT_R8, params[0].variant.r8 = 1.5;
    refused(component.CallAsFunc(wait, &out.variant, &params[0].variant, 1), u"not the number 1.5");
    for (uint16_t type : {VT_NULL, static_cast<Type>(8), static_cast<Type>(0x2016), static_cast<Type>(0xffff)}) {
        params[0].clear();
        params[0].variant.type = type;
        refused(component.CallAsFunc(get, &out.variant, &params[0].variant, 1), u"a value of type");
    }
    char bytes[] = {'\xff', 'x', 'y'};
    params[0].clear();
    params[0].variant.type = VT_BLOB, params[0].variant.blob.pointer = bytes, params[0].variant.blob.length = 3;
    refused(component.CallAsFunc(get, &out.variant, &params[0].variant, 1), u"binary data that is not UTF-8");

    // Strings: half a pair, no memory behind a length.
    const Text half_pair(1, 0xd83d);
    refused(object.call(u"GetParameter", half_pair), u"damaged string");
    params[0].clear();
    params[0].variant.type = VT_PWSTR, params[0].variant.text.length = 7;
    refused(component.CallAsFunc(get, &out.variant, &params[0].variant, 1), u"damaged string");
    refused(object.call(u"SetParameter", u"portal.url", Text(u"https://a\0b", 11)), u"portal.url cannot be");

    // A string at an odd address is a string.
    alignas(2) char odd[2 * 11 + 1];
    std::memcpy(odd + 1, u"fetch.limit", 22);
    params[0].clear();
    params[0].variant.type = VT_PWSTR, params[0].variant.text.length = 11;
    params[0].variant.text.pointer = reinterpret_cast<char16_t *>(odd + 1);
    CHECK(component.CallAsFunc(get, &out.variant, &params[0].variant, 1) && out.take(object.memory) == u"50");

    // Counts and pointers.
    refused(component.CallAsFunc(get, &out.variant, nullptr, 0), u"Key is missing");
    refused(component.CallAsProc(set, nullptr, 2), u"takes 2 parameters");
    for (long count : {-1L, 3L, MIN_LONG, MAX_LONG}) {
        refused(component.CallAsProc(set, &params[0].variant, count), u"takes 2 parameters");
    }
    CHECK(!component.GetPropVal(0, nullptr));
    refused(component.SetPropVal(component.FindProp(u"State"), nullptr), u"State must be a string, not Undefined");
    Value key(u"fetch.limit");
    CHECK(component.CallAsFunc(get, nullptr, &key.variant, 1)); // the value is discarded
    CHECK(component.CallAsProc(get, &key.variant, 1));          // a function as a procedure
    CHECK(object.last_error().empty());

    // Names, values, and calls in the wrong order.
    refused(object.call(u"GetParameter", u"no.such.key"), u"not a configuration key");
    refused(object.call(u"SetParameter", u"fetch.limit", u"many"), u"fetch.limit cannot be");
    refused(object.call(u"Fetch", -1), u"Limit must be a whole number from 0 to 1000, not the number -1");
    refused(object.call(u"WaitEvent", 0), u"call Connect first");
    refused(object.call(u"NextBatch", 0), u"call Connect first");
    refused(object.call(u"EnableNotifications"), u"call Connect first");
    refused(object.call(u"Connect"), u"portal.url is not set");
    CHECK(object.property(u"LastErrorCode") == u"CONFIG");
    refused(object.call(u"Acknowledge", u"nothing"), u"no batch nothing is open");
    refused(object.call(u"MarkFailed", u"nothing", u"[1]"), u"JSON array of strings");
    refused(object.set(u"State", u"[]"), u"a value that State returned earlier");
    refused(object.set(u"Version", u"2"), u"read-only");

    // The platform has no memory left.
    object.memory.exhaust(true);
    CHECK(!component.CallAsFunc(get, &out.variant, &key.variant, 1) && out.variant.type == VT_EMPTY);
    CHECK(!component.GetMethodName(0, 0) && !component.GetPropName(0, 0));
    char16_t *name = nullptr;
    CHECK(!component.RegisterExtensionAs(&name) && !name);
    object.memory.exhaust(false);
    CHECK(!component.setMemManager(nullptr));
    object.connection.take_errors();
}

// Every number type, booleans, dates and binary data, where they make sense.
void types(Library &library) {
    Object object(library);
    ComponentBase &component = *object.component;
    const long set = component.FindMethod(u"SetParameter");
    auto sets = [&](const char16_t *key, const char16_t *expected, auto fill) {
        Value name(key), value;
        fill(value.variant);
        Variant params[] = {name.variant, value.variant};
        CHECK_CALL(object, component.CallAsProc(set, params, 2));
        CHECK(object.call(u"GetParameter", key));
        if (Object::result != expected) failed(__FILE__, __LINE__, shown(Object::result));
    };
    auto limit = [&](const char16_t *expected, auto fill) { sets(u"fetch.limit", expected, fill); };
    limit(u"7", [](Variant &v) { v.type = VT_I1, v.i8 = -1, v.i1 = 7; });
    limit(u"8", [](Variant &v) { v.type = VT_UI1, v.i8 = -1, v.ui1 = 8; });
    limit(u"9", [](Variant &v) { v.type = VT_I2, v.i8 = -1, v.i2 = 9; });
    limit(u"10", [](Variant &v) { v.type = VT_UI2, v.i8 = -1, v.ui2 = 10; });
    limit(u"11", [](Variant &v) { v.type = VT_I4, v.i8 = -1, v.i4 = 11; });
    limit(u"12", [](Variant &v) { v.type = VT_UI4, v.i8 = -1, v.ui4 = 12; });
    limit(u"13", [](Variant &v) { v.type = VT_I8, v.i8 = 13; });
    limit(u"14", [](Variant &v) { v.type = VT_UI8, v.ui8 = 14; });
    limit(u"15", [](Variant &v) { v.type = VT_R4, v.r4 = 15; });
    limit(u"16", [](Variant &v) { v.type = VT_R8, v.r8 = 16; });
    sets(u"http.allow_plain", u"true", [](Variant &v) { v.type = VT_BOOL, v.boolean = true; });
    sets(u"connector.id", u"OneC", [](Variant &v) {
        static char bytes[] = "OneC";
        v.type = VT_BLOB, v.blob.pointer = bytes, v.blob.length = 4;
    });
    // A date has no time zone.
    auto refuses_date = [&](auto fill) {
        Value name(u"auth.expires"), value;
        fill(value.variant);
        Variant params[] = {name.variant, value.variant};
        CHECK(!component.CallAsProc(set, params, 2));
        CHECK(contains(object.last_error(), u"ToUniversalTime(Date) - Date(1970, 1, 1)"));
    };
    refuses_date([](Variant &v) {
        v.type = VT_TM, v.time = {}, v.time.tm_year = 124, v.time.tm_mon = 1, v.time.tm_mday = 29;
        v.time.tm_hour = 12, v.time.tm_min = 30, v.time.tm_sec = 15;
    });
    refuses_date([](Variant &v) { v.type = VT_DATE, v.r8 = 25570; });
}

void languages(Library &library) {
    Object object(library);
    CHECK(object.component->Init(&object.connection));
    auto text = [&] {
        CHECK(!object.call(u"WaitEvent", 0));
        return object.connection.take_errors().at(0).text;
    };
    const Text english = u"not connected; call Connect first", russian = u"Нет подключения. Сначала вызовите Подключить";
    CHECK(text() == english);
    for (const char16_t *code : {u"ru_RU", u"rus_RUS", u"RU"}) {
        object.component->SetLocale(code);
        CHECK(text() == russian);
    }
    object.component->SetLocale(u"de_DE");
    CHECK(text() == english);
    object.component->SetUserInterfaceLanguageCode(u"ru");
    CHECK(text() == russian);
    CHECK(object.last_error() == russian);
    object.component->SetUserInterfaceLanguageCode(nullptr);
    object.component->SetLocale(nullptr);
    CHECK(text() == english);
    object.component->SetLocale(u"ru");
    CHECK(!object.call(u"SetParameter", u"fetch.limit", u"0"));
    const Text mixed = object.connection.take_errors().at(0).text;
    CHECK(contains(mixed, u"Ошибка в настройках") && contains(mixed, u"fetch.limit cannot be"));
}

// What works before Init, after a failed Init, and after Done.
void phases(Library &library) {
    Object object(library);
    ComponentBase &component = *object.component;
    CHECK(object.call(u"SetParameter", u"fetch.limit", u"7"));
    CHECK(!object.call(u"EnableNotifications"));
    CHECK(contains(object.last_error(), u"client application"));

    CHECK(!component.Init(nullptr));
    CHECK(contains(object.last_error(), u"not initialized"));
    CHECK(component.FindMethod(u"Connect") >= 0);
    CHECK(!object.call(u"GetParameter", u"fetch.limit"));
    CHECK(!object.set(u"State", u""));
    CHECK(contains(object.last_error(), u"not initialized"));

    CHECK(component.Init(&object.connection));
    CHECK(object.call(u"GetParameter", u"fetch.limit") && Object::result == u"7");

    component.Done();
    component.Done();
    CHECK(component.GetNMethods() > 0 && component.FindProp(u"Version") >= 0);
    CHECK(!object.call(u"Connect") && contains(object.last_error(), u"Done has ended this object"));
    CHECK(object.connection.take_errors().empty()); // the platform is not touched after Done
}

// Fetches a batch, abandons it without acknowledging, and gets it again in another object.
void delivery(Library &library) {
    Text state, batch, message;
    {
        Object object(library, End::DeleteInitDone);
        connect(object);
        CHECK_CALL(object, object.call(u"ПодписатьсяНаСобытие", u"ONCRMDEALADD"));
        drain(object);
        add_deal(object);
        add_deal(object);
        CHECK_CALL(object, object.call(u"СледующийПакет"));
        batch = field(Object::result, u"batch_id");
        message = field(Object::result, u"MESSAGE_ID");
        CHECK(batch.size() > 8 && message.size() == 32);
        CHECK(field(Object::result, u"process_id") == batch);
        CHECK_CALL(object, object.call(u"Acknowledge", batch, u"[]")); // none
        CHECK_CALL(object, object.call(u"Acknowledge", batch, u""));   // none
        CHECK(!object.call(u"Acknowledge", batch, u"strange"));
        Value undefined[2] = {Value(batch), Value()};
        Variant params[] = {undefined[0].variant, undefined[1].variant};
        CHECK(!object.component->CallAsProc(object.component->FindMethod(u"Acknowledge"), params, 2));
        CHECK(contains(object.last_error(), u"MessageIds is Undefined"));
        CHECK_CALL(object, object.call(u"Acknowledge", batch, message + u"\r\n"));
        state = object.property(u"State");
        CHECK(contains(state, batch) && contains(state, variable("B24_ACCESS_TOKEN")));
        CHECK(contains(object.property(u"Statistics"), u"\"subscribed\":true"));
        CHECK_CALL(object, object.call(u"Disconnect"));
        CHECK(!object.call(u"Acknowledge", batch) && contains(object.last_error(), u"is open"));
        CHECK(contains(object.property(u"State"), batch));
        // The same object continues without an assignment.
        CHECK_CALL(object, object.call(u"Connect"));
        CHECK_CALL(object, object.call(u"NextBatch"));
        CHECK(field(Object::result, u"batch_id") == batch && !contains(Object::result, message));
    }
    Object object(library);
    configure(object);
    CHECK_CALL(object, object.set(u"State", state));
    CHECK_CALL(object, object.call(u"Connect"));
    CHECK_CALL(object, object.call(u"NextBatch"));
    CHECK(field(Object::result, u"batch_id") == batch);
    CHECK_CALL(object, object.call(u"MarkFailed", batch, field(Object::result, u"MESSAGE_ID")));
    CHECK(!object.call(u"Acknowledge", batch)); // no record is left
    CHECK(!contains(object.property(u"State"), batch));
    CHECK(object.call(u"Fetch"));
    CHECK(Object::result.find(u"{\"batch_id\":\"\",") == 0 && contains(Object::result, u"\"events\":[]"));
    CHECK(object.call(u"Acknowledge", u""));
}

// A host that never acknowledges is stopped; no fetched record is lost.
void bounds(Library &library) {
    Object object(library), successor(library);
    connect(object);
    drain(object);
    const int max_open = 100;
    for (int index = 0; index <= max_open; ++index) add_deal(object);
    for (int index = 0; index < max_open; ++index) {
        CHECK_CALL(object, object.call(u"Fetch", 1));
        CHECK(!field(Object::result, u"batch_id").empty());
    }
    CHECK(!object.call(u"Fetch", 1) && contains(object.last_error(), u"100 batches are open"));
    CHECK(!object.call(u"NextBatch") && contains(object.last_error(), u"100 batches are open"));
    configure(successor);
    CHECK_CALL(successor, successor.set(u"State", object.property(u"State")));
    for (int index = 0; index <= max_open; ++index) {
        CHECK_CALL(successor, successor.call(u"Fetch", 1));
        CHECK(!field(Object::result, u"MESSAGE_ID").empty());
        CHECK_CALL(successor, successor.call(u"Acknowledge", field(Object::result, u"batch_id")));
    }
    CHECK(successor.call(u"Fetch", 1) && contains(Object::result, u"\"events\":[]"));
}

// One object waits and delays no other call. Then the wait is ended from outside, in every way.
void waiting(Library &library) {
    for (int way = 0; way < 3; ++way) {
        Object waiter(library, way == 2 ? End::DeleteLanguage : End::Destroy), other(library);
        connect(waiter);
        // The notification to check the queue after connecting.
        CHECK_CALL(waiter, waiter.call(u"WaitEvent", 2000));
        configure(other);
        std::atomic<int> outcome{-1};
        std::thread thread([&] { outcome = waiter.call(u"WaitEvent", -1); });
        std::this_thread::sleep_for(milliseconds(50));

        auto start = Clock::now();
        for (int index = 0; index < 100; ++index) {
            CHECK(waiter.call(u"GetParameter", u"fetch.limit"));
            CHECK(contains(waiter.property(u"Statistics"), u"requests"));
            CHECK(other.call(u"GetParameter", u"fetch.limit"));
        }
        CHECK_CALL(other, other.call(u"CallMethod", u"crm.deal.list"));
        const auto took = Clock::now() - start;

        const int before_the_end = outcome;
        start = Clock::now();
        if (way == 0) waiter.call(u"Disconnect");
        if (way == 1) waiter.component->Done();
        if (way == 2) waiter.end(); // while the other thread is inside
        thread.join();
        CHECK(before_the_end == -1 && outcome == 0);
        CHECK(took < std::chrono::seconds(30) && Clock::now() - start < std::chrono::seconds(30));
        auto errors = waiter.connection.take_errors();
        CHECK(errors.size() == 1 && contains(errors[0].text, u"closed the connection during this call"));
    }
}

void many_threads(Library &library) {
    Object object(library);
    connect(object);
    std::vector<std::thread> callers;
    std::atomic<int> failures{0};
    for (int caller = 0; caller < 4; ++caller) {
        callers.emplace_back([&, caller] {
            for (int round = 0; round < 50; ++round) {
                bool good = object.call(u"SetParameter", u"fetch.limit", caller + 1) && object.call(u"GetParameter", u"portal.url") &&
                            object.call(u"WaitEvent", 0) && !object.property(u"State").empty();
                if (!good) ++failures;
            }
        });
    }
    for (auto &caller : callers) caller.join();
    CHECK(failures == 0);
}

// External events: the buffer is full for a while, notifications are added up, none is lost.
void notifications(Library &library) {
    const long at_rest = threads_at_rest();
    {
        Object object(library);
        connect(object);
        CHECK_CALL(object, object.call(u"BindEvent", u"ONCRMDEALADD"));
        object.connection.set_open(false);
        CHECK_CALL(object, object.call(u"ВключитьОповещения"));
        CHECK_CALL(object, object.call(u"EnableNotifications")); // once more does nothing
        CHECK(object.connection.GetEventBufferDepth() > 1);
        add_deal(object);
        CHECK(object.connection.wait_for_attempts(2));
        add_deal(object);
        CHECK(object.call(u"GetParameter", u"fetch.limit")); // other calls are not delayed
        object.connection.set_open(true);
        long count = 0;
        while (count < 2) {
            Connection::Event event = object.connection.wait_for_event();
            CHECK(event.source == u"B24Events" && event.message == u"event_offline");
            CHECK(contains(event.data, u"\"connector_id\":\"\""));
            size_t at = event.data.find(u"\"count\":");
            CHECK(at != Text::npos);
            count += event.data[at + 8] - u'0';
        }
        CHECK(count == 2);
        // WaitEvent returns what the platform did not accept.
        object.connection.set_open(false);
        add_deal(object);
        CHECK(object.connection.wait_for_attempts(1));
        CHECK_CALL(object, object.call(u"ВыключитьОповещения"));
        CHECK_CALL(object, object.call(u"WaitEvent", 10000));
        CHECK(contains(Object::result, u"\"signalled\":true"));
        object.connection.set_open(true);
        CHECK_CALL(object, object.call(u"EnableNotifications"));
        // A new parameter makes Connect close the old connection; notifications stay enabled.
        CHECK_CALL(object, object.call(u"SetParameter", u"fetch.limit", 9));
        CHECK_CALL(object, object.call(u"Connect"));
        add_deal(object);
        CHECK(object.connection.wait_for_event().message == u"event_offline");
        drain(object);
        // A platform that hangs in an event holds nobody up for ever: it may wait for the very thread that calls us.
        object.connection.set_hanging(true);
        add_deal(object);
        CHECK(object.connection.wait_for_attempts(1));
        auto start = Clock::now();
        CHECK_CALL(object, object.call(u"DisableNotifications"));
        CHECK(Clock::now() - start < std::chrono::seconds(20));
        object.connection.set_hanging(false);
        CHECK(object.connection.wait_for_event().message == u"event_offline");
        drain(object);
    }
    CHECK(threads_return_to(at_rest));
}

void cycle(const std::string &path, int number) {
    Library library(path);
    Object object(library, static_cast<End>(number % static_cast<int>(End::COUNT)));
    connect(object);
    if (number % 2) {
        CHECK_CALL(object, object.call(u"EnableNotifications"));
        add_deal(object);
        object.connection.wait_for_event();
    } else {
        add_deal(object);
        CHECK_CALL(object, object.call(u"NextBatch"));
        CHECK_CALL(object, object.call(u"Acknowledge", field(Object::result, u"batch_id")));
    }
    if (number % 3 == 0) {
        // In a thread that ends after it has used the library.
        std::thread([&] { CHECK(object.call(u"WaitEvent", 1) && object.call(u"Fetch")); }).join();
    }
}

void cycles(const std::string &path, int count, bool with_rss) {
    // The first cycles fill what stays allocated: caches of the allocator, the library's own lists.
    const int warm = count / 10 + 5;
    long long memory = 0;
    const long at_rest = threads_at_rest(), open_before = open_count();
    auto start = Clock::now();
    for (int number = 0; number < warm + count; ++number) {
        if (number == warm) memory = own_memory();
        cycle(path, number);
        CHECK(threads_return_to(at_rest));
        CHECK(open_are_back(open_before));
    }
    const long long growth = own_memory() - memory;
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    std::printf("%d cycles in %.1f s: %lld KiB more memory\n", count, seconds, growth / 1024);
    CHECK(!with_rss || growth < 1024 * 1024);
}

} // namespace

int main(int argc, char **argv) {
    if (argc < 3) {
        std::fprintf(stderr, "usage: addin_host LIBRARY CYCLES [--no-rss]\n");
        return 2;
    }
    const long at_rest = threads_at_rest();
    const std::string path = argv[1];
    const bool with_rss = argc < 4 || std::string(argv[3]) != "--no-rss";
    try {
        {
            Library library(path);
            const struct {
                const char *name;
                void (*run)(Library &);
            } parts[] = {
                {"exports", exports},   {"names", names},       {"bad input", bad_input}, {"types", types},
                {"languages", languages}, {"phases", phases},   {"delivery", delivery},   {"bounds", bounds},     {"waiting", waiting},
                {"threads", many_threads}, {"notifications", notifications},
            };
            for (auto &part : parts) {
                auto start = Clock::now();
                part.run(library);
                std::printf("%s: passed in %.2f s\n", part.name, std::chrono::duration<double>(Clock::now() - start).count());
                std::fflush(stdout);
            }
        }
        CHECK(threads_return_to(at_rest));
        cycles(path, std::atoi(argv[2]), with_rss);
    } catch (const std::exception &error) {
        std::fflush(stdout);
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
    std::printf("all parts passed\n");
    return 0;
}
