// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_MANAGER_REQUEST_TABLE_H_
#define KINSOCK_SERVER_MANAGER_REQUEST_TABLE_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <list>
#include <string>
#include <unordered_map>

#include "absl/status/statusor.h"
#include "base/clock.h"
#include "server/model/vm.h"

namespace kinsock {

// What was answered to the requests that carried a request_id, so that a client that lost the answer can ask again
// (AIP-155). Only successes are kept: a failed request may be tried again under its id.
//
// Thread: main.
class RequestTable {
 public:
  // Long enough for a client that was down over night.
  static constexpr std::chrono::hours kKeep{24};
  // Reached: the oldest is forgotten; its repetition then meets VM_EXISTS, which is safe too.
  static constexpr size_t kMaxEntries = 100'000;
  // The same in bytes of VM definitions, which a deleted VM leaves to this table alone.
  static constexpr size_t kMaxBytes = 96u << 20;

  explicit RequestTable(const Clock& clock) : clock_(clock) {}

  // The result of the request `id`; null if none is known. INVALID_ARGUMENT REQUEST_ID_REUSED when it had another
  // `hash`, that is, was another request.
  absl::StatusOr<VmSnapshotPtr> Find(const std::string& id, uint64_t hash);

  // For `keep` from now on, at most kKeep.
  void Remember(const std::string& id, uint64_t hash, VmSnapshotPtr result, std::chrono::nanoseconds keep = kKeep);

 private:
  struct Entry {
    std::string id;
    uint64_t hash;
    VmSnapshotPtr result;
    MonotonicTime forget_at;
  };

  void ForgetOldest();

  const Clock& clock_;
  std::list<Entry> entries_;  // oldest first
  std::unordered_map<std::string, std::list<Entry>::iterator> by_id_;
  size_t bytes_ = 0;
};

}  // namespace kinsock

#endif  // KINSOCK_SERVER_MANAGER_REQUEST_TABLE_H_
