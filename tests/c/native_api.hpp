// The Native API of 1C:Enterprise from the platform's side, declared from docs/protocol.md §5: what a host needs to
// load an external component, and a host of our own that counts the memory it allocates and records errors and events.
#ifndef B24_NATIVE_API_HPP
#define B24_NATIVE_API_HPP

#include <condition_variable>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <mutex>
#include <stdexcept>
#include <string>
#include <unordered_set>
#include <vector>

#include "system.h"

#ifdef _WIN32
#define ADDIN_API __stdcall // differs from C's own way on 32-bit Windows only
constexpr size_t VARIANT_SIZE = 48;
#else
#define ADDIN_API
constexpr size_t VARIANT_SIZE = 64;
#endif

using Text = std::u16string;

enum Type : uint16_t {
    VT_EMPTY = 0, VT_NULL = 1, VT_I2 = 2, VT_I4 = 3, VT_R4 = 4, VT_R8 = 5, VT_DATE = 6, VT_TM = 7, VT_BOOL = 11,
    VT_I1 = 13, VT_UI1 = 14, VT_UI2 = 15, VT_UI4 = 16, VT_I8 = 17, VT_UI8 = 18, VT_PWSTR = 22, VT_BLOB = 23,
};

struct Variant {
    union {
        bool boolean;
        int8_t i1;
        int16_t i2;
        int32_t i4;
        int64_t i8;
        uint8_t ui1;
        uint16_t ui2;
        uint32_t ui4;
        uint64_t ui8;
        float r4;
        double r8;
        struct tm time;
        struct {
            char16_t *pointer;
            uint32_t length;
        } text;
        struct {
            char *pointer;
            uint32_t length;
        } blob;
    };
    uint32_t elements;
    uint16_t type;
};
static_assert(sizeof(Variant) == VARIANT_SIZE, "as the platform's headers give it");

// Every interface of 1C begins with a virtual destructor. 1C for Windows is built with Microsoft's compiler, which
// makes one entry of it in the table; this host's compiler would make two, so there it is declared as an ordinary
// function.
struct Interface {
#ifdef _WIN32
    // Ends the object, and frees it when bit 0 of the flags is set. Nobody may end objects of the host like this.
    virtual void *scalar_deleting_destructor(unsigned) { std::abort(); }
#else
    virtual ~Interface() {}
#endif
};

// `delete object`, as the platform's compiler compiles it.
inline void end_through(Interface *object) {
#ifdef _WIN32
    if (object->scalar_deleting_destructor(1) != object) std::abort();
#else
    delete object;
#endif
}

struct MemoryManager : Interface {
    virtual bool ADDIN_API AllocMemory(void **memory, unsigned long bytes) = 0;
    virtual void ADDIN_API FreeMemory(void **memory) = 0;
};

struct AddInDefBase : Interface {
    virtual bool ADDIN_API AddError(unsigned short code, const char16_t *source, const char16_t *text, long scode) = 0;
    virtual bool ADDIN_API Read(char16_t *name, Variant *value, long *code, char16_t **text) = 0;
    virtual bool ADDIN_API Write(char16_t *name, Variant *value) = 0;
    virtual bool ADDIN_API RegisterProfileAs(char16_t *name) = 0;
    virtual bool ADDIN_API SetEventBufferDepth(long depth) = 0;
    virtual long ADDIN_API GetEventBufferDepth() = 0;
    virtual bool ADDIN_API ExternalEvent(char16_t *source, char16_t *message, char16_t *data) = 0;
    virtual void ADDIN_API CleanEventBuffer() = 0;
    virtual bool ADDIN_API SetStatusLine(char16_t *text) = 0;
    virtual void ADDIN_API ResetStatusLine() = 0;
};

struct InitDoneBase : Interface {
    virtual bool ADDIN_API Init(void *connection) = 0;
    virtual bool ADDIN_API setMemManager(void *manager) = 0;
    virtual long ADDIN_API GetInfo() = 0;
    virtual void ADDIN_API Done() = 0;
};

