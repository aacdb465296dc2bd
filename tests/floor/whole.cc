// What libstdc++ and the unwinder take from glibc: threads, exceptions, thread_local, random bytes.
#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <future>
#include <iostream>
#include <mutex>
#include <random>
#include <stdexcept>
#include <thread>

struct Local {
    const char *where;
    ~Local() { std::cout << "local of " << where << " down\n"; }
};
struct Global {
    Global() { std::cout << "global up\n"; }
    ~Global() { std::cout << "global down\n"; }
} global;
thread_local Local local{"main"};

static void fall(int depth)
{
    if (depth == 0)
        throw std::runtime_error("deep");
    fall(depth - 1);
}

int main()
{
    std::mutex mutex;
    std::condition_variable changed;
    bool ready = false;
    std::thread thread([&] {
        local.where = "thread";
        try {
            fall(5);
        } catch (std::exception &error) {
            std::lock_guard<std::mutex> lock(mutex);
            std::cout << "caught " << error.what() << "\n";
            ready = true;
            changed.notify_one();
        }
    });
    {
        std::unique_lock<std::mutex> lock(mutex);
        changed.wait_for(lock, std::chrono::seconds(60), [&] { return ready; });
    }
    thread.join();
    std::random_device device;
    bool differ = device() != device() || device() != device();
    auto answer = std::async(std::launch::async, [] { return 42; });
    bool has_size = std::filesystem::file_size("/proc/self/exe") > 0;
    std::cout << "random " << differ << ", size " << has_size << ", async " << answer.get() << ", "
              << local.where << std::endl;
}
