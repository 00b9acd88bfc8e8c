// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_MODEL_VM_DELETION_H_
#define KINSOCK_SERVER_MODEL_VM_DELETION_H_

#include <chrono>
#include <cstdint>
#include <string>

namespace kinsock {

// What to delete. Plain value.
struct VmDeletion {
  // How long a CID that is kept stays reserved: a VM that is made anew on the next day finds it.
  static constexpr std::chrono::hours kKeepCid{24};

  std::string id;
  std::string etag;  // empty: whatever it is
  std::string uid;   // empty: whatever it is
  bool force = false;
  bool allow_missing = false;
  bool keep_cid = false;                       // makes a reservation of it
  std::chrono::milliseconds drain_timeout{0};  // 0: not drained before
  std::string request_id;                      // empty: not repeatable
  uint64_t request_hash = 0;                   // as in VmCreation
  bool validate_only = false;
  bool configured = false;  // comes from the configuration file
};

}  // namespace kinsock

#endif  // KINSOCK_SERVER_MODEL_VM_DELETION_H_