struct LanguageExtenderBase : Interface {
    virtual bool ADDIN_API RegisterExtensionAs(char16_t **name) = 0;
    virtual long ADDIN_API GetNProps() = 0;
    virtual long ADDIN_API FindProp(const char16_t *name) = 0;
    virtual const char16_t *ADDIN_API GetPropName(long number, long alias) = 0;
    virtual bool ADDIN_API GetPropVal(const long number, Variant *value) = 0;
    virtual bool ADDIN_API SetPropVal(const long number, Variant *value) = 0;
    virtual bool ADDIN_API IsPropReadable(const long number) = 0;
    virtual bool ADDIN_API IsPropWritable(const long number) = 0;
    virtual long ADDIN_API GetNMethods() = 0;
    virtual long ADDIN_API FindMethod(const char16_t *name) = 0;
    virtual const char16_t *ADDIN_API GetMethodName(const long number, const long alias) = 0;
    virtual long ADDIN_API GetNParams(const long number) = 0;
    virtual bool ADDIN_API GetParamDefValue(const long number, const long param, Variant *value) = 0;
    virtual bool ADDIN_API HasRetVal(const long number) = 0;
    virtual bool ADDIN_API CallAsProc(const long number, Variant *params, const long count) = 0;
    virtual bool ADDIN_API CallAsFunc(const long number, Variant *result, Variant *params, const long count) = 0;
};

struct LocaleBase : Interface {
    virtual void ADDIN_API SetLocale(const char16_t *code) = 0;
};

struct UserLanguageBase : Interface {
    virtual void ADDIN_API SetUserInterfaceLanguageCode(const char16_t *code) = 0;
};

struct ComponentBase : InitDoneBase, LanguageExtenderBase, LocaleBase, UserLanguageBase {};

// Text for people; characters that are not ASCII become '?'.
inline std::string shown(const Text &text) {
    std::string out;
    for (char16_t unit : text) out += unit < 0x80 ? static_cast<char>(unit) : '?';
    return out;
}

inline Text widened(const std::string &ascii) { return Text(ascii.begin(), ascii.end()); }

[[noreturn]] inline void failed(const char *file, int line, const std::string &what) {
    throw std::runtime_error(std::string(file) + ":" + std::to_string(line) + ": " + what);
}

