// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_DEVICE_FLOW_IDS_H_
#define KINSOCK_DEVICE_FLOW_IDS_H_

#include <cstdint>

namespace kinsock {

// Numbers for connections, unique in the process: each reactor counts in a range of its own. Thread: that
// reactor.
class FlowIds {
 public:
  explicit FlowIds(uint16_t reactor) : next_((uint64_t{reactor} << 48) + 1) {}
  uint64_t Next() { return next_++; }

 private:
  uint64_t next_;
};

}  // namespace kinsock

#endif  // KINSOCK_DEVICE_FLOW_IDS_H_
