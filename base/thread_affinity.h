// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_BASE_THREAD_AFFINITY_H_
#define KINSOCK_BASE_THREAD_AFFINITY_H_

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include "absl/base/thread_annotations.h"

namespace kinsock {

// "This belongs to one thread", said in the type. Members carry ABSL_GUARDED_BY(affinity); an entry point
// calls AssertHeld(), which satisfies the compiler's analysis and, in builds with assertions, ends the
// process when another thread came in.
class ABSL_LOCKABLE ThreadAffinity {
 public:
  // The calling thread is the owner from now on. Call before another thread can look.
  void BindToCurrentThread() { owner_.store(std::this_thread::get_id(), std::memory_order_relaxed); }

  bool IsCurrent() const { return owner_.load(std::memory_order_relaxed) == std::this_thread::get_id(); }

  void AssertHeld() const ABSL_ASSERT_EXCLUSIVE_LOCK() {
#ifndef NDEBUG
    if (!IsCurrent()) {
      std::fputs("a thread touched what belongs to another\n", stderr);
      std::abort();
    }
#endif
  }

 private:
  std::atomic<std::thread::id> owner_{};
};

}  // namespace kinsock

#endif  // KINSOCK_BASE_THREAD_AFFINITY_H_
