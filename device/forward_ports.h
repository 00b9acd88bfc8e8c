// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_DEVICE_FORWARD_PORTS_H_
#define KINSOCK_DEVICE_FORWARD_PORTS_H_

#include <cstdint>

#include "absl/container/flat_hash_set.h"
#include "base/mutex.h"

namespace kinsock {

// The AF_VSOCK ports of the host on which this daemon listens for its guests, all VMs together.
//
// A guest that may connect to the host's ports would reach another VM's guest through one of these, past every
// group. So it is asked before a guest's REQUEST goes out, and a port is entered before it is bound.
//
// Thread: any. The lock is held for one look-up, once per connection.
class ForwardPorts {
 public:
  void Add(uint32_t port) ABSL_LOCKS_EXCLUDED(mutex_) {
    MutexLock lock(mutex_);
    ports_.insert(port);
  }
  void Remove(uint32_t port) ABSL_LOCKS_EXCLUDED(mutex_) {
    MutexLock lock(mutex_);
    ports_.erase(port);
  }
  bool Contains(uint32_t port) const ABSL_LOCKS_EXCLUDED(mutex_) {
    MutexLock lock(mutex_);
    return ports_.contains(port);
  }

 private:
  mutable Mutex mutex_;
  absl::flat_hash_set<uint32_t> ports_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace kinsock

#endif  // KINSOCK_DEVICE_FORWARD_PORTS_H_
