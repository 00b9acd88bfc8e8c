// SPDX-License-Identifier: Apache-2.0
#include "device/guest_fault.h"

#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <mutex>

namespace kinsock {
namespace {

// One watched range. `begin` is published last and withdrawn first, so the handler, which may run on any
// thread at any time, sees either nothing or a complete entry.
struct Range {
  std::atomic<uintptr_t> begin{0};  // 0: free; 1: being filled in
  std::atomic<uintptr_t> end{0};
  std::atomic<std::atomic<bool>*> faulted{nullptr};
};

constexpr uintptr_t kFree = 0;
constexpr uintptr_t kClaimed = 1;

std::array<Range, GuestFaultGuard::kMaxRanges> ranges;
std::atomic<size_t> ranges_used{0};  // entries from here on were never used
struct sigaction previous_action;
uintptr_t page_size;

// Async-signal-safe: atomics and mmap() only.
bool Absorb(uintptr_t address) {
  const size_t used = ranges_used.load(std::memory_order_acquire);
  for (size_t i = 0; i < used; ++i) {
    const uintptr_t begin = ranges[i].begin.load(std::memory_order_acquire);
    if (begin <= kClaimed || address < begin || address >= ranges[i].end.load()) continue;
    void* page = reinterpret_cast<void*>(address & ~(page_size - 1));
    if (mmap(page, page_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED) {
      return false;
    }
    ranges[i].faulted.load()->store(true, std::memory_order_release);
    return true;
  }
  return false;
}

void OnSigbus(int, siginfo_t* info, void*) {
  if (Absorb(reinterpret_cast<uintptr_t>(info->si_addr))) return;
  // Not ours: back to the default, and the instruction faults again.
  sigaction(SIGBUS, &previous_action, nullptr);
}

void InstallHandler() {
  page_size = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  struct sigaction action {};
  action.sa_sigaction = OnSigbus;
  action.sa_flags = SA_SIGINFO | SA_NODEFER;
  sigaction(SIGBUS, &action, &previous_action);
}

}  // namespace

void GuestFaultGuard::Install() {
  static std::once_flag installed;
  std::call_once(installed, InstallHandler);
}

bool GuestFaultGuard::Watch(void* begin, size_t size, std::atomic<bool>& faulted) {
  for (size_t i = 0; i < ranges.size(); ++i) {
    uintptr_t expected = kFree;
    if (!ranges[i].begin.compare_exchange_strong(expected, kClaimed)) continue;
    const auto address = reinterpret_cast<uintptr_t>(begin);
    ranges[i].end.store(address + size);
    ranges[i].faulted.store(&faulted);
    ranges[i].begin.store(address, std::memory_order_release);
    size_t used = ranges_used.load();
    while (used < i + 1 && !ranges_used.compare_exchange_weak(used, i + 1)) {
    }
    return true;
  }
  return false;
}

void GuestFaultGuard::Unwatch(void* begin) {
  const auto address = reinterpret_cast<uintptr_t>(begin);
  for (Range& range : ranges) {
    if (range.begin.load(std::memory_order_relaxed) == address) {
      range.begin.store(kFree, std::memory_order_release);
      return;
    }
  }
}

}  // namespace kinsock