#define CHECK(condition) \
    do { \
        if (!(condition)) failed(__FILE__, __LINE__, #condition); \
    } while (false)
#define CHECK_CALL(object, condition) \
    do { \
        if (!(condition)) failed(__FILE__, __LINE__, std::string(#condition) + "; last error: " + shown((object).last_error())); \
    } while (false)

// A memory manager that knows every block it has allocated.
class CountingMemory : public MemoryManager {
public:
    bool ADDIN_API AllocMemory(void **memory, unsigned long bytes) override {
        std::lock_guard<std::mutex> guard(mutex_);
        *memory = exhausted_ ? nullptr : std::malloc(bytes);
        if (*memory) blocks_.insert(*memory);
        return *memory != nullptr;
    }

    void ADDIN_API FreeMemory(void **memory) override {
        std::lock_guard<std::mutex> guard(mutex_);
        if (blocks_.erase(*memory) != 1) std::abort(); // not ours, or freed before
        std::free(*memory);
        *memory = nullptr;
    }

    void exhaust(bool exhausted) {
        std::lock_guard<std::mutex> guard(mutex_);
        exhausted_ = exhausted;
    }

    size_t live() {
        std::lock_guard<std::mutex> guard(mutex_);
        return blocks_.size();
    }

    Text take(const char16_t *name) {
        Text text = name ? name : u"";
        void *block = const_cast<char16_t *>(name);
        if (block) FreeMemory(&block);
        return text;
    }

private:
    std::mutex mutex_;
    std::unordered_set<void *> blocks_;
    bool exhausted_ = false;
};

// The platform's side of an object: records errors and events.
class Connection : public AddInDefBase {
public:
    struct Error {
        unsigned short code;
        Text source, text;
        long scode;
    };
    struct Event {
        Text source, message, data;
    };

    bool ADDIN_API AddError(unsigned short code, const char16_t *source, const char16_t *text, long scode) override {
        std::lock_guard<std::mutex> guard(mutex_);
        errors_.push_back({code, source, text, scode});
        return true;
    }
    bool ADDIN_API ExternalEvent(char16_t *source, char16_t *message, char16_t *data) override {
        std::unique_lock<std::mutex> guard(mutex_);
        ++attempts_;
        changed_.notify_all();
        changed_.wait(guard, [&] { return !hanging_; });
        if (!open_ || static_cast<long>(events_.size()) >= depth_) return false;
        events_.push_back({source, message, data});
        // The platform's declaration allows it to write into the texts.
        source[0] = message[0] = data[0] = u'!';
        return true;
    }
    bool ADDIN_API SetEventBufferDepth(long depth) override {
        std::lock_guard<std::mutex> guard(mutex_);
        depth_ = depth;
        return true;
    }
    long ADDIN_API GetEventBufferDepth() override {
        std::lock_guard<std::mutex> guard(mutex_);
        return depth_;
    }
    void ADDIN_API CleanEventBuffer() override {
        std::lock_guard<std::mutex> guard(mutex_);
        events_.clear();
    }
    bool ADDIN_API Read(char16_t *, Variant *, long *, char16_t **) override { return false; }
    bool ADDIN_API Write(char16_t *, Variant *) override { return false; }
    bool ADDIN_API RegisterProfileAs(char16_t *) override { return false; }
    bool ADDIN_API SetStatusLine(char16_t *) override { return false; }
    void ADDIN_API ResetStatusLine() override {}

    std::vector<Error> take_errors() {
        std::lock_guard<std::mutex> guard(mutex_);
        std::vector<Error> errors;
        errors.swap(errors_);
        return errors;
    }

    // Whether the event buffer accepts anything.
    void set_open(bool open) {
        std::lock_guard<std::mutex> guard(mutex_);
        open_ = open;
        attempts_ = 0;
    }

    // While this is set, `ExternalEvent` does not return.
    void set_hanging(bool hanging) {
        std::lock_guard<std::mutex> guard(mutex_);
        hanging_ = hanging;
        attempts_ = 0;
        changed_.notify_all();
    }

    bool wait_for_attempts(int attempts) {
        std::unique_lock<std::mutex> guard(mutex_);
        return changed_.wait_for(guard, std::chrono::seconds(30), [&] { return attempts_ >= attempts; });
    }

    Event wait_for_event() {
        std::unique_lock<std::mutex> guard(mutex_);
        bool came = changed_.wait_for(guard, std::chrono::seconds(30), [&] { return !events_.empty(); });
        if (!came) throw std::runtime_error("no external event came");
        Event event = events_.front();
        events_.erase(events_.begin());
        return event;
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<Error> errors_;
    std::vector<Event> events_;
    long depth_ = 1;
    int attempts_ = 0;
    bool open_ = true, hanging_ = false;
};

// The loaded library.
class Library {
public:
    explicit Library(const std::string &path) : handle_(library_load(path.c_str())) {
        if (!handle_) throw std::runtime_error(path + " cannot be loaded");
        find(names, "GetClassNames");
        find(make, "GetClassObject");
        find(destroy, "DestroyObject");
        find(capabilities, "SetPlatformCapabilities");
        find(attach_type, "GetAttachType");
    }
    Library(const Library &) = delete;
    Library &operator=(const Library &) = delete;
    ~Library() { library_unload(handle_); }

    const char16_t *(*names)() = nullptr;
    long (*make)(const char16_t *, ComponentBase **) = nullptr;
    long (*destroy)(ComponentBase **) = nullptr;
    int (*capabilities)(int) = nullptr;
    int (*attach_type)() = nullptr;

private:
    template <class F> void find(F &function, const char *name) {
        void *symbol = library_symbol(handle_, name);
        if (!symbol) throw std::runtime_error(std::string(name) + " is not exported");
        std::memcpy(&function, &symbol, sizeof function);
    }

    void *handle_;
};

// A value that the host passes or receives. Its text belongs to the host, unless the library has written it.
class Value {
public:
    Value() { clear(); }
    Value(int32_t number) : Value() { variant.type = VT_I4, variant.i4 = number; }
    Value(const char16_t *text) : Value(Text(text)) {}
    Value(const Text &text) : Value() {
        text_ = text;
        variant.type = VT_PWSTR;
        variant.text.pointer = text_.empty() ? nullptr : &text_[0];
        variant.text.length = static_cast<uint32_t>(text_.size());
    }
    Value(Value &&) = delete;

    void clear() {
        std::memset(&variant, 0, sizeof variant);
    }

    // The text that the library has written; frees it with the manager that allocated it.
    Text take(CountingMemory &memory) {
        if (variant.type != VT_PWSTR) return Text();
        Text text(variant.text.pointer, variant.text.length);
        if (variant.text.pointer[text.size()] != 0) std::abort();
        void *block = variant.text.pointer;
        memory.FreeMemory(&block);
        clear();
        return text;
    }

    Variant variant;

private:
    Text text_;
};

// The ways in which hosts end an object.
enum class End { Destroy, DeleteInitDone, DeleteExtender, DeleteLocale, DeleteLanguage, COUNT };

// An object of the class, as 1C code uses it.
class Object {
public:
    explicit Object(Library &library, End end = End::Destroy) : library_(library), end_(end) {
        if (library.make(u"B24Events", &component) == 0 || !component) throw std::runtime_error("no object was made");
        if (!component->setMemManager(&memory)) throw std::runtime_error("setMemManager failed");
    }
    Object(const Object &) = delete;
    Object &operator=(const Object &) = delete;
    ~Object() { end(); }

    void end() {
        if (!component) return;
        if (end_ != End::Destroy) component->Done();
        switch (end_) {
        case End::DeleteInitDone: end_through(static_cast<InitDoneBase *>(component)); break;
        case End::DeleteExtender: end_through(static_cast<LanguageExtenderBase *>(component)); break;
        case End::DeleteLocale: end_through(static_cast<LocaleBase *>(component)); break;
        case End::DeleteLanguage: end_through(static_cast<UserLanguageBase *>(component)); break;
        default:
            if (library_.destroy(&component) != 0 || component) std::abort();
        }
        component = nullptr;
        if (memory.live() != 0) std::abort();
    }

    // Calls a method with the values of the 1C code; parameters that are left out get their defaults.
    template <class... Values> bool call(const char16_t *name, const Values &...values) {
        Value params[sizeof...(Values) + 8] = {Value(values)...};
        return run(name, params, sizeof...(Values));
    }
    bool call(const char16_t *name) {
        Value params[8];
        return run(name, params, 0);
    }

    Text property(const char16_t *name) {
        Value value;
        if (!component->GetPropVal(component->FindProp(name), &value.variant)) throw std::runtime_error("GetPropVal failed");
        if (value.variant.type == VT_BOOL) return value.variant.boolean ? u"true" : u"false";
        return value.take(memory);
    }
    bool set(const char16_t *name, const Text &text) {
        Value value(text);
        return component->SetPropVal(component->FindProp(name), &value.variant);
    }
    Text last_error() { return property(u"LastError"); }

    // Declared before the component, whose end may still use them.
    CountingMemory memory;
    Connection connection;
    ComponentBase *component = nullptr;
    // The result of the last call in this thread that succeeded.
    static thread_local Text result;

private:
    bool run(const char16_t *name, Value *params, long given) {
        long number = component->FindMethod(name);
        long count = component->GetNParams(number);
        if (number < 0 || given > count || count > given + 8) throw std::runtime_error("no such method: " + shown(name));
        std::vector<Variant> values(static_cast<size_t>(count));
        std::vector<void *> defaults;
        for (long index = 0; index < count; ++index) {
            Variant &value = values[static_cast<size_t>(index)];
            value = params[index].variant;
            if (index < given) continue;
            std::memset(&value, 0, sizeof value);
            if (!component->GetParamDefValue(number, index, &value)) throw std::runtime_error("not enough parameters");
            if (value.type == VT_PWSTR) defaults.push_back(value.text.pointer);
        }
        Value returned;
        bool done = component->HasRetVal(number) ? component->CallAsFunc(number, &returned.variant, values.data(), count)
                                                 : component->CallAsProc(number, values.data(), count);
        for (void *block : defaults) memory.FreeMemory(&block);
        if (!done && returned.variant.type != VT_EMPTY) std::abort();
        result = returned.take(memory);
        return done;
    }

    Library &library_;
    End end_;
};

inline thread_local Text Object::result;

#endif
