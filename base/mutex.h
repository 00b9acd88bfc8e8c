// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_BASE_MUTEX_H_
#define KINSOCK_BASE_MUTEX_H_

#include <mutex>

#include "absl/base/thread_annotations.h"

namespace kinsock {

// std::mutex with Clang's capability attributes. Not absl::Mutex: the packaged Abseil is not built with
// ThreadSanitizer, which therefore cannot see that lock and reports races that are none.
class ABSL_LOCKABLE Mutex {
 public:
  void Lock() ABSL_EXCLUSIVE_LOCK_FUNCTION() { mutex_.lock(); }
  void Unlock() ABSL_UNLOCK_FUNCTION() { mutex_.unlock(); }

 private:
  std::mutex mutex_;
};

class ABSL_SCOPED_LOCKABLE MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) ABSL_EXCLUSIVE_LOCK_FUNCTION(mutex) : mutex_(mutex) { mutex_.Lock(); }
  ~MutexLock() ABSL_UNLOCK_FUNCTION() { mutex_.Unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex& mutex_;
};

}  // namespace kinsock

#endif  // KINSOCK_BASE_MUTEX_H_
